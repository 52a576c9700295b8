"""What all records have in common: frozen, with times that are aware and in UTC, written as RFC 3339 with `Z`.

Requests are strict besides: see `Strict`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from cloudo_kernel.errors import MalformedRequest, raise_all
from cloudo_kernel.models.canonical import canonical

#: What pydantic puts before the words of our own checks.
_PREFIXES = {"value_error": "Value error, ", "assertion_error": "Assertion failed, "}
#: The tags of unions begin with it: pydantic puts them into the path, where nobody sent them.
TAG: Final = "|"


def to_utc(moment: datetime) -> datetime:
    """Return `moment` in UTC. Raises `ValueError` where that is before the year 1 or after 9999."""
    try:
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{moment.isoformat()} is not within the years 1 to 9999 in UTC") from None


def rfc3339(moment: datetime) -> str:
    """Return `moment` as RFC 3339 in UTC with `Z`, to the microsecond."""
    return to_utc(moment).isoformat(timespec="microseconds")[:-6] + "Z"


#: How both kinds of times are described.
TIME_SCHEMA: Final = WithJsonSchema({"type": "string", "format": "date-time"})
UtcTime = Annotated[AwareDatetime, AfterValidator(to_utc), PlainSerializer(rfc3339, when_used="json"), TIME_SCHEMA]
JsonObject = dict[str, Any]


def _moment(value: object) -> Any:
    return value if isinstance(value, datetime) else canonical("date-time", value)


#: What reads the values of each kind of pydantic's core schemas.
_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "bool": partial(canonical, "boolean"),
    "int": partial(canonical, "integer"),
    "float": partial(canonical, "number"),
    "datetime": _moment,
}


#: Parts of a core schema that read nothing.
_NO_SCHEMAS: Final = ("metadata", "default", "serialization")


def _is_read(schema: dict[str, Any]) -> bool:
    function = schema.get("function")
    return isinstance(function, dict) and function.get("function") in _READERS.values()


def _strict(schema: Any) -> Any:
    """Return a core schema in which each number, boolean and time is read by `canonical` first."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict) or _is_read(schema):
        return schema
    if schema.get("type") in _READERS:
        return core_schema.no_info_before_validator_function(_READERS[schema["type"]], schema)
    return {word: part if word in _NO_SCHEMAS else _strict(part) for word, part in schema.items()}


class Strict(BaseModel):
    """Base of all that callers send: pydantic itself takes "5" and true for numbers, 1 and "yes" for true."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of a model, made strict; pydantic calls it for each class."""
        made: CoreSchema = _strict(handler(source))
        return made


class Request(Strict):
    """Base of all requests: frozen; a field that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Record(BaseModel):
    """Base of all records: frozen; a field that is not known is ignored, so that older clients read newer servers."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=True)


Item = TypeVar("Item")


class Page(Record, Generic[Item]):
    """One page of a list; `next` is the cursor of the following page, None on the last."""

    items: tuple[Item, ...]
    next: str | None = None


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
    problem: str

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
            problem = one["msg"].removeprefix(_PREFIXES.get(one["type"], "")).removesuffix(".")
            yield cls(tuple(part for part in one["loc"] if not str(part).startswith(TAG)), problem)

    @property
    def field(self) -> str | None:
        """The names of the path with dots between them, None where it has none."""
        return ".".join(part for part in self.path if isinstance(part, str)) or None

    @property
    def sentence(self) -> str:
        """What is wrong as a sentence, beginning with the field."""
        return f"{self.field}: {self.problem}." if self.field else f"{self.problem[:1].upper()}{self.problem[1:]}."


def malformed(error: ValidationError) -> MalformedRequest:
    """Return the error that tells the caller each invalid field."""
    try:
        raise_all(MalformedRequest(fault.sentence, field=fault.field) for fault in Fault.all(error))
    except MalformedRequest as malformed_request:
        return malformed_request
    raise AssertionError("a validation error without errors") from error
