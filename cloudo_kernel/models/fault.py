"""What people are told about the first thing that does not fit, where a record is made of what somebody sent."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

#: What pydantic puts before the words of our own checks.
_PREFIXES = {"value_error": "Value error, ", "assertion_error": "Assertion failed, "}


@dataclass(frozen=True)
class Fault:
    """The first of what does not fit."""

    #: Names and numbers that lead to it.
    path: tuple[str | int, ...]
    #: What is wrong, or what fits, without a full stop.
    said: str

    @classmethod
    def of(cls, error: ValidationError) -> Fault:
        """Return it."""
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        said = first["msg"].removeprefix(_PREFIXES.get(first["type"], "")).removesuffix(".")
        return cls(first["loc"], said)

    @property
    def field(self) -> str | None:
        """The names of the path with dots between them, None where it has none."""
        return ".".join(part for part in self.path if isinstance(part, str)) or None

    @property
    def sentence(self) -> str:
        """What is wrong as a sentence, beginning with the field."""
        return f"{self.field}: {self.said}." if self.field else f"{self.said[:1].upper()}{self.said[1:]}."
