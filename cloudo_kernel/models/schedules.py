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
    """What becomes of an occurrence while executions of its schedule have not ended."""

    SKIP = "skip"
    #: It runs after them.
    QUEUE = "queue"
    #: They are cancelled.
    CANCEL = "cancel"
    #: It runs beside them.
    ALLOW = "allow"


class CatchUp(StrEnum):
    """What becomes of late occurrences: no scheduler was alive at their time."""

    #: The newest one runs, the others count as done with it.
    LAST = "last"
    NONE = "none"
    #: They run in order, one after another, and the times that come meanwhile queue behind them.
    ALL = "all"


class OccurrenceOutcome(StrEnum):
    """What became of an occurrence."""

    STARTED = "STARTED"
    #: Something of the schedule's own forbade it: overlap, a broken flow.
    SKIPPED = "SKIPPED"
    #: Nobody was there to start it in time.
    MISSED = "MISSED"
    #: A later one ran for it.
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
    #: After so many failures in a row the schedule is paused; None for never.
    pause_on_error_count: int | None = None
    #: What follows its executions; None: what the flow says.
    on_success: FollowUps | None = None
    on_error: FollowUps | None = None
    on_recovery: FollowUps | None = None
    #: Whether the flow runs as it was when the schedule was made.
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
    #: Why it is paused, if nobody did it by hand.
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
