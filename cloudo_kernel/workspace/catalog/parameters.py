"""Reads the JSON Schema of a flow's inputs from the cell tagged `parameters`. The cell is parsed, never run."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from cloudo_kernel.models import JsonObject
from cloudo_kernel.security import bounds
from cloudo_kernel.workspace.catalog.annotations import annotated, nullable
from cloudo_kernel.workspace.catalog.values import json_value

#: Lines that are valid in IPython and not in Python: `%magic`, `!command`, `files = !ls`.
_MAGIC = re.compile(r"(\s*)([%!]|[\w.]+\s*=\s*[%!])")
_MAX_MAGICS = 100
#: Maximum characters to parse in total: the cell is parsed once more for each of these lines.
_MAX_PARSED = 128 * 1024
#: Comments for tools, which are not descriptions.
_FOR_TOOLS = re.compile(r"(^|#)\s*(noqa|type:|pylint:|pragma:|fmt:).*")


_TYPE_COMMENT = re.compile(r"type:\s*(?!ignore\b)([^#]+)(.*)", re.DOTALL)
#: Maximum number of words in a type; each of them may be its last one.
_MAX_TYPE_WORDS = 6


@dataclass(frozen=True)
class _Parameter:
    annotation: ast.expr | None = None
    #: An expression, or a statement if the value is unpacked from an expression or added to.
    default: ast.expr | ast.stmt | None = None
    comment: str = ""


def input_schema(cell_source: str | None) -> JsonObject:
    """Return the JSON Schema (draft 7) of the inputs; without a parameters cell (None), any are valid.

    Each property may have `type`, `enum`, `items`, `anyOf`, `format`, `default`, `description`, and always has
    `x-order` (its place in the cell, from 0). `x-default` is the source text of a default that is not a JSON
    value, `x-annotation` that of an unsupported annotation. Raises `SyntaxError`, whose text contains the error and
    its line.
    """
    if cell_source is None:
        return {"type": "object", "properties": {}, "additionalProperties": True}
    try:
        bounds.check_python(cell_source, max_bytes=bounds.MAX_PARAMETERS_BYTES, max_words=bounds.MAX_PARAMETERS_WORDS)
        magics = min(_MAX_MAGICS, _MAX_PARSED // (len(cell_source) + 1))
        text, tree = _parsed(cell_source.replace("\r\n", "\n").replace("\r", "\n").split("\n"), magics)
        found = _parameters(tree, _Comments(text))
        if len(found) > bounds.MAX_INPUTS:
            raise SyntaxError(f"the parameters cell has more than {bounds.MAX_INPUTS} inputs")
        defaults_of = _Defaults(text)
        properties = {
            name: _property(parameter, defaults_of) | {"x-order": order}
            for order, (name, parameter) in enumerate(found.items())
        }
    except bounds.OutOfBounds as error:
        raise SyntaxError(f"the parameters cell is too large: {error}") from None
    except (RecursionError, MemoryError):
        raise SyntaxError("the parameters cell is nested too deeply to be read") from None
    needed = [name for name, parameter in found.items() if parameter.default is None]
    return {
        "type": "object",
        "properties": properties,
        **({"required": needed} if needed else {}),
        "additionalProperties": False,
    }


def write_only(schema: JsonObject, names: Collection[str]) -> JsonObject:
    """Return the schema with `writeOnly` for these inputs, whose values are never shown."""
    properties = {
        name: {**declared, "writeOnly": True} if name in names else declared
        for name, declared in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def defaults(schema: JsonObject) -> JsonObject:
    """Return the default values of inputs, except those that are not JSON values."""
    properties = schema.get("properties", {})
    return {name: declared["default"] for name, declared in properties.items() if "default" in declared}


def required(schema: JsonObject) -> tuple[str, ...]:
    """Return the names of the required inputs, in the order of the cell."""
    return tuple(schema.get("required", ()))


def _parsed(lines: list[str], magics_left: int) -> tuple[str, ast.Module]:
    """Parse the cell, replacing lines that only IPython understands when they cause a syntax error.

    They are not replaced beforehand, because inside a string or brackets such a line can be Python.
    """
    text = "\n".join(lines)
    try:
        return text, ast.parse(text)
    except SyntaxError as error:
        number = error.lineno or 0
        magic = _MAGIC.match("".join(lines[number - 1 : number]))
        if not magic or not magics_left:
            raise SyntaxError(f"the parameters cell has a syntax error in line {number}: {error.msg}") from error
    except ValueError as error:  # NUL (a SyntaxError from Python 3.12 on)
        raise SyntaxError(f"the parameters cell cannot be parsed: {error}") from error
    return _parsed([*lines[: number - 1], f"{magic[1]}pass", *lines[number:]], magics_left - 1)


class _Comments:
    """The comments of a cell, by line."""

    def __init__(self, text: str) -> None:
        self._beside: dict[int, str] = {}
        self._alone: dict[int, str] = {}
        #: The joined comment lines above a line.
        self._above: dict[int, str] = {}
        #: The types in comments `# type: …`, by line.
        self._types: dict[int, ast.expr] = {}
        if "#" not in text:  # tokenizing takes longer than everything else
            return
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                line, column = token.start
                is_beside = bool(token.line[:column].strip())
                kind = self._beside if is_beside else self._alone
                text = token.string.lstrip("#:! ")
                if is_beside and (typed := _type_comment(text)):
                    self._types[line], text = typed
                kind[line] = _FOR_TOOLS.sub("", text).strip()

    def type_of(self, node: ast.stmt) -> ast.expr | None:
        """Return the annotation in a comment `# type: …` beside an assignment to plain names."""
        if not isinstance(node, ast.Assign) or not all(isinstance(target, ast.Name) for target in node.targets):
            return None
        return self._types.get(node.end_lineno or node.lineno) or self._types.get(node.lineno)

    def of(self, node: ast.stmt) -> str:
        """Return the comment beside the statement, else the comment lines directly above it."""
        for line in (node.end_lineno or node.lineno, node.lineno):
            if beside := self._beside.get(line):
                return beside
        above: list[str] = []
        line = node.lineno - 1
        while line in self._alone:  # taken away: each statement of a line would join them again
            above.append(self._alone.pop(line))
            line -= 1
        if above:
            self._above[node.lineno] = " ".join(filter(None, reversed(above)))
        return self._above.get(node.lineno, "")


def _type_comment(text: str) -> tuple[ast.expr, str] | None:
    """Split `type: int how many` into the annotation and the description; return None if it is no type comment.

    papermill reads one word as the type; type checkers also accept `type: Dict[str, int]  # how many`.
    """
    comment = _TYPE_COMMENT.fullmatch(text)
    if comment is None:
        return None
    words = comment[1].split(" ")
    for count in range(min(len(words), _MAX_TYPE_WORDS), 0, -1):
        try:
            annotation = ast.parse(" ".join(words[:count]).strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if "x-annotation" not in annotated(annotation):
            rest = " ".join(words[count:]) + comment[2]
            return annotation, rest.lstrip("# ")
    return None


def _parameters(tree: ast.Module, comments: _Comments) -> dict[str, _Parameter]:
    """Return the names that the cell assigns at its top level; the last assignment of a name wins."""
    found: dict[str, _Parameter] = {}
    for node in tree.body:
        if isinstance(node, ast.Delete):
            for target in node.targets:
                found.pop(ast.unparse(target), None)
        assigned = [(name, new) for name, new in _assigned(node) if not name.startswith("_")]
        if not assigned:
            continue
        typed, comment = comments.type_of(node), comments.of(node)
        for name, new in assigned:
            old = found.get(name, _Parameter())
            found[name] = _Parameter(
                annotation=new.annotation or typed or old.annotation,
                default=new.default or old.default,
                comment=comment or old.comment,
            )
    return found


def _assigned(node: ast.stmt) -> Iterator[tuple[str, _Parameter]]:
    match node:
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name, _Parameter(node.annotation, node.value)
        case ast.Assign():
            for target in node.targets:
                yield from _unpacked(target, node.value)
        case ast.AugAssign(target=ast.Name(id=name)):
            yield name, _Parameter(default=node)


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, _Parameter]]:
    match target, value:
        case ast.Name(id=name), _:
            yield name, _Parameter(default=value)
        case (
            (ast.Tuple(elts=names) | ast.List(elts=names)),
            (ast.Tuple(elts=values) | ast.List(elts=values)),
        ) if len(names) == len(values) and not any(isinstance(part, ast.Starred) for part in (*names, *values)):
            for name_, value_ in zip(names, values, strict=True):
                yield from _unpacked(name_, value_)
        case ((ast.Tuple() | ast.List()), _):
            whole = _Parameter(default=ast.Expr(value))
            for part in ast.walk(target):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    yield part.id, whole


class _Defaults:
    """The values and sources of defaults. Several inputs may share one default: it is read once."""

    def __init__(self, text: str) -> None:
        self._lines = [line.encode() for line in text.split("\n")]  # positions in a syntax tree are in bytes
        self._read: dict[int, tuple[JsonObject, int]] = {}
        self._size = 0

    def keywords(self, default: Any) -> JsonObject:
        """Return the `default` of an input, or its `x-default` if it is no JSON value. Raises `OutOfBounds`."""
        if id(default) not in self._read:
            source = self._source(default)
            try:
                found = {"default": json_value(ast.literal_eval(default))}
            except (ValueError, TypeError, SyntaxError):
                found = {"x-default": source}
            self._read[id(default)] = found, len(source)
        found, size = self._read[id(default)]
        self._size += size
        if self._size > bounds.MAX_DEFAULTS_BYTES:
            raise bounds.OutOfBounds(f"its defaults have more than {bounds.MAX_DEFAULTS_BYTES // 1024} KiB together")
        return found

    def _source(self, node: Any) -> str:
        """Return the source of a node. `ast.get_source_segment` splits the whole text for each call."""
        if not hasattr(node, "lineno"):
            return ast.unparse(node)
        lines = self._lines[node.lineno - 1 : node.end_lineno]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        return b"\n".join(lines).decode()


def _property(parameter: _Parameter, defaults_of: _Defaults) -> JsonObject:
    default = parameter.default
    schema = annotated(parameter.annotation) if parameter.annotation else {}
    if parameter.comment:
        schema["description"] = parameter.comment
    if default is None:
        return schema
    if not parameter.annotation:
        schema |= _inferred(default)
    found = defaults_of.keywords(default)
    # `x: int = None` is common and was once the documented way (PEP 484 before 2018).
    return (nullable(schema) if found.get("default", default) is None else schema) | found


def _inferred(default: ast.AST) -> JsonObject:
    """Return the type inferred from a default without annotation; a number allows any number."""
    kind = ""
    match default:
        case ast.Constant(value=bool()):
            kind = "boolean"
        case ast.Constant(value=int() | float()):
            kind = "number"
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=int() | float())):
            kind = "number"
        case ast.Constant(value=str()) | ast.JoinedStr():
            kind = "string"
        case ast.List() | ast.Tuple() | ast.Set():
            kind = "array"
        case ast.Dict():
            kind = "object"
    return {"type": kind} if kind else {}
