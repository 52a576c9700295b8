"""The base class of all errors, and errors that combine several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

#: Maximum number of errors that one error combines.
MAX_ERRORS: Final = 20


class CloudoError(Exception):
    """Base class of all errors of this project."""

    code = "error"
    #: The field and message of each error that this one combines. Empty for a single error.
    several: tuple[tuple[str | None, str], ...] = ()

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        #: The invalid input, parameter or setting, or None. The first one if there are several.
        self.field = field

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Each combined error with its `field` and `message`. Empty for a single error without a field."""
        found = self.several or (((self.field, str(self)),) if self.field is not None else ())
        return [{"field": field, "message": message} for field, message in found]

    @property
    def payload(self) -> dict[str, Any]:
        """The error as JSON. `from_code` rebuilds it."""
        return {
            "code": self.code,
            "message": str(self),
            "field": self.field,
            **({"errors": self.errors} if self.several else {}),
        }


Error = TypeVar("Error", bound=CloudoError)


def rebuilt(kind: type[Error], message: str, field: str | None, errors: Sequence[dict[str, Any]] = ()) -> Error:
    """Return an error of `kind` with this message, bypassing the kind's own constructor."""
    error = kind.__new__(kind)
    CloudoError.__init__(error, message, field=field)
    if len(errors) > 1:
        error.several = tuple((one.get("field"), one["message"]) for one in errors)
    return error


def raise_all(found: Iterable[CloudoError]) -> None:
    """Raise one error that combines all of `found`, up to `MAX_ERRORS`. Return if `found` is empty.

    The first error gives its kind and its field.
    """
    errors = list(islice(found, MAX_ERRORS + 1))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        kept = errors[:MAX_ERRORS]
        more = " There are more." if len(errors) > MAX_ERRORS else ""
        message = " ".join(map(str, kept)) + more
        raise rebuilt(type(errors[0]), message, errors[0].field, [error.payload for error in kept])


def _tree(root: type[CloudoError]) -> dict[str, type[CloudoError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def from_code(code: str, message: str, field: str | None = None, errors: Sequence[dict[str, Any]] = ()) -> CloudoError:
    """Rebuild an error received over HTTP or a channel. An unknown code gives a plain `CloudoError`."""
    return rebuilt(_tree(CloudoError).get(code, CloudoError), message, field, errors)
