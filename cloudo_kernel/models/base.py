"""The bases of records and requests, their times, and the errors of invalid requests.

All are frozen. Times are aware, in UTC, and written as RFC 3339 with `Z`. Requests are strict, too: see `Strict`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from cloudo_kernel.errors import MAX_ERRORS, MalformedRequest, raise_all
from cloudo_kernel.models.canonical import canonical
from cloudo_kernel.scheduling.times import TIME_SCHEMA, rfc3339, to_utc

#: The prefixes that pydantic adds to the messages of our own checks.
_PREFIXES = {"value_error": "Value error, ", "assertion_error": "Assertion failed, "}
#: The prefix of the tags of unions. pydantic adds them to the path of an error, but callers do not send them.
TAG: Final = "|"

UtcTime = Annotated[AwareDatetime, AfterValidator(to_utc), PlainSerializer(rfc3339, when_used="json"), TIME_SCHEMA]
JsonObject = dict[str, Any]


def _moment(value: object) -> Any:
    return value if isinstance(value, datetime) else canonical("date-time", value)


#: The function that checks the values of each kind of pydantic's core schemas.
_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "bool": partial(canonical, "boolean"),
    "int": partial(canonical, "integer"),
    "float": partial(canonical, "number"),
    "datetime": _moment,
}


#: Parts of a core schema that check nothing.
_NO_SCHEMAS: Final = ("metadata", "default", "serialization")


def _is_read(schema: dict[str, Any]) -> bool:
    function = schema.get("function")
    return isinstance(function, dict) and function.get("function") in _READERS.values()


def _strict(schema: Any) -> Any:
    """Return a core schema that checks each number, boolean and time with `canonical` first."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict) or _is_read(schema):
        return schema
    if schema.get("type") in _READERS:
        return core_schema.no_info_before_validator_function(_READERS[schema["type"]], schema)
    return {word: part if word in _NO_SCHEMAS else _strict(part) for word, part in schema.items()}


class Strict(BaseModel):
    """Base of all requests. pydantic by itself accepts "5" and true for numbers, 1 and "yes" for true."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the strict schema of a model; called by pydantic for each class."""
        made: CoreSchema = _strict(handler(source))
        return made


class Request(Strict):
    """Base of all requests: frozen. Unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _drop_unreported(cls, values: Any) -> Any:
        """Drop unknown fields beyond those that an error reports: pydantic takes 160 ms for 100,000 of them."""
        known = cls.model_fields
        if not isinstance(values, dict) or len(values) <= len(known) + MAX_ERRORS:
            return values
        unknown = islice((name for name in values if name not in known), MAX_ERRORS + 1)
        return {name: values[name] for name in (*(name for name in known if name in values), *unknown)}


class Record(BaseModel):
    """Base of all records: frozen. Unknown fields are ignored, so that older clients can read newer servers."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=True)


Item = TypeVar("Item")


class Page(Record, Generic[Item]):
    """One page of a list. `next` is the cursor of the next page; null on the last one."""

    items: tuple[Item, ...]
    next: str | None = None


# Not a `Record`, because replies omit fields that are None.
class FieldError(BaseModel):
    """One invalid field. Not a `Record`: replies omit null fields."""

    field: str | None = Field(default=None, description="Name of the invalid input, parameter or setting.")
    message: str


@dataclass(frozen=True)
class Fault:
    """An invalid field, or an invalid combination of fields."""

    #: The path to it, of names and indexes.
    path: tuple[str | int, ...]
    #: The problem, or the accepted values, without a full stop.
    problem: str

    @classmethod
    def of(cls, error: ValidationError) -> Fault:
        """Return the first fault."""
        return next(cls.all(error))

    @classmethod
    def all(cls, error: ValidationError) -> Iterator[Fault]:
        """Yield all faults."""
        found = error.errors(include_url=False, include_input=False, include_context=False)
        for one in found:
            # pydantic also reports a list as too short if its items are invalid. Report only the items.
            if one["type"] == "too_short" and any(
                other["loc"][: len(one["loc"])] == one["loc"] for other in found if other is not one
            ):
                continue
            problem = one["msg"].removeprefix(_PREFIXES.get(one["type"], "")).removesuffix(".")
            yield cls(tuple(part for part in one["loc"] if not str(part).startswith(TAG)), problem)

    @property
    def field(self) -> str | None:
        """The names of the path, joined by dots, or None without names."""
        return ".".join(part for part in self.path if isinstance(part, str)) or None

    @property
    def sentence(self) -> str:
        """The problem as a sentence that begins with the field."""
        return f"{self.field}: {self.problem}." if self.field else f"{self.problem[:1].upper()}{self.problem[1:]}."


def malformed(error: ValidationError) -> MalformedRequest:
    """Return the error that names each invalid field."""
    try:
        raise_all(MalformedRequest(fault.sentence, field=fault.field) for fault in Fault.all(error))
    except MalformedRequest as malformed_request:
        return malformed_request
    raise AssertionError("a validation error without errors") from error
