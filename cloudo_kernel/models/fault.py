"""What people are told where a record cannot be made of what somebody sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ValidationError

from cloudo_kernel.errors import MalformedRequest, raise_all

#: What pydantic puts before the words of our own checks.
_PREFIXES = {"value_error": "Value error, ", "assertion_error": "Assertion failed, "}
#: The tags of unions begin with it: pydantic puts them into the path, although no caller sent them.
TAG: Final = "|"


class FieldError(BaseModel):
    """One mistake of a caller. No `Record`: replies leave out a field that is None."""

    #: The input, parameter or setting that is at fault, where there is one.
    field: str | None = None
    message: str


@dataclass(frozen=True)
class Fault:
    """One field that is invalid, or a combination of fields."""

    #: Names and numbers that lead to it.
    path: tuple[str | int, ...]
    #: What is wrong, or what fits, without a full stop.
    said: str

    @classmethod
    def of(cls, error: ValidationError) -> Fault:
        """Return the first."""
        return next(cls.all(error))

    @classmethod
    def all(cls, error: ValidationError) -> Iterator[Fault]:
        """Iterate over all of them."""
        found = error.errors(include_url=False, include_input=False, include_context=False)
        for one in found:
            # A list is too short without its invalid items: only those are at fault.
            if one["type"] == "too_short" and any(
                other["loc"][: len(one["loc"])] == one["loc"] for other in found if other is not one
            ):
                continue
            said = one["msg"].removeprefix(_PREFIXES.get(one["type"], "")).removesuffix(".")
            yield cls(tuple(part for part in one["loc"] if not str(part).startswith(TAG)), said)

    @property
    def field(self) -> str | None:
        """The names of the path with dots between them, None where it has none."""
        return ".".join(part for part in self.path if isinstance(part, str)) or None

    @property
    def sentence(self) -> str:
        """What is wrong as a sentence, beginning with the field."""
        return f"{self.field}: {self.said}." if self.field else f"{self.said[:1].upper()}{self.said[1:]}."


def malformed(error: ValidationError) -> MalformedRequest:
    """Return the error that tells the caller each invalid field."""
    try:
        raise_all(MalformedRequest(fault.sentence, field=fault.field) for fault in Fault.all(error))
    except MalformedRequest as told:
        return told
    raise AssertionError("an error of pydantic has no errors") from error
