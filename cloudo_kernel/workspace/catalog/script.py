"""Reads scripts without running them: `.py` flows that define `handler(system, this)`, and source in requests."""

from __future__ import annotations

import ast
import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.security import bounds
from cloudo_kernel.workspace.catalog.notebook import Unreadable, of_python

_METADATA = re.compile(r"#[ \t]*cloudo:")
#: Words that create a scope: a function, a class or a comprehension.
_SCOPE = re.compile(r"\b(?:def|class|lambda|for)\b")
_MAX_SCOPES = 2_000
#: The characters of base64.
_BASE64 = re.compile(r"[A-Za-z0-9+/=]*")
_COMMENT = re.compile(r"#( *)(.*)")
_MARK = "\ufeff"  # the byte order mark, which some editors write


@dataclass(frozen=True)
class Handler:
    """A script that defines `handler`."""

    #: The first line of its docstring, unless that begins a list.
    title: str | None
    #: The metadata below `# cloudo:` at its top, not validated.
    metadata: Any


@dataclass(frozen=True)
class _Parsed:
    """The parts of a script's syntax tree that are kept; the whole tree takes much memory."""

    title: str | None
    #: The lines before the first statement, without those of the docstring.
    head: tuple[str, ...]
    is_async: bool


def parse(text: str) -> Handler:
    """Read a script. Raises `Unreadable` if it cannot be run or defines no handler."""
    parsed = _parsed(text)
    return Handler(title=parsed.title, metadata=_metadata(parsed.head))


def is_handler(text: str) -> bool:
    """Return whether the text is a script that defines `handler`; its metadata are not read.

    A text that is too large to be parsed counts as one; `parse` reports that later.
    """
    if "handler" not in text or (text[:100].lstrip().startswith("{") and text[-100:].rstrip().endswith("}")):
        return False  # a notebook's JSON text, which is slow to parse as Python and may even be valid
    try:
        bounds.check_python(text)
    except bounds.OutOfBounds:
        return True
    return not isinstance(_examined(text), str)


def as_notebook(text: str) -> str:
    """Return a script as the JSON text of a notebook: a cell with its source, and one that calls its handler."""
    return of_python(
        _normal(text), "await handler(system, this)" if _parsed(text).is_async else "handler(system, this)"
    )


def _parsed(text: str) -> _Parsed:
    """Return the parsed script. Raises `Unreadable` if it cannot be run or defines no handler."""
    try:
        bounds.check_python(text)
    except bounds.OutOfBounds as error:
        raise Unreadable(str(error)) from None
    found = _examined(text)
    if isinstance(found, str):
        raise Unreadable(found)
    return found


@lru_cache(maxsize=4)
def _examined(text: str) -> _Parsed | str:
    """Return the parsed script, or why it is invalid. Cached: a request asks several times."""
    try:
        tree = _tree(text)
        last = _handler(tree)
    except Unreadable as error:
        return str(error)
    first = (ast.get_docstring(tree) or "").strip().split("\n", 1)[0].strip()
    return _Parsed(
        title=None if first.endswith(":") else first or None,  # the original's scripts list `inputs:` there
        head=tuple(_head(_normal(text), tree)),
        is_async=isinstance(last, ast.AsyncFunctionDef),
    )


def _normal(text: str) -> str:
    return text.removeprefix(_MARK).replace("\r\n", "\n").replace("\r", "\n")


