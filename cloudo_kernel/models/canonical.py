"""The canonical form of each kind of value, for forms, inputs, requests and settings.

Kinds are the words of JSON Schema: `boolean`, `integer`, `number`, and the formats `date`, `time` and `date-time`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any, Final, get_args

#: The accepted values of each kind, for error messages.
FITS: Final = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "date": "a date such as 2026-03-31",
    "time": "a time such as 08:30",
    "date-time": "a date and time such as 2026-03-31T08:30:00+02:00",
}
FORMATS: Final = ("date", "time", "date-time")

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
#: Python converts at most 4,300 digits between text and int.
_MAX_DIGITS = 4000
#: Types of query parameters that are not text.
_QUERY_KINDS: Final = {bool: "boolean", int: "integer", float: "number"}
_WORDS: Final = {
    **dict.fromkeys(("y", "yes", "true", "1", "on"), True),
    **dict.fromkeys(("n", "no", "false", "0", "off"), False),
}


def canonical(kind: str, value: object) -> Any:
    """Return `value` in the canonical form of its kind; a value of another kind is returned unchanged.

    Dates become `YYYY-MM-DD`, times `HH:MM:SS`, moments RFC 3339. Fractions of a second and offsets are kept, the
    offset zero as `Z`. No offset is added to a moment without one. Numbers are finite, and a whole number is an `int`.
    Idempotent. Raises `ValueError`, whose text names the accepted values.
    """
    read = _OF_KIND.get(kind)
    if read is None:
        return value
    try:
        return read(value)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise ValueError(FITS[kind]) from None


def from_text(kind: str, text: str) -> Any:
    """Return the value of a query parameter, a shell argument or a setting, given as text, in its canonical form.

    Raises `ValueError`, whose text names the accepted values.
    """
    text = text.strip()
    if kind == "boolean":
        return canonical(kind, _WORDS.get(text.lower()))
    if kind in ("integer", "number") and len(text) <= _MAX_DIGITS and _NUMBER.fullmatch(text):
        return canonical(kind, int(text) if text.lstrip("+-").isdecimal() else float(text))
    return canonical(kind, text)


def from_query(annotation: Any, text: str) -> Any:
    """Convert a query parameter or header to its type. Invalid text is returned unchanged: a model will name it."""
    kinds = [_QUERY_KINDS[kind] for kind in (get_args(annotation) or (annotation,)) if kind in _QUERY_KINDS]
    try:
        return from_text(kinds[0], text) if kinds else text
    except ValueError:
        return text


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if isinstance(value, int):
        return int(value)
    if not math.isfinite(value):
        raise ValueError
    return float(value)


def _integer(value: Any) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError
    return int(number)


def _date(value: Any) -> str:
    return date.fromisoformat(value).isoformat()


def _time(value: Any) -> str:
    found = time.fromisoformat(value.upper())  # RFC 3339 accepts z for Z
    offset = found.utcoffset()
    if offset is not None and (offset.seconds % 60 or offset.microseconds):
        raise ValueError  # RFC 3339 writes offsets in minutes
    return _with_z(found.isoformat())


def _moment(value: Any) -> str:
    moment = datetime.fromisoformat(value.upper())
    offset = moment.utcoffset()
    if offset is not None and (offset.seconds % 60 or offset.microseconds):
        moment = moment.astimezone(UTC)
    return _with_z(moment.isoformat())


def _with_z(text: str) -> str:
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


_OF_KIND: Final[dict[str, Callable[[Any], Any]]] = {
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "date": _date,
    "time": _time,
    "date-time": _moment,
}
