"""Parses the words of a command line into inputs of a flow and flags of a server. Pure; reads no files."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from cloudo_kernel.security.documents import PLAIN, document


def inputs_of(words: Sequence[str], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs from `KEY=VALUE` words. The last word of a key wins. Raises `ValueError`."""
    inputs = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise ValueError(f"{word!r} is not of the form KEY=VALUE.")
        inputs[key] = input_value(text, schema.get("properties", {}).get(key, {}))
    return inputs


def input_value(text: str, schema: dict[str, Any]) -> Any:
    """Parse the text by the input's schema, else as YAML, else return it as text.

    An input that accepts only text gets the text unchanged, so that `01234` stays a zip code. One that also accepts
    other types gets a value of those if the text reads like one.
    """
    types = _types(schema)
    if types == {"string"}:
        return text
    if text in schema.get("enum", ()):
        return text
    found = _parsed(text)
    return text if "string" in types and not _is_one_of(types, found) else found


def jupyter_flags(words: Sequence[str], switches: Collection[str]) -> tuple[list[str], list[str]]:
    """Return Jupyter's flags in the form of every version, `--port=8899`, and the words that belong to no flag.

    `switches` are the names of flags without a value.
    """
    flags: list[str] = []
    rest: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("-"):
            rest.append(word)
        elif "=" not in word and word.lstrip("-") not in switches and waiting and not waiting[0].startswith("-"):
            flags.append(f"{word}={waiting.pop(0)}")
        else:
            flags.append(word)
    return flags, rest


def _parsed(text: str) -> Any:
    if PLAIN.fullmatch(text):
        return json.loads(text.lower())
    if not text.startswith(("[", "{", '"', "'")):
        return text  # `note: this` is text here, not a mapping
    try:
        return document(text)
    except ValueError:
        return text


def _types(schema: dict[str, Any]) -> set[str]:
    """Return the JSON types that a schema accepts, or an empty set if it accepts any."""
    named = schema.get("type", [])
    types = {named} if isinstance(named, str) else set(named)
    return types.union(*map(_types, schema.get("anyOf", ())))


def _is_one_of(types: set[str], value: Any) -> bool:
    match value:
        case None:
            return "null" in types
        case bool():
            return "boolean" in types
        case int() | float():
            return not types.isdisjoint(("number", "integer"))
        case list():
            return "array" in types
        case dict():
            return "object" in types
    return False
