"""The conditions for which `wait_for` can wait."""

from __future__ import annotations

from enum import StrEnum

from cloudo_kernel.errors import MalformedRequest


class ReturnWhen(StrEnum):
    """The condition that `this.wait_for` waits for."""

    ALL_ENDED = "ALL_ENDED"
    ALL_SUCCEEDED = "ALL_SUCCEEDED"
    FIRST_ENDED = "FIRST_ENDED"


def known_word(word: ReturnWhen | str) -> ReturnWhen:
    """Return the `ReturnWhen` that `word` names. Raises `MalformedRequest`."""
    try:
        return ReturnWhen(word)
    except ValueError:
        raise MalformedRequest(
            f"return_when takes {', '.join(ReturnWhen)}, not {word!r}.", field="return_when"
        ) from None
