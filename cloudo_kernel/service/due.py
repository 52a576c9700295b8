"""What starts the executions of schedules: when they are due, by hand, and for times that have passed."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import cache
from itertools import takewhile

from cloudo_kernel import planning, triggers
from cloudo_kernel.catalog import Source
from cloudo_kernel.errors import CloudoError, Conflict, MalformedRequest, Unavailable
from cloudo_kernel.events import SCHEDULE_BACKFILLED, SCHEDULE_TRIGGERED
from cloudo_kernel.models import (
    Backfill,
    Execution,
    ExecutionType,
    JsonObject,
    Occurrence,
    OccurrenceOutcome,
    Schedule,
    Trigger,
    rfc3339,
)
from cloudo_kernel.service.schedules import ScheduleVerbs
from cloudo_kernel.store import Due, Firing, NewExecution, NewOccurrence

_log = logging.getLogger(__name__)

#: So many schedules are looked at in one transaction.
_MOST_AT_ONCE = 500
#: So many past times are run at once.
_MOST_BACKFILLED = 1000
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class DueVerbs(ScheduleVerbs):
    """Starts of the executions of schedules."""

    def run_due_schedules(self) -> int:
        """Start what is due; the scheduler of every worker calls it. Returns how many schedules were due."""
        due = self._store.schedules.due(most=_MOST_AT_ONCE)
        if due:
            now = self._store.now
            acting = type(self)(self._store, self._catalog, user_name=self._user_name, trigger=Trigger.SCHEDULE)
            flow_source = cache(acting._flow_source)  # many schedules may be of one flow
            firings = [acting._firing(one, now, flow_source) for one in due]
            self._store.schedules.fire(firings, user_name=self._user_name)
        return len(due)

    def trigger_schedule(self, schedule_id: str) -> Execution:
        """See `Api.trigger_schedule`."""
        due, now = self._store.schedules.look(schedule_id), self._store.now
        new = self._execution(due, now, due.schedule.iterations or 1, self._flow_source)
        reason = f"started by {self._user_name}, out of turn"
        record = Occurrence(due=now, outcome=OccurrenceOutcome.STARTED, reason=reason, execution_id=new.id)
        started = [NewOccurrence(record, execution=new)]
        self._store.schedules.start(due.schedule, started, event=SCHEDULE_TRIGGERED, user_name=self._user_name)
        return self._store.executions.get(new.id)

    def backfill_schedule(self, schedule_id: str, request: Backfill) -> tuple[Occurrence, ...]:
        """See `Api.backfill_schedule`."""
        due, now = self._store.schedules.look(schedule_id), self._store.now
        start, end = self._range(due.schedule, request, now)
        done = self._store.schedules.started_between(schedule_id, start, end)
        unlimited = due.schedule.model_copy(update={"max_iterations": None, "end_at": None})
        # The grid of an interval goes on into the past.
        if due.schedule.trigger.every_seconds is not None:
            unlimited = unlimited.model_copy(update={"start": _on_grid(due.schedule, start)})
        else:
            unlimited = unlimited.model_copy(update={"start": start})
        past = planning.times(unlimited, after=start - timedelta(microseconds=1))
        times = [time for time in takewhile(lambda time: time < end, past) if time not in done]
        if len(times) > _MOST_BACKFILLED:
            raise MalformedRequest(
                f"These are {len(times):,} times; at most {_MOST_BACKFILLED:,} are run at once. Choose less.", field="end"
            )
        new: list[NewOccurrence] = []
        for number, time in enumerate(times, 1):
            last = new[-1].execution if new else None
            execution = self._execution(due, time, number, self._flow_source, is_held=last is not None)
            reason = f"backfilled by {self._user_name}"
            record = Occurrence(due=time, outcome=OccurrenceOutcome.STARTED, reason=reason, execution_id=execution.id)
            new.append(NewOccurrence(record, execution=execution, after_id=last.id if last else None))
        if new:
            self._store.schedules.start(due.schedule, new, event=SCHEDULE_BACKFILLED, user_name=self._user_name)
        return tuple(one.record for one in new)
