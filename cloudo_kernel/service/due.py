"""Verbs that start the executions of schedules: when they are due, by hand, and by backfill."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Self

from cloudo_kernel import planning
from cloudo_kernel.errors import CloudoError, MalformedRequest, Unavailable
from cloudo_kernel.models import (
    Backfill,
    CatchUp,
    Execution,
    ExecutionType,
    JsonObject,
    Occurrence,
    OccurrenceOutcome,
    Origin,
    Overlap,
    Schedule,
    rfc3339,
)
from cloudo_kernel.models.event_types import SCHEDULE_BACKFILLED, SCHEDULE_TRIGGERED
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.scheduling import zones
from cloudo_kernel.security.permissions import EVERYTHING
from cloudo_kernel.service.schedules import TRIES, ScheduleVerbs, changed_all_the_time
from cloudo_kernel.service.starts import follow_ups_of
from cloudo_kernel.store import CatchingUp, Due, Firing, NewExecution, NewOccurrence
from cloudo_kernel.workspace.catalog import Source

_log = logging.getLogger(__name__)

#: Maximum number of schedules, and of occurrences, in one transaction, which blocks all other writers.
_MAX_AT_ONCE = 500
#: Maximum number of past times in one backfill.
_MAX_BACKFILLED = 1000
_INSTANT = timedelta(microseconds=1)
#: Delay before a schedule that raised an unexpected error is tried again.
_RETRY_INTERVAL = timedelta(minutes=1)
#: The reason of an occurrence in a dry run, which has no execution.
_WOULD = "a dry run: nothing was started"


@dataclass(frozen=True)
class _Template:
    """The fields shared by all executions of one flow that one user's schedules start."""

    source: Source
    common: JsonObject
    #: An execution that the others are copied from, which saves 15 % of the time. None if there are secrets.
    pattern: NewExecution | None
    #: The only names taken from `_occurrence_inputs`; None takes all of them.
    declared_inputs: frozenset[str] | None
    #: Whether there is nothing to check, which saves 9 % of the time.
    takes_anything: bool


#: Returns the template of a flow by its name and, if it is pinned, the digest of its source.
_TemplateOf = Callable[[str, str | None], _Template]


class _Templates:
    """The templates that one user's due schedules need. Each flow is read once, even if it cannot be started."""

    def __init__(self, build: _TemplateOf) -> None:
        self._build = build
        self._kept: dict[tuple[str, str | None], _Template | CloudoError] = {}

    def of(self, flow_name: str, source_sha256: str | None) -> _Template:
        """Return the template of a flow. Raises the error of its first reading."""
        key = (flow_name, source_sha256)
        if key not in self._kept:
            try:
                self._kept[key] = self._build(*key)
            except CloudoError as error:
                self._kept[key] = error
        found = self._kept[key]
        if isinstance(found, CloudoError):
            raise found.with_traceback(None)
        return found


