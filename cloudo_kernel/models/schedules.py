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
    """What to do with an occurrence while an execution of the schedule is unfinished."""

    SKIP = "skip"
    #: It runs after them.
    QUEUE = "queue"
    #: They are cancelled.
    CANCEL = "cancel"
    #: It runs beside them.
    ALLOW = "allow"


class CatchUp(StrEnum):
    """What to do with late occurrences, at whose time no scheduler was running."""

    #: The newest one runs, the others count as done with it.
    LAST = "last"
    NONE = "none"
    #: They run in order, one after another, and the times that come meanwhile queue behind them.
    ALL = "all"


class OccurrenceOutcome(StrEnum):
    """The outcome of an occurrence."""

    STARTED = "STARTED"
    #: An overlap or a broken flow prevented the start.
    SKIPPED = "SKIPPED"
    #: No scheduler was running in time to start it.
    MISSED = "MISSED"
    #: A later one ran for it.
    COALESCED = "COALESCED"


class ScheduleTrigger(Request):
    """When a schedule starts executions: exactly one of `at`, `delay_seconds`, `every_seconds`, `daily_at`, `cron`."""

    #: Once, at this moment.
    at: LocalOrUtcTime | None = None
    #: Once, this many seconds after the schedule is created.
    delay_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    every_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    #: With `every_seconds`: count from the end of the last run (the default), not along the grid from `start`.
    wait: bool | None = None
    #: With `every_seconds`: the first run; default: at once.
    start: LocalOrUtcTime | None = None
    #: With `every_seconds`, `daily_at` or `cron`; None for no limit.
    max_iterations: int | None = Field(default=None, ge=1, le=2**53)
    #: Every day at this local time, `HH:MM` or `HH:MM:SS`.
    daily_at: TimeOfDay | None = None
    #: Five fields, or `@daily` and the like.
    cron: str | None = Field(default=None, min_length=1, max_length=200)
    #: IANA name of the zone of local times; default: that of the user, else of the server.
    timezone: str | None = Field(default=None, min_length=1, max_length=100)

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
    """One time of a schedule, or a run of times for which nothing was started, and the outcome."""

    #: When it was to start; of a run of times the first one.
    due: UtcTime
    #: The last one of a run of times; None for a single time.
    until: UtcTime | None = None
    #: The number of times that it stands for.
    count: int = 1
    outcome: OccurrenceOutcome
    #: Why it was not started, or why it was started out of turn.
    reason: str | None = None
    execution_id: str | None = None
    #: From 1, of a run of times that of the first one; None for an execution out of turn.
    iteration: int | None = None
    #: How long after its time, jitter included, the execution was made.
    lateness_seconds: float | None = None


class Schedule(Record):
    """A durable rule that starts executions of one flow."""

    #: UUIDv7: sorts by the time of creation.
    id: str
    name: str
    flow_name: str
    #: Without zone, start and limit, which are fields of the schedule.
    trigger: ScheduleTrigger
    #: IANA name.
    timezone: str
    inputs: JsonObject = Field(default_factory=dict)
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LAST
    #: Occurrences older than this are not caught up; None for any age.
    catch_up_window_seconds: float | None = None
    #: Each occurrence starts up to so much later, always by the same amount for the same occurrence.
    jitter_seconds: float = 0
    #: The number of failures in a row after which the schedule is paused; None for never.
    pause_on_error_count: int | None = None
    #: Follow-ups of its executions; None for those of the flow.
    on_success: FollowUps | None = None
    on_error: FollowUps | None = None
    on_recovery: FollowUps | None = None
    #: Whether executions run the flow's source from the creation of the schedule.
    pin_source: bool = False
    enabled: bool = True
    #: Nothing starts after this moment.
    end_at: UtcTime | None = None
    max_iterations: int | None = None
    #: How many occurrences there have been, whatever became of them.
    iterations: int = 0
    #: The first occurrence; the grid of an interval begins here.
    start: UtcTime
    #: None when it has finished, is paused, or waits for the end of the last run.
    next_run: UtcTime | None = None
    #: The next ten, as far as they are known now; empty in lists.
    next_runs: tuple[UtcTime, ...] = ()
    last_occurrence: Occurrence | None = None
    user_name: str
    created_at: UtcTime
    #: Why it cannot start anything, or None.
    broken: str | None = None
    #: Why it was paused, unless a user paused it.
    pause_reason: str | None = None


class ScheduleOptions(Request):
    """What can be said of a schedule besides its flow and its time."""

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
    #: That a moment in the past (it runs at once then) or an interval below one second is meant.
    confirmed: bool = False


class CreateSchedule(ScheduleOptions):
    """A request for a schedule."""

    flow_name: str = Field(min_length=1)
    trigger: ScheduleTrigger


class ChangeSchedule(ScheduleOptions):
    """A request to change a schedule in place: fields that are not given stay as they are."""

    trigger: ScheduleTrigger | None = None
    #: Another limit leaves the times as they are; None for none. With another trigger it may stand there.
    max_iterations: int | None = Field(default=None, ge=1, le=2**53)

    def given(self) -> dict[str, Any]:
        """Return the fields that are to change."""
        return {name: getattr(self, name) for name in self.model_fields_set if name != "confirmed"}


class PreviewSchedule(Request):
    """A request for the times at which a schedule would start something."""

    trigger: ScheduleTrigger
    timezone: str | None = Field(default=None, min_length=1, max_length=100)
    end_at: LocalOrUtcTime | None = None
    #: Counted from here; default: from now.
    after: UtcTime | None = None


class PreviewTime(Record):
    """One time of a preview."""

    utc: UtcTime
    #: The same in the zone, ISO 8601 with its offset.
    local: str
    #: The same as people say it: `Tue 24 Nov 08:30`.
    text: str


class SchedulePreview(Record):
    """The next ten times of a trigger."""

    timezone: str
    #: The trigger in words: `daily at 08:30`.
    description: str
    times: tuple[PreviewTime, ...]
    #: What is unusual about it, for a person to confirm: a time that happens twice, one in the past.
    notes: tuple[str, ...] = ()
    #: Whether saving it takes `confirmed`.
    needs_confirmation: bool = False


class Backfill(Request):
    """A request to run past occurrences, in order: those from `start` on and before `end`."""

    start: LocalOrUtcTime
    end: LocalOrUtcTime
    #: Only tell which they are, and start nothing.
    dry_run: bool = False
