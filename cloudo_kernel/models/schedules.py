"""The records of a schedule and of its occurrences, and the requests about them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from cloudo_kernel.models.base import TIME_SCHEMA, JsonObject, Record, Request, UtcTime, rfc3339, to_utc
from cloudo_kernel.models.follow_ups import FollowUps


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


class Overlap(StrEnum):
    """How to handle an occurrence while earlier executions of the schedule are unfinished."""

    SKIP = "skip"
    #: It runs after them.
    QUEUE = "queue"
    #: They are cancelled.
    CANCEL = "cancel"
    #: It runs beside them.
    ALLOW = "allow"


class CatchUp(StrEnum):
    """How to handle occurrences that were due while no scheduler was alive."""

    #: The newest one runs, the others count as done with it.
    LAST = "last"
    NONE = "none"
    #: They run in order, one after another, and the times that come meanwhile queue behind them.
    ALL = "all"


class OccurrenceOutcome(StrEnum):
    """The outcome of an occurrence."""

    STARTED = "STARTED"
    #: Something of the schedule's own forbade it: overlap, a broken flow.
    SKIPPED = "SKIPPED"
    #: Nobody was there to start it in time.
    MISSED = "MISSED"
    #: A later one ran for it.
    COALESCED = "COALESCED"


class ScheduleTrigger(Request):
    """When a schedule starts executions: exactly one of `at`, `delay_seconds`, `every_seconds`, `daily_at`, `cron`."""

    at: LocalOrUtcTime | None = Field(default=None, description="Run once, at this time.")
    delay_seconds: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Run once, this many seconds after the schedule is created.",
    )
    every_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    wait: bool | None = Field(
        default=None,
        description="With `every_seconds`: measure the interval from the end of the last run (default), not "
        "from `start`.",
    )
    start: LocalOrUtcTime | None = Field(
        default=None, description="With `every_seconds`: time of the first run. Default: immediately."
    )
    max_iterations: int | None = Field(
        default=None, ge=1, le=2**53, description="Maximum number of runs of a repeating trigger; null for no limit."
    )
    daily_at: TimeOfDay | None = Field(
        default=None, description="Run every day at this local time, `HH:MM` or `HH:MM:SS`."
    )
    cron: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Cron expression with five fields, or an alias such as `@daily`.",
    )
    timezone: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="IANA name of the time zone. Default: the user's, or else the server's.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = ("at", "delay_seconds", "every_seconds", "daily_at", "cron")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(kinds)}" + (f", not {' and '.join(given)}" * bool(given)))
        if self.every_seconds is None and (self.wait is not None or self.start is not None):
            raise ValueError("wait and start go with every_seconds")
        if self.is_once and self.max_iterations is not None:
            raise ValueError(f"max_iterations does not go with {given[0]}: that runs once")
        return self

    @model_serializer(mode="wrap")
    def _given_fields(self, write: SerializerFunctionWrapHandler) -> JsonObject:
        found: JsonObject = write(self)
        return {name: value for name, value in found.items() if value is not None}

    @property
    def is_once(self) -> bool:
        """Whether there is one occurrence only."""
        return self.at is not None or self.delay_seconds is not None

    @property
    def counts_from_end(self) -> bool:
        """Whether the interval begins when the last run ends."""
        return self.every_seconds is not None and self.wait is not False


class Occurrence(Record):
    """One due time of a schedule, or several that started nothing, and the outcome."""

    due: UtcTime = Field(description="Due time; the first one if this stands for several times.")
    until: UtcTime | None = Field(
        default=None, description="Last due time if this stands for several times; null for a single time."
    )
    count: int = Field(default=1, description="Number of due times that this stands for.")
    outcome: OccurrenceOutcome
    reason: str | None = Field(default=None, description="Reason why it did not start, or why it started out of turn.")
    execution_id: str | None = None
    iteration: int | None = Field(
        default=None, description="Number of the (first) occurrence, from 1; null for an execution started out of turn."
    )
    lateness_seconds: float | None = Field(
        default=None, description="Delay between the due time (including jitter) and the creation of the execution."
    )


class Schedule(Record):
    """A durable rule that starts executions of one flow."""

    id: str = Field(description="UUIDv7: sorts by the time of creation.")
    name: str
    flow_name: str
    trigger: ScheduleTrigger = Field(
        description="The trigger without time zone, start and limit, which are fields of the schedule."
    )
    timezone: str = Field(description="IANA name of the time zone.")
    inputs: JsonObject = Field(default_factory=dict)
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LAST
    catch_up_window_seconds: float | None = Field(
        default=None, description="Missed occurrences older than this are not caught up; null for no limit."
    )
    jitter_seconds: float = Field(
        default=0,
        description="Maximum random delay of a start. It is always the same for the same occurrence.",
    )
    pause_on_error_count: int | None = Field(
        default=None, description="Number of consecutive failures after which the schedule is paused; null for never."
    )
    on_success: FollowUps | None = Field(
        default=None, description="Flows to start and addresses to call after a success; null for the flow's own."
    )
    on_error: FollowUps | None = None
    on_recovery: FollowUps | None = None
    pin_source: bool = Field(
        default=False, description="Whether to run the flow's source from when the schedule was created."
    )
    enabled: bool = True
    end_at: UtcTime | None = Field(default=None, description="No execution starts after this time.")
    max_iterations: int | None = None
    iterations: int = Field(default=0, description="Number of occurrences so far, whatever their outcome.")
    start: UtcTime = Field(description="Time of the first occurrence, from which intervals are measured.")
    next_run: UtcTime | None = Field(
        default=None,
        description="Next due time; null if the schedule is finished, paused or waiting for the last run to end.",
    )
    next_runs: tuple[UtcTime, ...] = Field(
        default=(), description="The next ten due times known so far; empty in lists."
    )
    last_occurrence: Occurrence | None = None
    user_name: str
    created_at: UtcTime
    broken: str | None = Field(default=None, description="Reason why the schedule cannot start its flow, or null.")
    pause_reason: str | None = Field(
        default=None, description="Reason why Cloudo paused the schedule; null if a user did."
    )


class ScheduleOptions(Request):
    """Options of a schedule."""

    name: str | None = Field(default=None, min_length=1, max_length=500)
    inputs: JsonObject = Field(default_factory=dict)
    timezone: str | None = Field(default=None, min_length=1, max_length=100)
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LAST
    catch_up_window_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    jitter_seconds: float = Field(default=0, ge=0, le=86_400, allow_inf_nan=False)
    pause_on_error_count: int | None = Field(default=None, ge=1, le=1_000_000)
    on_success: FollowUps | None = None
    on_error: FollowUps | None = None
    on_recovery: FollowUps | None = None
    pin_source: bool = False
    enabled: bool = True
    end_at: LocalOrUtcTime | None = None
    confirmed: bool = Field(
        default=False,
        description="Confirms a time in the past, which runs immediately, or an interval below one second.",
    )


class CreateSchedule(ScheduleOptions):
    """A request to create a schedule."""

    flow_name: str = Field(min_length=1)
    trigger: ScheduleTrigger


class ChangeSchedule(ScheduleOptions):
    """A request to change a schedule. Omitted fields stay unchanged."""

    trigger: ScheduleTrigger | None = None
    max_iterations: int | None = Field(
        default=None,
        ge=1,
        le=2**53,
        description="Maximum number of runs; null for no limit. Changing it does not move the due times. A "
        "new trigger can state it, too.",
    )

    def given(self) -> dict[str, Any]:
        """Return the fields that are to change."""
        return {name: getattr(self, name) for name in self.model_fields_set if name != "confirmed"}


class PreviewSchedule(Request):
    """A request for the due times of a trigger."""

    trigger: ScheduleTrigger
    timezone: str | None = Field(default=None, min_length=1, max_length=100)
    end_at: LocalOrUtcTime | None = None
    after: UtcTime | None = Field(default=None, description="List due times after this time. Default: now.")


class PreviewTime(Record):
    """One due time of a preview."""

    utc: UtcTime
    local: str = Field(description="The time in the schedule's time zone, ISO 8601 with offset.")
    text: str = Field(description="The time for display, such as `Tue 24 Nov 08:30`.")


class SchedulePreview(Record):
    """The next ten due times of a trigger."""

    timezone: str
    description: str = Field(description="The trigger in words, such as `daily at 08:30`.")
    times: tuple[PreviewTime, ...]
    notes: tuple[str, ...] = Field(
        default=(),
        description="Warnings about unusual times, such as a time in the past or one that occurs twice.",
    )
    needs_confirmation: bool = Field(default=False, description="Whether saving requires `confirmed`.")


class Backfill(Request):
    """A request to run past occurrences in order: from `start`, before `end`."""

    start: LocalOrUtcTime
    end: LocalOrUtcTime
    dry_run: bool = Field(default=False, description="List the due times without starting anything.")
