"""Converts type annotations to JSON Schema. Reads the syntax tree; nothing is imported or run."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from cloudo_kernel.models import JsonObject
from cloudo_kernel.workspace.catalog.values import json_value

#: fastjsonschema generates a nested loop for each level, and Python allows up to 20 of them.
_DEEPEST = 8
#: Each value of an input is checked against each of them.
_MAX_ALTERNATIVES = 20
_NULL: JsonObject = {"type": "null"}
_ARRAYS = {"list", "List", "tuple", "Tuple", "set", "Set", "frozenset", "FrozenSet", "Sequence", "Iterable"}
_OBJECTS = {"dict", "Dict", "Mapping", "MutableMapping"}
_PLAIN: dict[str, JsonObject] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "time": {"type": "string", "format": "time"},
    "Path": {"type": "string"},
    "Any": {},
    **{name: {"type": "array"} for name in _ARRAYS},
    **{name: {"type": "object"} for name in _OBJECTS},
}
_LITERALS = {bool: "boolean", int: "integer", str: "string", type(None): "null"}


def annotated(annotation: ast.expr) -> JsonObject:
    """Return the schema of an annotation; an unsupported one allows any value and has its text in `x-annotation`."""
    return _schema(annotation, 0)


def nullable(schema: JsonObject) -> JsonObject:
    """Return the schema, extended to allow None."""
    if "anyOf" in schema:
        return schema if _NULL in schema["anyOf"] else {**schema, "anyOf": [*schema["anyOf"], _NULL]}
    types = _types(schema)
    if not types or "null" in types:
        return schema
    values = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [*types, "null"], **values}


def _schema(node: ast.expr, depth: int) -> JsonObject:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return {"x-annotation": ast.unparse(node)}
    known = _understood(node, depth) if depth <= _DEEPEST else None
    return {"x-annotation": ast.unparse(node)} if known is None else known


def _understood(node: ast.expr, depth: int) -> JsonObject | None:
    match node:
        case ast.Constant(value=None):
            return dict(_NULL)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return dict(_PLAIN[name]) if name in _PLAIN else None
        case ast.BinOp(op=ast.BitOr()):
            return _union(_alternatives(node), depth)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            return _generic(name, inner.elts if isinstance(inner, ast.Tuple) else [inner], depth)
    return None


def _alternatives(node: ast.expr) -> list[ast.expr]:
    found: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        found.insert(0, node.right)
        node = node.left
    return [node, *found]


def _generic(name: str, arguments: Sequence[ast.expr], depth: int) -> JsonObject | None:
    schema: JsonObject | None = None
    match name, arguments:
        case "Optional", [argument]:
            schema = _union([*_alternatives(argument), ast.Constant(None)], depth)
        case "Union", _:
            schema = _union(arguments, depth)
        case "Annotated", [argument, *_]:
            schema = _schema(argument, depth)
        case "Literal", _:
            schema = _literal(arguments)
        case "tuple" | "Tuple", [argument, ast.Constant(value=value)] if value is ...:
            schema = {"type": "array", "items": _schema(argument, depth + 1)}
        case "tuple" | "Tuple", _:
            items = [_schema(argument, depth + 1) for argument in arguments]
            schema = {"type": "array", "items": items, "minItems": len(items), "maxItems": len(items)}
        case _, [argument] if name in _ARRAYS:
            schema = {"type": "array", "items": _schema(argument, depth + 1)}
        case _, [_, argument] if name in _OBJECTS:
            schema = {"type": "object", "additionalProperties": _schema(argument, depth + 1)}
    return schema


def _literal(arguments: Sequence[ast.expr]) -> JsonObject | None:
    try:
        values = [json_value(ast.literal_eval(argument)) for argument in arguments]
        types = list(dict.fromkeys(_LITERALS[type(value)] for value in values))
    except (ValueError, KeyError):
        return None
    return {"type": types[0] if len(types) == 1 else types, "enum": values}


def _union(nodes: Sequence[ast.expr], depth: int) -> JsonObject | None:
    branches: list[JsonObject] = []
    for node in nodes:
        schema = _schema(node, depth + 1)
        branches += schema.get("anyOf", [schema])
    if len(branches) > _MAX_ALTERNATIVES or not all(
        map(_types, branches)
    ):  # one of them allows any value, so the union does
        return None
    if all(branch.keys() == {"type"} for branch in branches):
        types = list(dict.fromkeys(kind for branch in branches for kind in _types(branch)))
        if "number" in types and "integer" in types:
            types.remove("integer")
        return {"type": types[0] if len(types) == 1 else types}
    others = [branch for branch in branches if branch != _NULL]
    if len(others) == 1:
        return nullable(others[0])
    return {"anyOf": branches}


def _types(schema: JsonObject) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else types
