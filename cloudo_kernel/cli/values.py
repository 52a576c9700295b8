"""From the words of a command line to the inputs of a flow and the flags of a server. Pure; reads no file."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from cloudo_kernel.security.bounds import OutOfBounds, check_yaml

if TYPE_CHECKING:
    from yaml import SafeLoader

#: What is no text: YAML 1.2's core schema, as far as JSON can say it. YAML 1.1 would take `no` for false, `010` for 8
#: and `2025-03-31` for a date.
_WORDS = {
    "bool": "true|True|TRUE|false|False|FALSE",
    "null": "null|Null|NULL",
    "int": "-?(?:0|[1-9][0-9]*)",
    "float": r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?",
}
_PLAIN = re.compile("|".join(_WORDS.values()))


def inputs_of(words: Sequence[str], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs that `KEY=VALUE` words give; the last one of a key counts. Raises `ValueError`."""
    inputs = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise ValueError(f"{word!r} is not of the form KEY=VALUE.")
        inputs[key] = input_value(text, schema.get("properties", {}).get(key, {}))
    return inputs


def input_value(text: str, schema: dict[str, Any]) -> Any:
    """Return what the text stands for: what the input's schema takes, else what YAML would read, else the text.

    An input that takes text gets the text as it stands, so that `01234` stays a zip code; one that takes other things
    too gets those where the text reads like them.
    """
    types = _types(schema)
    if types == {"string"}:
        return text
    if text in schema.get("enum", ()):
        return text
    found = _parsed(text)
    return text if "string" in types and not _is_one_of(types, found) else found


def document(text: str) -> Any:
    """Return what a whole YAML document says, as far as JSON can say it. Raises `ValueError`."""
    import yaml

    try:
        check_yaml(text)
        return yaml.load(text, _loader())  # noqa: S506 -- it is a SafeLoader  # nosec B506
    except (yaml.YAMLError, OutOfBounds) as error:
        raise ValueError(f"That is not YAML: {error}") from error


def jupyter_flags(words: Sequence[str], switches: Collection[str]) -> tuple[list[str], list[str]]:
    """Return Jupyter's flags as it takes them in every version, `--port=8899`, and the words that belong to none.

    `switches` are the names of flags that take no value.
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
        return text  # `note: this` is a text here, not a mapping
    try:
        return document(text)
    except ValueError:
        return text


def _loader() -> type[SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):
        """Takes fewer words for something else than text."""

        yaml_implicit_resolvers = {}  # noqa: RUF012 -- yaml's own way: its add_implicit_resolver fills it

    for tag, words in _WORDS.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{words})$"), None)
    return Loader


def _types(schema: dict[str, Any]) -> set[str]:
    """Return the JSON types that a schema takes; empty when it takes any."""
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
