"""What all records have in common: frozen, with times that are aware and in UTC, written as RFC 3339 with `Z`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, PlainSerializer, WithJsonSchema


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


class Record(BaseModel):
    """Base of all records: frozen; a field that is not known is ignored, so that older clients read newer servers."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=True)


Item = TypeVar("Item")


class Page(Record, Generic[Item]):
    """One page of a list; `next` is the cursor of the following page, None on the last."""

    items: tuple[Item, ...]
    next: str | None = None
