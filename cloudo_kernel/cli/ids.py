"""Finds what an id on the command line means: the whole of it, or a beginning or an end that no other has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudo_kernel.errors import CloudoError

#: Fewer digits than this fit too many to be meant.
_MIN_DIGITS = 4


def find_id(text: str, listed: Callable[[], Iterable[tuple[str, str]]], missing: Callable[[str], CloudoError]) -> str:
    """Return the id that is meant by `text`.

    `listed` gives the ids that there are, each with a few words about it, and `missing` the error if none of them
    fits. Raises that, and `MalformedRequest` for what is too short or fits several.
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
