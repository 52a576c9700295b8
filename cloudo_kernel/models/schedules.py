"""The records of a schedule and of its occurrences, and the requests about them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from cloudo_kernel.models.base import JsonObject, Record, Request, UtcTime
from cloudo_kernel.models.follow_ups import FollowUps
from cloudo_kernel.scheduling.times import LocalOrUtcTime
from cloudo_kernel.scheduling.triggers import KINDS, TriggerFields


class Overlap(StrEnum):
    """How an occurrence is handled if executions of its schedule have not ended."""

    SKIP = "skip"
    #: Run it after them.
    QUEUE = "queue"
    #: Cancel them.
    CANCEL = "cancel"
    #: Run it beside them.
    ALLOW = "allow"


class CatchUp(StrEnum):
    """How late occurrences are handled. No scheduler was alive at their time."""

    #: Run the newest one for all of them.
    LAST = "last"
    NONE = "none"
    #: Run them in order, one after another. Times that are due meanwhile queue behind them.
    ALL = "all"


class OccurrenceOutcome(StrEnum):
    """The outcome of an occurrence."""

    STARTED = "STARTED"
    #: The schedule's rules prevented it: overlap, a broken flow.
    SKIPPED = "SKIPPED"
    #: No worker started it in time.
    MISSED = "MISSED"
    #: A later one ran in its place.
    COALESCED = "COALESCED"


class ScheduleTrigger(TriggerFields, Request):
    """When a schedule starts executions. Give the fields of exactly one kind of trigger."""

    #: For triggers that run more than once; None for no limit.
    max_iterations: int | None = Field(default=None, ge=1, le=2**53)
    #: IANA name of the zone of local times; default: the user's, or the server's.
    timezone: str | None = Field(default=None, min_length=1, max_length=100)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind.word for kind in self.kinds]
        if len(given) != 1:
            conflict = f", not {' and '.join(given)}" if given else ""
            raise ValueError(f"give exactly one of {', '.join(kind.word for kind in KINDS)}{conflict}")
        for kind in KINDS:
            if kind.word not in given and any(getattr(self, word) is not None for word in kind.more_words):
                raise ValueError(f"{' and '.join(kind.more_words)} require {kind.word}")
        if self.is_once and self.max_iterations is not None:
            raise ValueError(f"max_iterations is not possible with {given[0]}, which runs once")
        return self

    @model_serializer(mode="wrap")
    def _given_fields(self, write: SerializerFunctionWrapHandler) -> JsonObject:
        found: JsonObject = write(self)
        return {name: value for name, value in found.items() if value is not None}

    @property
    def is_once(self) -> bool:
        """Whether there is one occurrence only."""
        return self.kinds[0].is_once

    @property
    def is_local(self) -> bool:
        """Whether it is due at local times, which depend on the zone."""
        return self.kinds[0].is_local

    @property
    def counts_from_end(self) -> bool:
        """Whether the interval begins when the last run ends."""
        return self.rule.counts_from_end


class Occurrence(Record):
    """One time of a schedule and its outcome, or consecutive times that started nothing."""

    #: The due time, or the first of several.
    due: UtcTime
    #: The last of several; None for a single time.
    until: UtcTime | None = None
    #: The number of times.
    count: int = 1
    outcome: OccurrenceOutcome
    #: Why it was not started, or why it was started besides the times.
    reason: str | None = None
    execution_id: str | None = None
    #: From 1, that of the first of several times; None for an execution besides the times.
    iteration: int | None = None
    #: Seconds between the due time with its jitter and the creation of the execution.
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
    #: Maximum delay of each occurrence. The same occurrence always has the same delay.
    jitter_seconds: float = 0
    #: The schedule is paused after this many failures in a row; None for never.
    pause_on_error_count: int | None = None
    #: Follow-ups of its executions; None for those of the flow.
    on_success: FollowUps | None = None
    on_error: FollowUps | None = None
    on_recovery: FollowUps | None = None
    #: Whether it runs the flow as the flow was when the schedule was created or pinned.
    pin_source: bool = False
    enabled: bool = True
    #: Nothing starts after this moment.
    end_at: UtcTime | None = None
    max_iterations: int | None = None
    #: The number of occurrences so far, whatever their outcome.
    iterations: int = 0
    #: The first occurrence; the grid of an interval begins here.
    start: UtcTime
    #: None if it has finished, is paused, or waits for the end of the last run.
    next_run: UtcTime | None = None
    #: The next ten that are known now; empty in lists.
    next_runs: tuple[UtcTime, ...] = ()
    last_occurrence: Occurrence | None = None
    user_name: str
    created_at: UtcTime
    #: Why it cannot start anything, or None.
    broken: str | None = None
    #: Why Cloudo paused it, or None.
    pause_reason: str | None = None

    def state(self, *, now: datetime) -> str:
        """Return its state: active, running, paused, finished or broken."""
        if not self.enabled:
            return "paused"
        is_over = self.max_iterations is not None and self.iterations >= self.max_iterations
        is_over = is_over or (self.end_at is not None and self.end_at < now)
        if self.next_run is None and (is_over or not self.trigger.counts_from_end):
            return "finished"
        if self.broken is not None:
            return "broken"
        return "running" if self.next_run is None else "active"


class ScheduleOptions(Request):
    """The fields of a schedule besides its flow and its trigger."""

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
    #: Confirms a moment in the past, which runs at once, or an interval below one second.
    confirmed: bool = False


class CreateSchedule(ScheduleOptions):
    """A request to create a schedule."""

    flow_name: str = Field(min_length=1)
    trigger: ScheduleTrigger


class ChangeSchedule(ScheduleOptions):
    """A request to change a schedule in place. Omitted fields do not change."""

    trigger: ScheduleTrigger | None = None
    #: A new limit does not change the times; None for no limit. A new trigger may hold it instead.
    max_iterations: int | None = Field(default=None, ge=1, le=2**53)

    def given(self) -> dict[str, Any]:
        """Return the fields to change."""
        return {name: getattr(self, name) for name in self.model_fields_set if name != "confirmed"}


class PreviewSchedule(Request):
    """A request for the next times of a trigger."""

    trigger: ScheduleTrigger
    timezone: str | None = Field(default=None, min_length=1, max_length=100)
    end_at: LocalOrUtcTime | None = None
    #: The moment after which times are shown; default: now.
    after: UtcTime | None = None


class PreviewTime(Record):
    """One time of a preview."""

    utc: UtcTime
    #: Local time in the zone, ISO 8601 with its offset.
    local: str
    #: Local time in words: `Tue 24 Nov 08:30`.
    text: str


class SchedulePreview(Record):
    """The next ten times of a trigger."""

    timezone: str
    #: The trigger in words: `daily at 08:30`.
    description: str
    times: tuple[PreviewTime, ...]
    #: Notes on unusual times, for a person to confirm: a time that occurs twice, or in the past.
    notes: tuple[str, ...] = ()
    #: Whether saving it requires `confirmed`.
    needs_confirmation: bool = False


class Backfill(Request):
    """A request to run past occurrences in order, from `start` to before `end`."""

    start: LocalOrUtcTime
    end: LocalOrUtcTime
    #: Return the occurrences without starting them.
    dry_run: bool = False
