"""The base of all errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

#: A caller with more mistakes than this corrects these first.
MAX_ERRORS: Final = 20


class CloudoError(Exception):
    """Base of all errors of this project."""

    code = "error"
    #: Each mistake by itself where one error tells several: its field and its message.
    several: tuple[tuple[str | None, str], ...] = ()

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        #: The input, parameter or setting that is at fault, where there is one; the first of several.
        self.field = field

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Each mistake with its `field` and `message`; empty for an error that names no field."""
        found = self.several or (((self.field, str(self)),) if self.field is not None else ())
        return [{"field": field, "message": message} for field, message in found]

    @property
    def payload(self) -> dict[str, Any]:
        """The error as JSON, from which `from_code` rebuilds it."""
        return {
            "code": self.code,
            "message": str(self),
            "field": self.field,
            **({"errors": self.errors} if self.several else {}),
        }


Error = TypeVar("Error", bound=CloudoError)


def rebuilt(kind: type[Error], message: str, field: str | None, errors: Sequence[dict[str, Any]] = ()) -> Error:
    """Return an error of the kind with this message, whatever its own constructor takes."""
    error = kind.__new__(kind)
    CloudoError.__init__(error, message, field=field)
    if len(errors) > 1:
        error.several = tuple((one.get("field"), one["message"]) for one in errors)
    return error


def raise_all(found: Iterable[CloudoError]) -> None:
    """Raise one error that tells all of `found`, up to `MAX_ERRORS`; return if there are none.

    Its kind and its field are those of the first.
    """
    errors = list(islice(found, MAX_ERRORS + 1))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        kept = errors[:MAX_ERRORS]
        more = " There are more." if len(errors) > MAX_ERRORS else ""
        message = " ".join(map(str, kept)) + more
        raise rebuilt(type(errors[0]), message, errors[0].field, [error.payload for error in kept])
