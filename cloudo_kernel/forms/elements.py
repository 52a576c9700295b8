"""Checks answers to the elements of a form, and describes in words what each kind accepts. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from cloudo_kernel.models.canonical import FITS, canonical, from_text
from cloudo_kernel.scheduling import zones

#: Maximum size of a file in an answer, before it is encoded.
FILE_LIMIT_BYTES: Final = 5 * 1024 * 1024
#: Maximum length of a text.
TEXT_LIMIT: Final = 1_000_000

_MOMENTS: Final[dict[str, Callable[[str], Any]]] = {
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "datetime": datetime.fromisoformat,
}
#: Element → the kind of its canonical form. Answers to other elements have none.
_CANONICAL: Final = {
    "number": "number",
    "integer": "integer",
    "toggle": "boolean",
    "submit": "boolean",
    "date": "date",
    "time": "time",
    "datetime": "date-time",
}
TEXTS: Final = ("string", "text", "password")


def checked(kind: str, about: Mapping[str, Any], given: object) -> Any:
    """Return `given` as a checked answer to an element of this kind. Raises `ValueError`, which says what fits."""
    fault = ValueError(f"takes {fitting(kind, about)}, not {_shown(kind, given)}")
    if kind == "multiselect":
        return _choices(about, given, fault)
    if kind == "file":
        return _file(about, given, fault)
    if kind == "select":
        return _choice(about, given, fault)
    try:
        value = canonical(_CANONICAL.get(kind, ""), given)
    except ValueError:
        raise fault from None
    if kind in TEXTS and not (isinstance(value, str) and len(value) <= TEXT_LIMIT):
        raise fault
    if not (_is_moment_within(kind, about, value) if kind in _MOMENTS else _is_within(about, _size(value))):
        raise fault
    return value


def defined(kind: str, value: object) -> Any:
    """Return a value that a form gives for an element, such as its default, in canonical form.

    Scripts write numbers as text, and moments as seconds since 1970. Raises `ValueError`.
    """
    of = _CANONICAL.get(kind, kind)
    if isinstance(value, str):
        return from_text(of, value) if of in FITS else value
    if of == "date-time" and not isinstance(value, bool) and isinstance(value, int | float):
        try:
            value = datetime.fromtimestamp(value, UTC).isoformat()
        except (OverflowError, OSError):
            raise ValueError(FITS[of]) from None
    return canonical(of, value)


def with_offset(text: str, zone: ZoneInfo) -> str:
    """Return a moment in canonical form with an offset. Without an offset, `text` is local time in the zone.

    Raises `MalformedRequest` if it is out of range.
    """
    local = datetime.fromisoformat(text)
    moment = zones.resolve(local, zone).astimezone(zone) if local.tzinfo is None else local
    return str(canonical("date-time", moment.isoformat()))


def fitting(kind: str, about: Mapping[str, Any]) -> str:
    """Return the accepted answers in words, such as "a number from 1 to 10"."""
    if kind in ("select", "multiselect"):
        choices = ", ".join(json.dumps(choice, ensure_ascii=False) for choice in about["enum"][:20])
        bounds = _range(about).removeprefix(" from").removeprefix(" of")
        return f"{'one' if kind == 'select' else f'a list with{bounds}' if bounds else 'a list'} of {choices}"
    if kind in _CANONICAL:
        return FITS[_CANONICAL[kind]] + _range(about)
    if kind == "file":
        size = f"at most {_file_limit(about)} bytes"
        return f"a file of {size}: an object with `name` and `content`, which is its Base64"
    bounds = _range(about).removeprefix(" from").removeprefix(" of")
    return f"text of{bounds} characters" if bounds else "text"


def bounds(kind: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return `minimum` and `maximum` in canonical form, if the element has them.

    Raises `ValueError(message, word)` if one of them is invalid; `word` names it.
    """
    if kind in ("markdown", "submit", "toggle", "select"):
        return {}
    of = kind if kind in _MOMENTS else "number"
    found = {}
    for word in ("minimum", "maximum"):
        if (bound := about.get(word)) is not None:
            try:
                found[word] = defined(of, bound)
            except ValueError:
                raise ValueError(f"is {FITS[_CANONICAL[of]]}, not {_shown(kind, bound)}", word) from None
    lowest, highest = found.get("minimum"), found.get("maximum")
    if lowest is None or highest is None:
        return found
    is_in_order = _is_moment_within(kind, {"minimum": lowest}, highest) if kind in _MOMENTS else lowest <= highest
    if not is_in_order:
        raise ValueError(f"is at least the minimum, {_shown(kind, lowest)}, not {_shown(kind, highest)}", "maximum")
    return found


def _size(given: Any) -> Any:
    """Return the number that `minimum` and `maximum` limit: the length of a text or list, else the value."""
    return len(given) if isinstance(given, str | list) else given


def _is_within(about: Mapping[str, Any], size: Any) -> bool:
    if isinstance(size, bool):
        return True
    lowest, highest = about.get("minimum"), about.get("maximum")
    return (lowest is None or size >= lowest) and (highest is None or size <= highest)


def _is_moment_within(kind: str, about: Mapping[str, Any], given: str) -> bool:
    parse = _MOMENTS[kind]
    limits = {word: parse(about[word]) for word in ("minimum", "maximum") if about.get(word) is not None}
    try:
        return _is_within(limits, parse(given))
    except TypeError:  # only one of them has a UTC offset: compare both as local times
        plain = {word: bound.replace(tzinfo=None) for word, bound in limits.items()}
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
    """Return the given choices, found in a dictionary: form and answer may each have thousands."""
    # In Python 1 == True == 1.0; in JSON only the numbers are equal.
    known = {(isinstance(choice, bool), choice): choice for choice in reversed(choices)}
    try:
        return [known[isinstance(one, bool), one] for one in given]
    except (KeyError, TypeError):  # not a choice, or not hashable
        raise fault from None


def _file(about: Mapping[str, Any], given: object, fault: ValueError) -> dict[str, str]:
    if not isinstance(given, Mapping) or set(given) - {"name", "content", "type"}:
        raise fault
    parts = {part: given.get(part, "") for part in ("name", "content", "type")}
    name = parts["name"]
    if not all(isinstance(part, str) for part in parts.values()) or not name or "/" in name or "\\" in name:
        raise fault
    # Checked before decoding: four characters of Base64 are three bytes.
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
    """Return a value for an error message. Passwords and files show only their type, and long values are cut."""
    if kind in ("password", "file"):
        return f"this {type(given).__name__}"
    try:
        text = json.dumps(given, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(given)
    return text if len(text) <= 60 else f"{text[:59]}…"
