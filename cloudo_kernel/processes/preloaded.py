"""Detects flows that would behave differently with preloaded modules. Such a flow needs a cold start.

A zygote notes which environment variables its modules read when they are imported. A flow needs a cold start if it sets
one of them, installs packages, or lies beside a module with the name of a loaded one.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

#: A source without any of these words is not parsed.
_WORDS = ("environ", "putenv", "unsetenv", "env ", "dotenv", "install", "conda", "mamba", "uv ")
#: Variables that the libraries below numpy read with C's `getenv`, which `noting` cannot see.
_READ_BY_LIBRARIES = re.compile(r"(OPENBLAS|GOTO|OMP|GOMP|KMP|MKL|BLIS|VECLIB|NUMEXPR)_|\w+_NUM_THREADS$")
_WRITERS = frozenset({"pop", "setdefault", "update"})
_RUNNERS = frozenset(
    {
        *("system", "popen", "getoutput", "getstatusoutput", "run_line_magic", "run_cell_magic", "main"),
        *("run", "call", "check_call", "check_output", "Popen", "create_subprocess_exec", "create_subprocess_shell"),
    }
)
_INSTALL = re.compile(
    r"\b(pip3?|easy_install)\b.*\b(un)?install\b|\b(conda|micromamba|mamba|uv)\b.*\b(install|add|sync|update|remove)\b",
    re.DOTALL,
)
_SITE = re.compile(r"[/\\](site|dist)-packages[/\\]")
_SETTING = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=", re.MULTILINE)

#: The preloaded packages that read a variable, by its name.
_readers: dict[str, set[str]] = {}
#: All preloaded packages.
_packages: set[str] = set()
#: Loaded modules of installed packages. A cold kernel would look for them in the flow's folder first.
_loaded: frozenset[str] = frozenset()


@contextmanager
def noting(module: str) -> Iterator[None]:
    """Note which environment variables are read while `module` is imported."""
    package = module.partition(".")[0]
    _packages.add(package)
    environ: Any = os.environ
    encode = environ.encodekey

    def noted(name: str) -> bytes:
        _readers.setdefault(name, set()).add(package)
        return bytes(encode(name))

    environ.encodekey = noted
    try:
        yield
    finally:
        environ.encodekey = encode


def note_loaded() -> None:
    """Note which modules are loaded; called once, after the last import."""
    global _loaded  # noqa: PLW0603 -- one per process, as `sys.modules` is
    files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items() if "." not in name}
    _loaded = frozenset(name for name, file in files.items() if _SITE.search(file))


def reason_against(sources: list[str], folder: str) -> str | None:
    """Return why a flow with these code cells in `folder` needs a cold start, or None if it does not."""
    with suppress(OSError), os.scandir(folder) as entries:  # the kernel reports that it cannot enter the folder
        for entry in entries:
            name = entry.name.removesuffix(".py")
            if name in _loaded and (name != entry.name or Path(entry, "__init__.py").exists()):
                return f"its folder has a module named {name}, and another one of that name is preloaded"
    imported: set[str] = set()
    for source in sources:
        if any(word in source for word in (*_WORDS, "import")):
            for statement in _statements(source):
                if any(word in source for word in _WORDS) and (reason := _reason(statement, imported, folder)):
                    return reason
                imported |= _imports(statement)
    return None


def is_suspicious(text: str) -> bool:
    """Return whether a flow's text contains a word for which `reason_against` examines its cells."""
    return any(word in text for word in _WORDS)


def _statements(source: str) -> list[ast.stmt]:
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        plain: str = TransformerManager().transform_cell(source)
        return ast.parse(plain).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # the run reports the error


def _reason(statement: ast.stmt, imported: set[str], folder: str) -> str | None:
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and _is_install(node):
            return "it installs packages, and some of them may be preloaded"
    for name in sorted(_set_variables(statement, folder)):
        readers = _readers.get(name, set())
        if _READ_BY_LIBRARIES.match(name):
            readers = readers | _packages
        if readers and not readers & imported:
            return f"it sets {name}, which is read when {' or '.join(sorted(readers))} is imported"
    return None


def _imports(statement: ast.stmt) -> set[str]:
    """Return the packages that a statement imports."""
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def _is_install(call: ast.Call) -> bool:
    name = _name(call.func)
    return name in _RUNNERS and bool(_INSTALL.search(" ".join([ast.unparse(call.func), *_texts(call)])))


def _set_variables(statement: ast.stmt, folder: str) -> set[str]:
    """Return the environment variables that a statement may set or remove."""
    names: set[str] = set()
    for node in ast.walk(statement):
        keys: list[ast.AST] | None = None
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load) and _name(node.value) == "environ":
            keys = [node.slice]
        elif isinstance(node, ast.AugAssign) and _name(node.target) == "environ":
            keys = [node.value]
        elif isinstance(node, ast.Call):
            names |= _set_by_magic(node, folder)
            owner = _name(node.func.value) if isinstance(node.func, ast.Attribute) else None
            if _name(node.func) in {"putenv", "unsetenv"} or (owner == "environ" and _name(node.func) in _WRITERS):
                keys = [*node.args, *node.keywords]
        if keys is not None:
            # Without a literal there, take those of the statement, as in `for name in (…): os.environ[name] = "1"`.
            names.update(_texts(*keys) or _texts(statement))
    return names


def _set_by_magic(call: ast.Call, folder: str) -> set[str]:
    name = _name(call.func)
    texts = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    if name == "run_line_magic" and texts[:1] in (["env"], ["set_env"]):
        return (
            {re.split(r"[=\s]", texts[-1].strip(), maxsplit=1)[0]} if re.search(r"[=\s]", texts[-1].strip()) else set()
        )
    if name == "load_dotenv" or (name == "run_line_magic" and texts[:1] == ["dotenv"]):
        files = [file for parent in (Path(folder), *Path(folder).parents) if (file := parent / ".env").is_file()]
        return set(_SETTING.findall(files[0].read_text(errors="replace"))) if files else set()
    return set()


def _name(node: ast.AST) -> str | None:
    """Return the last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)


def _texts(*nodes: ast.AST) -> list[str]:
    """Return the string literals in the nodes, and the names of keyword arguments."""
    found = []
    for each in (each for node in nodes for each in ast.walk(node)):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            found.append(each.value)
        elif isinstance(each, ast.keyword) and each.arg:
            found.append(each.arg)
    return found
