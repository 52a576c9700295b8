"""The answers to the elements of a form: what fits each kind, in code and in words. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Final

#: The largest file that an answer may bring, before it is encoded.
FILE_LIMIT_BYTES: Final = 5 * 1024 * 1024
#: The longest text.
TEXT_LIMIT: Final = 1_000_000

_Parse = Callable[[str], Any]
_MOMENTS: Final[dict[str, tuple[_Parse, str]]] = {
    "date": (date.fromisoformat, "a date such as 2026-03-31"),
    "time": (time.fromisoformat, "a time such as 08:30"),
    "datetime": (datetime.fromisoformat, "a date and time such as 2026-03-31T08:30:00+02:00"),
}
TEXTS: Final = ("string", "text", "password")


def checked(kind: str, about: Mapping[str, Any], given: object) -> Any:
    """Return `given` as the answer to an element of this kind. Raises `ValueError` with what it takes."""
    fault = ValueError(f"takes {fitting(kind, about)}, not {_shown(kind, given)}")
    if kind in _MOMENTS:
        return _moment(kind, about, given, fault)
    if kind == "multiselect":
        return _choices(about, given, fault)
    if kind == "file":
        return _file(about, given, fault)
    if kind == "select":
        return _choice(about, given, fault)
    if not _is_of(kind, given) or not _is_within(about, _size(given)):
        raise fault
    return int(given) if kind == "integer" and isinstance(given, float) else given


def fitting(kind: str, about: Mapping[str, Any]) -> str:
    """Say what fits, such as "a number from 1 to 10"."""
    if kind in ("select", "multiselect"):
        choices = ", ".join(json.dumps(choice, ensure_ascii=False) for choice in about["enum"][:20])
        bounds = _range(about).removeprefix(" from").removeprefix(" of")
        return f"{'one' if kind == 'select' else f'a list with{bounds}' if bounds else 'a list'} of {choices}"
    if kind in _MOMENTS:
        return _MOMENTS[kind][1] + _range(about)
    word = {"number": "a number", "integer": "a whole number", "toggle": "true or false", "submit": "true or false"}
    if kind in word:
        return word[kind] + _range(about)
    if kind == "file":
        size = f"at most {_file_limit(about)} bytes"
        return f"a file of {size}: an object with `name` and `content`, which is its Base64"
    bounds = _range(about).removeprefix(" from").removeprefix(" of")
    return f"text of{bounds} characters" if bounds else "text"


def check_bounds(kind: str, about: Mapping[str, Any]) -> None:
    """Raise `ValueError(what, word)` when `minimum` or `maximum` cannot be compared with an answer."""
    for word in ("minimum", "maximum"):
        bound = about.get(word)
        if bound is None or kind in ("markdown", "submit", "toggle", "select"):
            continue
        if kind in _MOMENTS:
            if not _is_moment(kind, bound):
                raise ValueError(f"is {_MOMENTS[kind][1]}, not {_shown(kind, bound)}", word)
        elif not _is_of("number", bound):
            raise ValueError(f"is a number, not {_shown(kind, bound)}", word)
    lowest, highest = about.get("minimum"), about.get("maximum")
    if kind in ("markdown", "submit", "toggle", "select") or lowest is None or highest is None:
        return
    is_in_order = _is_moment_within(kind, {"minimum": lowest}, highest) if kind in _MOMENTS else lowest <= highest
    if not is_in_order:
        raise ValueError(f"is at least the minimum, {_shown(kind, lowest)}, not {_shown(kind, highest)}", "maximum")


def _is_of(kind: str, given: object) -> bool:
    if kind in ("toggle", "submit"):
        return isinstance(given, bool)
    if kind in TEXTS:
        return isinstance(given, str) and len(given) <= TEXT_LIMIT
    if isinstance(given, bool) or not isinstance(given, int | float):
        return False
    if isinstance(given, float) and not math.isfinite(given):
        return False
    return kind == "number" or given == int(given)


def _size(given: Any) -> Any:
    """Return what `minimum` and `maximum` are about: the length of a text or list, else the value."""
    return len(given) if isinstance(given, str | list) else given


def _is_within(about: Mapping[str, Any], size: Any) -> bool:
    if isinstance(size, bool):
        return True
    lowest, highest = about.get("minimum"), about.get("maximum")
    return (lowest is None or size >= lowest) and (highest is None or size <= highest)


def _is_moment(kind: str, given: object) -> bool:
    try:
        _MOMENTS[kind][0](given)  # type: ignore[arg-type]  # what is no text is a TypeError
    except (ValueError, TypeError):
        return False
    return True


def _moment(kind: str, about: Mapping[str, Any], given: object, fault: ValueError) -> str:
    if not isinstance(given, str) or not _is_moment(kind, given) or not _is_moment_within(kind, about, given):
        raise fault
    return given


def _is_moment_within(kind: str, about: Mapping[str, Any], given: str) -> bool:
    parse = _MOMENTS[kind][0]
    bounds = {word: parse(about[word]) for word in ("minimum", "maximum") if about.get(word) is not None}
    try:
        return _is_within(bounds, parse(given))
    except TypeError:  # one of them has an offset from UTC, the other has none: both are taken as wall clocks
        plain = {word: bound.replace(tzinfo=None) for word, bound in bounds.items()}
        return _is_within(plain, parse(given).replace(tzinfo=None))


def _choice(about: Mapping[str, Any], given: object, fault: ValueError) -> Any:
    return _choices_of(about["enum"], [given], fault)[0]


def _choices(about: Mapping[str, Any], given: object, fault: ValueError) -> list[Any]:
    if not isinstance(given, list | tuple) or not _is_within(about, len(given)):
        raise fault
    chosen = _choices_of(about["enum"], given, fault)
    if len({(isinstance(one, bool), one) for one in chosen}) < len(chosen):
        raise fault
    return chosen


def _choices_of(choices: Sequence[Any], given: Sequence[object], fault: ValueError) -> list[Any]:
    """Return the choices that are given: an answer may have as many as a form, which is thousands."""
    # In Python 1 == True == 1.0; in JSON only the numbers are the same.
    known = {(isinstance(choice, bool), choice): choice for choice in reversed(choices)}
    try:
        return [known[isinstance(one, bool), one] for one in given]
    except (KeyError, TypeError):  # no choice, or nothing that could be one
        raise fault from None


def _file(about: Mapping[str, Any], given: object, fault: ValueError) -> dict[str, str]:
    if not isinstance(given, Mapping) or set(given) - {"name", "content", "type"}:
        raise fault
    parts = {part: given.get(part, "") for part in ("name", "content", "type")}
    name = parts["name"]
    if not all(isinstance(part, str) for part in parts.values()) or not name or "/" in name or "\\" in name:
        raise fault
    # Before it is decoded: four characters of Base64 are three bytes.
    if len(parts["content"]) > 4 * _file_limit(about) / 3 + 4:
        raise fault
    try:
        content = base64.b64decode(parts["content"], validate=True)
    except binascii.Error:
        raise fault from None
    if not _is_within({**about, "maximum": _file_limit(about)}, len(content)):
        raise fault
    return parts


def _file_limit(about: Mapping[str, Any]) -> int:
    return int(min(FILE_LIMIT_BYTES, about.get("maximum") or FILE_LIMIT_BYTES))


def _range(about: Mapping[str, Any]) -> str:
    lowest, highest = about.get("minimum"), about.get("maximum")
    if lowest is not None and highest is not None:
        return f" from {lowest} to {highest}"
    return f" of at least {lowest}" if lowest is not None else f" of at most {highest}" if highest is not None else ""


def _shown(kind: str, given: object) -> str:
    """Return a value for an error message; what is secret or long is told by its type."""
    if kind in ("password", "file"):
        return f"this {type(given).__name__}"
    try:
        text = json.dumps(given, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(given)
    return text if len(text) <= 60 else f"{text[:59]}…"
