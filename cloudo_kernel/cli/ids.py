"""Resolves ids on the command line: a whole id, or its unique beginning or end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudo_kernel.errors import CloudoError

#: Fewer digits would match too many ids.
_MIN_DIGITS = 4


def find_id(text: str, listed: Callable[[], Iterable[tuple[str, str]]], missing: Callable[[str], CloudoError]) -> str:
    """Return the id for `text`.

    `listed` returns all ids, each with a short description, and `missing` the error to raise if none matches.
    Raises that error, and `MalformedRequest` if `text` is too short or matches several ids.
    """
    from cloudo_kernel.errors import MalformedRequest

    wanted = text.lower()
    if len(wanted) == 36:
        return wanted
    if len(wanted) < _MIN_DIGITS:
        raise MalformedRequest(f"{text!r} is too short for an id. Give at least {_MIN_DIGITS} of its digits.")
    found = [(one, words) for one, words in listed() if one.startswith(wanted) or one.endswith(wanted)]
    if not found:
        raise missing(text)
    if len(found) > 1:
        some = "\n".join(f"  {one}  {words}" for one, words in found[:5])
        raise MalformedRequest(f"{text!r} is part of {len(found)} ids. Give more of it:\n{some}")
    return found[0][0]