def _tree(text: str) -> ast.Module:
    try:
        tree = ast.parse(_normal(text))
        # Only the compiler finds some errors, such as a `return` outside of a function. It compares all functions with
        # each other, which takes seconds if there are many; then these errors show when the script runs.
        if len(_SCOPE.findall(text)) <= _MAX_SCOPES:
            compile(tree, "script", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError as error:
        raise Unreadable(f"it has a syntax error in line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise Unreadable("it cannot be parsed: it holds NUL or half a character, or is nested too deeply") from None
    return tree


def _handler(tree: ast.Module) -> ast.AST:
    """Return the last node that binds `handler`. Raises `Unreadable`."""
    found = list(_bindings(tree))
    if not found:
        raise Unreadable("it defines no handler(system, this)")
    if isinstance(found[-1], ast.FunctionDef | ast.AsyncFunctionDef) and not _takes_two(found[-1].args):
        raise Unreadable("its handler does not take two arguments: handler(system, this)")
    return found[-1]


def _bindings(parent: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that bind the name `handler` when the script is loaded, in the order of the source.

    The name in `except … as` is not one of them, because Python deletes it after the clause.
    """
    for node in ast.iter_child_nodes(parent):
        match node:
            case ast.FunctionDef(name="handler") | ast.AsyncFunctionDef(name="handler"):
                yield node
            case ast.alias(name="handler", asname=None) | ast.alias(asname="handler"):
                yield node
            case ast.Name(id="handler", ctx=ast.Store()) | ast.MatchAs(name="handler"):
                yield node
            case ast.AnnAssign(value=None):
                pass  # declares a type and binds nothing
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                pass  # their names are their own
            case ast.Tuple() | ast.List() | ast.Starred():
                yield from _bindings(node)  # `handler, other = …`
            case ast.expr():
                pass  # may be nested deeply
            case _:
                yield from _bindings(node)


def _takes_two(arguments: ast.arguments) -> bool:
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = len(positional) - len(arguments.defaults)
    named = [default for default in arguments.kw_defaults if default is None]
    return needed <= 2 and (len(positional) >= 2 or arguments.vararg is not None) and not named


def _head(text: str, tree: ast.Module) -> list[str]:
    """Return the lines before the first statement, without those of the docstring."""
    lines = text.split("\n")
    statements = tree.body
    docstring = range(0)
    if ast.get_docstring(tree, clean=False) is not None:
        docstring = range(statements[0].lineno - 1, statements[0].end_lineno or 0)
        statements = statements[1:]
    end = statements[0].lineno - 1 if statements else len(lines)
    return [line for number, line in enumerate(lines[:end]) if number not in docstring]


def _metadata(head: Sequence[str]) -> Any:
    """Return the YAML in the comment `# cloudo:` and the deeper comments below it. Raises `Unreadable`."""
    start = next((number for number, line in enumerate(head) if _METADATA.match(line)), None)
    if start is None:
        return {}
    block: list[str] = []
    depth = 0
    for line in head[start:]:
        comment = _COMMENT.fullmatch(line.rstrip())
        if comment is None or (block and comment[2] and len(comment[1]) <= depth):
            break
        depth = depth if block else len(comment[1])
        block.append(comment[1][depth:] + comment[2])
    try:
        written = bounds.read_yaml("\n".join(block))
    except ValueError as error:
        raise Unreadable(f"its metadata '# cloudo:' cannot be read as YAML: {error}") from None
    if not isinstance(written, dict) or "cloudo" not in written:
        raise Unreadable("its metadata '# cloudo:' cannot be read as YAML: a space has to follow the colon")
    return written["cloudo"] or {}


def script_text(script: str, encoding: str | None) -> str:
    """Return the text of a script. Raises `MalformedRequest`.

    Without `encoding`, the script is plain if it parses as Python or JSON, or cannot be decoded.
    """
    if encoding == "plain" or (encoding is None and _is_plain(script)):
        return script
    try:
        return base64.b64decode(script, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        if encoding is None:
            return script  # plain after all: the run shows its error
        raise MalformedRequest("script is not UTF-8 text in base64.", field="script") from error


def _is_plain(script: str) -> bool:
    if not _BASE64.fullmatch(script):
        return True  # plain, whether it parses or not
    try:
        bounds.check_python(script)
        compile(script, "script", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # such as 1+1+1+1…, which may also be base64
        return False
    return True
