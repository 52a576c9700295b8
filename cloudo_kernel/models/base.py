"""What all records have in common: frozen, with times that are aware and in UTC, written as RFC 3339 with `Z`.

Requests are strict besides: see `Strict`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from cloudo_kernel.errors import MAX_ERRORS
from cloudo_kernel.models.canonical import canonical


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
    """Base of all requests. pydantic by itself accepts "5" and true for numbers, 1 and "yes" for true."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of a model, made strict; pydantic calls it for each class."""
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
