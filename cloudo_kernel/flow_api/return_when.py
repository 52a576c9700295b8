"""When a wait for executions comes back."""

from __future__ import annotations

from enum import StrEnum

from cloudo_kernel.errors import MalformedRequest


class ReturnWhen(StrEnum):
    """When `this.wait_for` comes back."""

    ALL_ENDED = "ALL_ENDED"
    ALL_SUCCEEDED = "ALL_SUCCEEDED"
    FIRST_ENDED = "FIRST_ENDED"


def known_word(word: ReturnWhen | str) -> ReturnWhen:
    """Return the word that an author wrote. Raises `MalformedRequest`."""
    try:
        return ReturnWhen(word)
    except ValueError:
        raise MalformedRequest(
            f"return_when takes {', '.join(ReturnWhen)}, not {word!r}.", field="return_when"
        ) from None
