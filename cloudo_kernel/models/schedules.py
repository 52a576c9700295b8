"""The records of a schedule and of its occurrences, and the requests about them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from cloudo_kernel.models.base import JsonObject, Record, Request, UtcTime
from cloudo_kernel.models.executions import ExecutionBrief
from cloudo_kernel.models.follow_ups import FollowUps, WrittenFollowUps
from cloudo_kernel.scheduling.times import LocalOrUtcTime
from cloudo_kernel.scheduling.triggers import KINDS, TriggerFields


class Overlap(StrEnum):
    """How to handle an occurrence while earlier executions of the schedule are unfinished."""

    SKIP = "skip"
    #: Run it after them.
    QUEUE = "queue"
    #: Cancel them.
    CANCEL = "cancel"
    #: Run it beside them.
    ALLOW = "allow"


class CatchUp(StrEnum):
    """How to handle occurrences that were due while no scheduler was alive."""

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


class ScheduleState(StrEnum):
    """The state of a schedule."""

    #: It waits for its next time.
    ACTIVE = "active"
    #: Its next time follows from the end of a run that is in progress.
    RUNNING = "running"
    PAUSED = "paused"
    #: It cannot start its flow.
    BROKEN = "broken"
    #: It has no time left.
    FINISHED = "finished"


class ScheduleTrigger(TriggerFields, Request):
    """When a schedule starts executions. Give the fields of exactly one kind of trigger."""

    max_iterations: int | None = Field(
        default=None, ge=1, le=2**53, description="For triggers that run more than once; None for no limit."
    )
    timezone: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="IANA name of the zone of local times; default: the user's, or the server's.",
    )

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
    """One due time of a schedule, or several that started nothing, and the outcome."""

    due: UtcTime = Field(description="Due time; the first one if this stands for several times.")
    until: UtcTime | None = Field(
        default=None, description="Last due time if this stands for several times; null for a single time."
    )
    count: int = Field(default=1, description="Number of due times that this stands for.")
    outcome: OccurrenceOutcome
    reason: str | None = Field(default=None, description="Reason why it did not start, or why it started out of turn.")
    execution_id: str | None = None
    execution: ExecutionBrief | None = Field(
        default=None, description="The execution that it started; null if none, or if it is no longer kept."
    )
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
    trigger: ScheduleTrigger = Field(description="Without zone, start and limit, which are fields of the schedule.")
    timezone: str = Field(description="IANA name.")
    inputs: JsonObject = Field(default_factory=dict)
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LAST
    catch_up_window_seconds: float | None = Field(
        default=None, description="Occurrences older than this are not caught up; None for any age."
    )
    jitter_seconds: float = Field(
        default=0, description="Maximum delay of each occurrence. The same occurrence always has the same delay."
    )
    pause_on_error_count: int | None = Field(
        default=None, description="The schedule is paused after this many failures in a row; None for never."
    )
    on_success: FollowUps | None = Field(
        default=None, description="Follow-ups of its executions; None for those of the flow."
    )
    on_error: FollowUps | None = None
    on_recovery: FollowUps | None = None
    pin_source: bool = Field(
        default=False, description="Whether it runs the flow as the flow was when the schedule was created or pinned."
    )
    enabled: bool = True
    end_at: UtcTime | None = Field(default=None, description="Nothing starts after this moment.")
    max_iterations: int | None = None
    iterations: int = Field(default=0, description="The number of occurrences so far, whatever their outcome.")
    start: UtcTime = Field(description="The first occurrence; the grid of an interval begins here.")
    next_run: UtcTime | None = Field(
        default=None, description="None if it has finished, is paused, or waits for the end of the last run."
    )
    next_runs: tuple[UtcTime, ...] = Field(default=(), description="The next ten that are known now; empty in lists.")
    last_occurrence: Occurrence | None = None
    user_name: str
    created_at: UtcTime
    broken: str | None = Field(default=None, description="Why it cannot start anything, or None.")
    pause_reason: str | None = Field(default=None, description="Why Cloudo paused it, or None.")
    description: str = Field(default="", description="The trigger in words, such as `daily at 08:30`.")
    state: ScheduleState = Field(default=ScheduleState.ACTIVE, description="Its state when it was read.")
    state_reason: str | None = Field(default=None, description="Why it is broken or paused, or None.")

    def described(self, *, now: datetime) -> Self:
        """Return the record with its description and its state."""
        state = self.state_at(now)
        reasons = {ScheduleState.BROKEN: self.broken, ScheduleState.PAUSED: self.pause_reason}
        words = {"description": self.trigger.rule.describe(self.timezone), "state_reason": reasons.get(state)}
        return self.model_copy(update={"state": state, **words})

    def state_at(self, now: datetime) -> ScheduleState:
        """Return its state at a time."""
        if not self.enabled:
            return ScheduleState.PAUSED
        is_over = self.max_iterations is not None and self.iterations >= self.max_iterations
        is_over = is_over or (self.end_at is not None and self.end_at < now)
        if self.next_run is None and (is_over or not self.trigger.counts_from_end):
            return ScheduleState.FINISHED
        if self.broken is not None:
            return ScheduleState.BROKEN
        return ScheduleState.RUNNING if self.next_run is None else ScheduleState.ACTIVE


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
    on_success: WrittenFollowUps = Field(
        default=None, description="Follow-ups of its executions, as JSON or as text; null for those of the flow."
    )
    on_error: WrittenFollowUps = None
    on_recovery: WrittenFollowUps = None
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
        """Return the fields to change."""
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


class ScheduleOrder(StrEnum):
    """The order of a list of schedules."""

    NEWEST = "newest"
    #: Only schedules that have a next time.
    NEXT = "next"


class SchedulePreview(Record):
    """The next ten due times of a trigger."""

    timezone: str
    description: str = Field(description="The trigger in words, such as `daily at 08:30`.")
    summary: str = Field(
        default="", description="The trigger and its next times in one sentence, such as `daily at 08:30, next: …`."
    )
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
