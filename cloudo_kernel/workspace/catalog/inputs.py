"""Validates inputs against a flow's schema, with error messages for people."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import fastjsonschema

from cloudo_kernel.errors import MAX_ERRORS, InputsInvalid, raise_all
from cloudo_kernel.models import JsonObject
from cloudo_kernel.models.canonical import FITS, FORMATS, canonical
from cloudo_kernel.security.redaction import PROTECTED
from cloudo_kernel.workspace.catalog.parameters import required
from cloudo_kernel.workspace.catalog.values import NotJson, json_value

_MAX_SIMILAR = 100
_RULES = ("type", "enum", "anyOf", "items", "minItems", "maxItems", "additionalProperties", "format")
_KINDS = {
    "integer": "an integer",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def validate(schema: JsonObject, inputs: JsonObject) -> JsonObject:
    """Return a copy of the inputs in canonical form: 3.0 for an integer becomes 3, 08:30 for a time 08:30:00.

    Defaults are not filled in. Raises `InputsInvalid`, which lists each invalid input.
    """
    if not isinstance(inputs, dict):
        raise InputsInvalid(f"Inputs are an object of names and values, not {type(inputs).__name__}.")
    properties = schema.get("properties", {})
    faults, fitted = list(islice(_wrong_names(schema, inputs), MAX_ERRORS + 1)), {}
    for name in inputs:
        if len(faults) <= MAX_ERRORS and (name in properties or schema.get("additionalProperties") is not False):
            try:
                fitted[_plain(name)] = _fitted(name, inputs[name], properties.get(name, {}))
            except InputsInvalid as fault:
                faults.append(fault)
    raise_all(faults)
    return fitted


def _wrong_names(schema: JsonObject, inputs: JsonObject) -> Iterator[InputsInvalid]:
    """Yield an error for each unknown name and for each missing one."""
    properties = schema.get("properties", {})
    for name in inputs:
        if not isinstance(name, str):
            raise InputsInvalid(f"The name of an input is text, not {type(name).__name__}.")
        if name not in properties and schema.get("additionalProperties") is False:
            yield InputsInvalid(_unknown(name, list(properties)), field=name)
    for name in required(schema):
        if name not in inputs:
            takes = _fitting(properties[name]) or "any value"
            yield InputsInvalid(f"The flow needs the input '{name}': {takes}.", field=name)


def _plain(name: str) -> str:
    if type(name) is str and name.isascii():
        return name
    try:
        return str(json_value(name))
    except NotJson as error:
        raise InputsInvalid(f"{_quoted(name)} cannot be the name of an input: {error}.") from None


def _fitted(name: str, given: object, schema: JsonObject) -> Any:
    try:
        value = json_value(given)
    except NotJson as error:
        raise InputsInvalid(f"The input {_quoted(name + error.path)} is invalid: {error}.", field=name) from None
    if not schema:  # any value is valid
        return value
    if fault := _fault(schema, value):
        label = name + (fault.name or "").removeprefix("data")
        shown = PROTECTED if schema.get("writeOnly") else _shown(fault.value)
        raise InputsInvalid(
            f"The input {_quoted(label)} takes {_fitting(fault.definition)}, not {shown}.",
            field=name,
        )
    return _typed(schema, value)


def _fault(schema: JsonObject, value: object) -> fastjsonschema.JsonSchemaValueException | None:
    rules = {rule: schema[rule] for rule in _RULES if rule in schema}
    try:
        _validator(json.dumps(rules))(value)
    except fastjsonschema.JsonSchemaValueException as fault:
        return fault
    return None


@lru_cache(maxsize=1024)
def _validator(rules: str) -> Callable[[object], object]:
    formats = {kind: _reader(kind) for kind in FORMATS}
    draft = {"$schema": "http://json-schema.org/draft-07/schema#"}
    compiled: Callable[[object], object] = fastjsonschema.compile(
        draft | json.loads(rules), formats=formats, use_default=False
    )
    return compiled


def _reader(kind: str) -> Callable[[str], bool]:
    """Return the validator of a format: text is valid if it has a canonical form."""

    def is_readable(text: str) -> bool:
        try:
            canonical(kind, text)
        except ValueError:
            return False
        return True

    return is_readable


def _typed(schema: JsonObject, value: Any) -> Any:
    """Return a valid value in canonical form; JSON has one type of number, Python two."""
    match value:
        case _ if not schema:  # any value is valid and stays the same
            pass
        case float() if "integer" in schema.get("type", ()):
            value = canonical("integer", value)
        case str() if "format" in schema:
            value = canonical(schema["format"], value)
        case _ if "anyOf" in schema:
            return _typed(next(branch for branch in schema["anyOf"] if not _fault(branch, value)), value)
        case list() if isinstance(items := schema.get("items", {}), list):
            return [_typed(item, part) for item, part in zip(items, value, strict=True)]
        case list():
            return [_typed(items, part) for part in value]
        case dict():
            return {key: _typed(schema.get("additionalProperties", {}), part) for key, part in value.items()}
    return value


def _unknown(name: str, known: list[str]) -> str:
    # difflib is slow for long texts.
    similar = difflib.get_close_matches(name, known, n=1) if len(name) <= _MAX_SIMILAR else []
    hint = f" Did you mean {similar[0]!r}?" if similar else ""
    takes = f" Its inputs: {', '.join(known)}." if known else " It has no inputs."
    return f"The flow has no input {_quoted(name)}.{hint}{takes}"


def _fitting(schema: JsonObject) -> str:
    """Return a description of valid values; of nested lists it describes only the two outermost."""
    if "enum" in schema:
        return f"one of {', '.join(map(_shown, schema['enum']))}"
    types = schema.get("type", [])
    words = [_kind(kind, schema) for kind in ([types] if isinstance(types, str) else types)]
    return " or ".join(dict.fromkeys(words + [_fitting(branch) for branch in schema.get("anyOf", ())]))


def _kind(kind: str, schema: JsonObject) -> str:
    if kind == "string" and "format" in schema:
        return FITS[schema["format"]]
    items = schema.get("items", {}) if kind == "array" else {}
    if isinstance(items, list):
        return f"a list of exactly {len(items)} items"
    of = _fitting({rule: value for rule, value in items.items() if rule != "items"})
    return f"a list (each item: {of})" if of else _KINDS[kind]


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _quoted(name: str) -> str:
    return repr(name) if len(name) <= 100 else f"{name[:99]!r}…"
