"""Conversion to JSON values, the only values that inputs and defaults can have."""

from __future__ import annotations

import math
from typing import Any

#: Python refuses to print integers of more than 4,300 digits; 14,000 bits are 4,215.
_MAX_BITS = 14_000
#: `json` and every JSON reader are recursive; Python's own limit is 1,000 calls.
_DEEPEST = 100


class NotJson(ValueError):
    """A value, or a part of it, that is not possible in JSON; the text is the reason."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        #: The path in the value, such as `[2].name`; empty for the value itself.
        self.path = path


def json_value(value: object) -> Any:
    """Return the value as plain dicts, lists, text, numbers, booleans and None. Raises `NotJson`."""
    try:
        return _plain(value, 0)
    except (_NotPlain, UnicodeEncodeError):  # slower: converts values, and finds an invalid one
        return _converted(value, path="", depth=0)


class _NotPlain(Exception):
    """A value that is not a plain JSON value, or not possible in JSON."""


def _plain(value: Any, depth: int) -> Any:
    """Return a copy of a value that is already plain, as every value parsed from JSON is.

    Raises `_NotPlain` and `UnicodeEncodeError`.
    """
    kind = type(value)
    if kind is dict and depth < _DEEPEST:
        # ASCII text is copied without a recursive call, because every input of a start passes through here.
        copy = {}
        for key, part in value.items():
            if type(key) is not str or not key.isascii():
                raise _NotPlain
            copy[key] = part if type(part) is str and part.isascii() else _plain(part, depth + 1)
        return copy
    if kind is list and depth < _DEEPEST:
        return [part if type(part) is str and part.isascii() else _plain(part, depth + 1) for part in value]
    if kind is str:
        value.encode()
    elif not (
        value is None
        or kind is bool
        or (kind is int and value.bit_length() < 64)
        or (kind is float and math.isfinite(value))
    ):
        raise _NotPlain
    return value


def _converted(value: object, *, path: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise NotJson("", f"it is nested more than {_DEEPEST} deep")
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, path)
        case int() | float():
            return _number(value, path)
        case list() | tuple():
            return [_converted(item, path=f"{path}[{index}]", depth=depth + 1) for index, item in enumerate(value)]
        case dict():
            return {
                _key(key, path): _converted(item, path=f"{path}.{key}", depth=depth + 1) for key, item in value.items()
            }
    raise NotJson(path, f"a value of the type {type(value).__name__} cannot be written as JSON")


def _text(value: str, path: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise NotJson(path, "the text holds half a character (an unpaired surrogate)") from None
    return str.__str__(value)


def _number(value: float, path: str) -> float:
    if isinstance(value, int):
        if value.bit_length() > _MAX_BITS:
            raise NotJson(path, "the number has more than 4,000 digits")
        return int(value)
    if not math.isfinite(value):
        raise NotJson(path, "NaN and infinity cannot be written as JSON")
    return float(value)


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise NotJson(path, f"a key of the type {type(key).__name__} cannot be written as JSON, only text can")
    return _text(key, path)
