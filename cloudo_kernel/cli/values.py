"""Parses the words of a command line into inputs of a flow and flags of a server. Pure; reads no files."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from cloudo_kernel.security.bounds import OutOfBounds, check_yaml

if TYPE_CHECKING:
    from yaml import SafeLoader

#: Patterns of values that are not text: YAML 1.2's core schema, limited to JSON. YAML 1.1 would read `no` as false,
#: `010` as 8 and `2025-03-31` as a date.
_WORDS = {
    "bool": "true|True|TRUE|false|False|FALSE",
    "null": "null|Null|NULL",
    "int": "-?(?:0|[1-9][0-9]*)",
    "float": r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?",
}
_PLAIN = re.compile("|".join(_WORDS.values()))


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


def document(text: str) -> Any:
    """Parse a whole YAML document, limited to JSON values. Raises `ValueError`."""
    import yaml

    try:
        check_yaml(text)
        return yaml.load(text, _loader())  # noqa: S506 -- it is a SafeLoader  # nosec B506
    except (yaml.YAMLError, OutOfBounds) as error:
        raise ValueError(f"That is not YAML: {error}") from error


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
    if _PLAIN.fullmatch(text):
        return json.loads(text.lower())
    if not text.startswith(("[", "{", '"', "'")):
        return text  # `note: this` is text here, not a mapping
    try:
        return document(text)
    except ValueError:
        return text


def _loader() -> type[SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads fewer words as something other than text."""

        yaml_implicit_resolvers = {}  # noqa: RUF012 -- PyYAML's API: add_implicit_resolver fills it

    for tag, words in _WORDS.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{words})$"), None)
    return Loader


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
