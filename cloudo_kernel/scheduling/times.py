"""The fields of triggers that hold times, and how times are written: RFC 3339 in UTC with `Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema


def to_utc(moment: datetime) -> datetime:
    """Return `moment` in UTC. Raises `ValueError` where that is before the year 1 or after 9999."""
    try:
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{moment.isoformat()} is not within the years 1 to 9999 in UTC") from None


def rfc3339(moment: datetime) -> str:
    """Return `moment` as RFC 3339 in UTC with `Z`, to the microsecond."""
    return to_utc(moment).isoformat(timespec="microseconds")[:-6] + "Z"


#: How times are described in the OpenAPI document.
TIME_SCHEMA: Final = WithJsonSchema({"type": "string", "format": "date-time"})


def _utc_if_aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else to_utc(moment)


def _since_1970(value: Any) -> Any:
    """Read a number as seconds, whatever its size: pydantic takes the years from 2603 for milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{value!s:.40} is not within the years 1 to 9999") from None


def _written(moment: datetime) -> str:
    return moment.isoformat() if moment.tzinfo is None else rfc3339(moment)


#: A moment, or seconds since 1970; without an offset it is local time in the zone of the schedule.
LocalOrUtcTime = Annotated[
    datetime,
    BeforeValidator(_since_1970),
    AfterValidator(_utc_if_aware),
    PlainSerializer(_written, when_used="json"),
    WithJsonSchema({"anyOf": [TIME_SCHEMA.json_schema, {"type": "number"}]}, mode="validation"),
    WithJsonSchema(TIME_SCHEMA.json_schema, mode="serialization"),
]


_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?")


def _time_of_day(text: str) -> str:
    if not _TIME_OF_DAY.fullmatch(text):
        raise ValueError("it is a time of day from 00:00 to 23:59, such as 08:30 or 08:30:15")
    return text.removesuffix(":00") if len(text) > 5 else text


TimeOfDay = Annotated[
    str, AfterValidator(_time_of_day), WithJsonSchema({"type": "string", "pattern": f"^{_TIME_OF_DAY.pattern}$"})
]