class _Line:
    """Track which executions a queued execution of a schedule has to wait for."""

    def __init__(self, last: Sequence[str], caught_up: Sequence[str], overlap: Overlap) -> None:
        self._last = list(last)
        self._caught_up = tuple(caught_up[-1:])
        self._overlap = overlap

    @property
    def last(self) -> str | None:
        """The last execution in the line, caught up or not."""
        return self._last[-1] if self._last else None

    def before(self, planned: planning.Planned) -> Sequence[str]:
        """Return the executions that have to end before a planned one starts."""
        if not planned.is_queued:
            return ()
        return self._caught_up if planned.is_caught_up or self._overlap is Overlap.CANCEL else tuple(self._last)

    def add(self, new: NewOccurrence) -> None:
        """Append an execution to the line."""
        if new.execution is None:
            return
        # If it waits for earlier executions, its end implies theirs.
        kept = [one for one in self._last if one not in new.after_ids] if self._overlap is Overlap.QUEUE else []
        self._last = [*kept, new.execution.id]
        if new.is_caught_up:
            self._caught_up = (new.execution.id,)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Disable Python's garbage collector: objects created in the block live until the commit and need no collector.

    It would scan them, and all other objects, repeatedly: measured 14 % of the time of 500 schedules.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class DueVerbs(ScheduleVerbs):
    """Start the executions of schedules."""

    @_without_collector()
    def run_due_schedules(self) -> int:
        """Start due occurrences and return the number of schedules moved on. Every worker's scheduler calls it."""
        due = self._store.schedules.due(most=_MAX_AT_ONCE)
        if not due:
            return 0
        now, firings, number = self._store.now, [], 0
        oldest = min(one.schedule.next_run or now for one in due)
        absences = self._store.workers.absences(since=oldest)
        users: dict[str, tuple[DueVerbs, _Templates]] = {}
        for one in due:
            user_name = one.schedule.user_name
            if user_name not in users:
                acting = self._acting(user_name)
                users[user_name] = acting, _Templates(acting._build_template)
            acting, templates = users[user_name]
            firings.append(acting._firing_or_rest(one, now, templates.of, absences))
            number += len(firings[-1].occurrences)
            if number >= _MAX_AT_ONCE:  # the next call handles the rest
                break
        return self._store.occurrences.fire(firings, user_name=self._user_name)

    def trigger_schedule(self, schedule_id: str) -> Execution:
        """See `Api.trigger_schedule`."""
        self._ask_schedule("trigger_schedule", schedule_id)
        reason = f"started by {self._user_name}, out of turn"

        def made(due: Due) -> list[NewOccurrence]:
            acting, time = self._acting(due.schedule.user_name), self._store.now
            taken = self._store.occurrences.started_between(schedule_id, time, time + timedelta(seconds=1))
            while (time := _off_plan(due.schedule, time)) in taken:
                time += _INSTANT  # another run has taken this microsecond
            new = acting._execution(due, time, due.schedule.iterations or 1, acting._build_template)
            return [NewOccurrence(due=time, outcome=OccurrenceOutcome.STARTED, reason=reason, execution=new)]

        [started] = self._start(schedule_id, made, event=SCHEDULE_TRIGGERED)
        assert started.execution is not None
        return self._store.executions.get(started.execution.id)

    def backfill_schedule(self, schedule_id: str, request: Backfill) -> tuple[Occurrence, ...]:
        """See `Api.backfill_schedule`."""
        self._ask_schedule("backfill_schedule", schedule_id)
        if request.dry_run:
            times = self._past_times(self._store.schedules.look(schedule_id).schedule, request)
            return tuple(Occurrence(due=time, outcome=OccurrenceOutcome.STARTED, reason=_WOULD) for time in times)
        reason = f"backfilled by {self._user_name}"

        def made(due: Due) -> list[NewOccurrence]:
            acting, new, after_ids = self._acting(due.schedule.user_name), [], tuple[str, ...]()
            for number, time in enumerate(self._past_times(due.schedule, request), 1):
                execution = acting._execution(due, time, number, acting._build_template, is_held=bool(after_ids))
                one = NewOccurrence(due=time, outcome=OccurrenceOutcome.STARTED, reason=reason)
                new.append(one._replace(execution=execution, after_ids=after_ids))
                after_ids = (execution.id,)
            return new

        started = [one.record for one in self._start(schedule_id, made, event=SCHEDULE_BACKFILLED)]
        return self._store.occurrences.with_executions(started)

    def _start(
        self, schedule_id: str, made: Callable[[Due], list[NewOccurrence]], *, event: str
    ) -> list[NewOccurrence]:
        """Start the occurrences that `made` returns for the current schedule, outside its plan.

        If the schedule changes meanwhile, try again. Raises `Unavailable` after `TRIES` attempts.
        """
        for _ in range(TRIES):
            due = self._store.schedules.look(schedule_id)
            new = made(due)
            if not new or self._store.occurrences.start(due, new, event=event, user_name=self._user_name):
                return new
        raise changed_all_the_time()

    def _acting(self, user_name: str) -> Self:
        """Return the verbs acting as the creator of a schedule, for executions without a parent."""
        acting = copy(self)  # a copy keeps the private worker of a process without a server
        acting._user_name, acting._trigger, acting._parent_id = user_name, Origin.SCHEDULE, None
        acting._rights = EVERYTHING  # the verb has checked the caller's rights
        return acting

    def _past_times(self, schedule: Schedule, request: Backfill) -> list[datetime]:
        """Return the times of a range for which nothing was started."""
        rule = schedule.trigger.rule
        if not rule.has_past:
            raise MalformedRequest("Only a schedule with a grid or local times has past times.", field="start")
        zone = zones.zone(schedule.timezone)
        start, end = (zones.resolve(getattr(request, name), zone, field=name) for name in ("start", "end"))
        if not start < end <= self._store.now:
            raise MalformedRequest(
                "A backfill is for the past: start is before end, and end is not after now.", field="end"
            )
        dues = rule.past_times(zone, start=schedule.start, after=start - _INSTANT)
        times = list(islice(takewhile(lambda due: due < end, dues), _MAX_BACKFILLED + 1))
        if len(times) > _MAX_BACKFILLED:
            raise MalformedRequest(f"A backfill has up to {_MAX_BACKFILLED:,} times. Shorten the range.", field="end")
        done = self._store.occurrences.started_between(schedule.id, start, end)
        return [time for time in times if time not in done]

    def _firing_or_rest(
        self, due: Due, now: datetime, template_of: _TemplateOf, absences: Sequence[planning.Absence]
    ) -> Firing:
        """Return the result of `_firing`, or after an unexpected error a firing that starts nothing and retries later.

        One failing schedule, such as one in a zone unknown to this machine, must not block the others. It keeps its
        next run.
        """
        try:
            return self._firing(due, now, template_of, absences)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 -- no error of one schedule may block the others
            _log.exception("A schedule could not be processed; the others go on.", extra={"schedule": due.schedule.id})
            return Firing(
                due,
                (),
                next_run=due.schedule.next_run,
                fire_at=now + _RETRY_INTERVAL,
                broken=str(error),
                awaited_id=due.awaited_id,
            )

    def _firing(
        self, due: Due, now: datetime, template_of: _TemplateOf, absences: Sequence[planning.Absence] = ()
    ) -> Firing:
        """Plan the times of a due schedule and return the firing for the store to carry out."""
        schedule, broken = due.schedule, None
        may_wait = schedule.catch_up is CatchUp.ALL or schedule.overlap is Overlap.CANCEL
        catching_up = self._store.occurrences.catching_up(schedule.id) if due.unended and may_wait else CatchingUp()
        caught_up, is_going_on = catching_up
        unended, number = len(due.unended), len(caught_up)
        plan = planning.plan(
            schedule, now=now, unended=unended, caught_up=number, is_catching_up=is_going_on, absences=absences
        )
        line = _Line(self._last_unended(due), caught_up, schedule.overlap)
        occurrences: list[NewOccurrence] = []
        for planned in plan.occurrences:
            new = self._occurrence(due, planned, template_of, line.before(planned))
            if planned.outcome is OccurrenceOutcome.STARTED and new.execution is None:
                broken = new.reason
            line.add(new)
            occurrences.append(new)
        next_run, awaited = plan.next_run, None
        if schedule.trigger.counts_from_end and schedule.enabled:
            awaited = line.last
            if awaited is None:  # no execution is left whose end it could count from
                counted = schedule.model_copy(update={"iterations": schedule.iterations + plan.iterations})
                next_run = planning.after_end(counted, now)
        has_started = any(new.execution and not new.is_caught_up for new in occurrences)
        return Firing(
            due,
            occurrences,
            next_run=next_run,
            fire_at=None if next_run is None else planning.fire_at(schedule, next_run),
            iterations=plan.iterations,
            last_due=plan.last_due,
            broken=broken,
            # Cancel only if a new execution can start.
            cancelled=[one for one in due.unended if one not in caught_up] if plan.cancels and has_started else (),
            awaited_id=awaited,
        )

    def _last_unended(self, due: Due) -> Sequence[str]:
        """Return the executions that a queued one waits for.

        With `Overlap.QUEUE`, all of the schedule have ended once these have.
        """
        if due.schedule.overlap is Overlap.QUEUE and len(due.unended) > 1:
            return self._store.occurrences.last_unended(due.schedule.id)
        return due.unended[-1:]

    def _occurrence(
        self, due: Due, planned: planning.Planned, template_of: _TemplateOf, after_ids: Sequence[str]
    ) -> NewOccurrence:
        """Return the occurrence of a planned time, with the execution that it starts after `after_ids` have ended.

        If the execution cannot be created, the occurrence is skipped with the error as its reason.
        """
        outcome, reason, execution = planned.outcome, planned.reason, None
        if outcome is OccurrenceOutcome.STARTED:
            try:
                execution = self._execution(due, planned.due, planned.iteration, template_of, is_held=bool(after_ids))
            except Unavailable:
                raise
            except CloudoError as error:
                outcome, reason = OccurrenceOutcome.SKIPPED, str(error)
        return NewOccurrence(
            due=planned.due,
            outcome=outcome,
            reason=reason,
            iteration=planned.iteration,
            fire_at=planning.fire_at(due.schedule, planned.due),
            execution=execution,
            after_ids=after_ids if execution is not None else (),
            is_caught_up=planned.is_caught_up and execution is not None,
            is_late=planned.is_late and execution is not None,
            until=planned.until if planned.number > 1 else None,
            number=planned.number,
        )

    def _build_template(self, flow_name: str, source_sha256: str | None) -> _Template:
        """Return the template of a flow, from its current source or from the pinned one with this digest."""
        if source_sha256 is None:
            source = self._flow_source(flow_name)
        else:
            source = self._catalog.pinned(flow_name, self._store.executions.text(source_sha256))
        common, schema = self._common(source, ExecutionType.FLOW), source.flow.input_schema
        metadata, names = source.flow.metadata, schema["properties"]
        common["timeout_seconds"] = metadata.timeout_seconds
        has_secrets = metadata.protect_inputs or metadata.protect_outputs or self.redaction.knows_any
        return _Template(
            source,
            common,
            pattern=None if has_secrets or self._depth else NewExecution(id="", name="", input_value={}, **common),
            declared_inputs=None if schema["additionalProperties"] else frozenset(names),
            takes_anything=schema["additionalProperties"] and not names,
        )

    def _execution(
        self, due: Due, time: datetime, iteration: int, template_of: _TemplateOf, *, is_held: bool = False
    ) -> NewExecution:
        """Return the execution of one occurrence. Raises the errors of starting the flow by hand."""
        schedule = due.schedule
        template = template_of(schedule.flow_name, due.source_sha256)
        given = _occurrence_inputs(schedule, time, iteration)
        if template.declared_inputs is not None:
            given = {name: value for name, value in given.items() if name in template.declared_inputs}
        hidden = self._store.encryption.unseal_values(due.sealed_inputs) if due.sealed_inputs else {}
        inputs = {**given, **schedule.inputs, **hidden}
        if not template.takes_anything:
            inputs = self._validated(template.source.flow, inputs, Origin.SCHEDULE, hidden)
        is_once = schedule.trigger.is_once
        fields: JsonObject = {
            "name": f"scheduled {schedule.flow_name}" if is_once else f"{schedule.flow_name} iteration #{iteration}",
            "input_value": inputs,
            "schedule_id": schedule.id,
            "scheduled_for": time,
            "is_held": is_held,
        }
        if not schedule.on_success is schedule.on_error is schedule.on_recovery is None:
            fields["follow_ups"] = follow_ups_of(template.source.flow.metadata, schedule)
        if template.pattern is not None and not hidden:
            return template.pattern.copy(id=new_id(), **fields)
        return self._new(template.source, ExecutionType.FLOW, common=template.common, hides=hidden.keys(), **fields)


def _off_plan(schedule: Schedule, time: datetime) -> datetime:
    """Return the first moment from `time` on that is not planned, so that no planned occurrence is replaced."""
    while time == schedule.next_run or time == next(planning.times(schedule, after=time - _INSTANT), None):
        time += _INSTANT
    return time


def _occurrence_inputs(schedule: Schedule, time: datetime, iteration: int) -> JsonObject:
    """Return the inputs that describe the occurrence and its schedule."""
    return {
        "start": schedule.start.timestamp(),
        "iterations": iteration,
        "max_iterations": schedule.max_iterations,
        "scheduled_for": rfc3339(time),
    }
