"""Record the outcomes of due times, start executions and advance their schedules in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Row, and_, bindparam, delete, exists, literal_column, select, update

from cloudo_kernel.errors import StaleAttempt
from cloudo_kernel.models import ExecutionBrief, Occurrence, OccurrenceOutcome, Schedule, event_types
from cloudo_kernel.planning import Span, without
from cloudo_kernel.store.events import event_row, record, record_all
from cloudo_kernel.store.executions import dependencies
from cloudo_kernel.store.executions.lists import briefs_of
from cloudo_kernel.store.executions.new_execution import NewExecution
from cloudo_kernel.store.executions.records import ENDED, insert_new
from cloudo_kernel.store.executions.transitions import stop
from cloudo_kernel.store.schedules.records import Due
from cloudo_kernel.store.sql.bulk_statement import BulkStatement
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import dependencies as followers
from cloudo_kernel.store.tables import executions, occurrences, schedules, sources

_s, _o, _e = schedules.c, occurrences.c, executions.c
_SECOND = timedelta(seconds=1)

_held = executions.alias()
_is_followed = exists().where(
    followers.c.on_id == _e.id,
    followers.c.execution_id == _held.c.id,
    _held.c.schedule_id == _e.schedule_id,
    _held.c.is_held,
)
_is_unended = and_(_e.schedule_id == bindparam("of"), _e.status.not_in(ENDED))
_LAST = select(_e.id).where(_is_unended, ~_is_followed).order_by(_e.id)
_its_time = and_(_o.schedule_id == _e.schedule_id, _o.execution_id == _e.id)
_CAUGHT_UP = select(_e.id, _o.is_late).join(occurrences, _its_time).where(_is_unended, _o.is_caught_up).order_by(_o.due)
_STARTED_LAST = (
    select(_e.started_at, _o.due)
    .join(occurrences, _its_time)
    .where(_e.schedule_id == bindparam("of"), _o.is_caught_up, _e.started_at.is_not(None))
    .order_by(_o.due.desc())
    .limit(2)
)
_ADVANCE = BulkStatement(
    update(schedules)
    .where(_s.id == bindparam("of"), _s.revision == bindparam("known"))
    .values(
        next_run=bindparam("next_run"),
        fire_at=bindparam("fire_at"),
        last_due=bindparam("last_due"),
        iterations=bindparam("iterations"),
        awaited_id=bindparam("awaited_id"),
        broken=bindparam("broken"),
        revision=_s.revision + literal_column("1", Integer),
    )
)


# Named tuples: thousands are created at once, and a frozen dataclass takes three times as long to create.


class NewOccurrence(NamedTuple):
    """An occurrence to record, and the execution that it starts."""

    due: datetime
    outcome: OccurrenceOutcome
    reason: str | None = None
    #: None if out of turn. For a range of due times, that of the first.
    iteration: int | None = None
    #: When it should start, jitter included; None if out of turn.
    fire_at: datetime | None = None
    execution: NewExecution | None = None
    #: The executions that must end first.
    after_ids: Sequence[str] = ()
    is_caught_up: bool = False
    is_late: bool = False
    #: For a range of due times: the last one, and how many there are.
    until: datetime | None = None
    number: int = 1

    @property
    def record(self) -> Occurrence:
        """The record of this occurrence, without its lateness."""
        return Occurrence(
            due=self.due,
            until=self.until,
            count=self.number,
            outcome=self.outcome,
            reason=self.reason,
            execution_id=self.execution and self.execution.id,
            iteration=self.iteration,
        )


class CatchingUp(NamedTuple):
    """The executions of a schedule that are part of catching up and have not ended, in order."""

    ids: Sequence[str] = ()
    #: One of them was late, or the delay of the last ones to start was decreasing. Otherwise the runs take longer than
    #: the interval, and catching up would never end if all new occurrences were queued.
    is_going_on: bool = False


class Firing(NamedTuple):
    """The decision about a schedule that is due."""

    due: Due
    occurrences: Sequence[NewOccurrence]
    next_run: datetime | None
    fire_at: datetime | None
    #: The number of due times that it covers, and the last of them.
    iterations: int = 0
    last_due: datetime | None = None
    broken: str | None = None
    #: Executions to cancel first.
    cancelled: Sequence[str] = ()
    awaited_id: str | None = None


class _Overtaken(Exception):
    """A schedule has changed since it was read."""


class Occurrences:
    """Writes and reads the occurrences of schedules."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._add_source = database.insert()(sources).on_conflict_do_nothing()
        self._note = BulkStatement(database.insert()(occurrences).on_conflict_do_nothing())

    def page(self, schedule_id: str, *, limit: int, before: datetime | None) -> tuple[Occurrence, ...]:
        """Return the occurrences of a schedule before a moment, newest first."""
        query = select(occurrences).where(_o.schedule_id == schedule_id).order_by(_o.due.desc()).limit(limit)
        if before is not None:
            query = query.where(_o.due < before)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            started = briefs_of(connection, (row.execution_id for row in rows))
        return tuple(_record(row, started) for row in rows)

    def with_executions(self, found: Sequence[Occurrence]) -> tuple[Occurrence, ...]:
        """Return occurrences with the executions that they started."""
        with self._database.read() as connection:
            started = briefs_of(connection, (one.execution_id for one in found))
        return tuple(one.model_copy(update={"execution": started.get(one.execution_id or "")}) for one in found)

    def started_between(self, schedule_id: str, start: datetime, end: datetime) -> frozenset[datetime]:
        """Return the due times from `start` to before `end` for which an execution was started."""
        is_meant = and_(_o.schedule_id == schedule_id, _o.due >= start, _o.due < end, _o.execution_id.is_not(None))
        with self._database.read() as connection:
            return frozenset(connection.execute(select(_o.due).where(is_meant)).scalars())

    def last_unended(self, schedule_id: str) -> tuple[str, ...]:
        """Return the unended executions that no held one waits for. Once they end, all of the schedule have ended."""
        with self._database.read() as connection:
            return tuple(connection.execute(_LAST, {"of": schedule_id}).scalars())

    def catching_up(self, schedule_id: str) -> CatchingUp:
        """Return the executions of a schedule that are part of catching up and have not ended."""
        with self._database.read() as connection:
            found = connection.execute(_CAUGHT_UP, {"of": schedule_id}).all()
            is_going_on = any(row.is_late for row in found)
            if found and not is_going_on:
                delays = [row.started_at - row.due for row in connection.execute(_STARTED_LAST, {"of": schedule_id})]
                is_going_on = len(delays) < 2 or delays[0] < delays[1]
        return CatchingUp(tuple(row.id for row in found), is_going_on)

    def fire(self, firings: Sequence[Firing], *, user_name: str) -> int:
        """Start due executions and advance their schedules, in one transaction; return the number of schedules.

        A schedule that has changed since it was read is skipped.
        """
        try:
            with self._database.write() as connection:
                _lock_cancelled(connection, firings)
                self._carry_out(connection, firings, user_name=user_name)
            return len(firings)
        except _Overtaken:  # too rare to check first
            pass
        with self._database.write() as connection:
            _lock_cancelled(connection, firings)
            ids = [firing.due.schedule.id for firing in firings]
            wanted = select(_s.id, _s.revision).where(_s.id.in_(ids)).order_by(_s.id)
            rows = connection.execute(wanted.with_for_update()).all()
            revisions = {row.id: row.revision for row in rows}
            mine = [one for one in firings if revisions.get(one.due.schedule.id) == one.due.revision]
            if mine:
                self._carry_out(connection, mine, user_name=user_name)
        return len(mine)

    def _carry_out(self, connection: Connection, firings: Sequence[Firing], *, user_name: str) -> None:
        """Advance schedules and write their occurrences. Raises `_Overtaken`."""
        now = self._database.clock()
        # Ordered by id, so that two concurrent transactions cannot deadlock.
        advanced = sorted(map(_advanced, firings), key=itemgetter("of"))
        if _ADVANCE.run(connection, advanced) != len(firings):
            raise _Overtaken
        for firing in firings:
            if firing.cancelled:
                _cancel(connection, firing.cancelled, now=now)
        details = [(one.due.schedule.id, new) for one in firings for new in _in_runs(connection, one)]
        self._write(connection, details, now)
        record_all(connection, [row for one in firings for row in _skip_events(one, now=now, user_name=user_name)])

    def start(self, due: Due, new: Sequence[NewOccurrence], *, event: str, user_name: str) -> bool:
        """Start executions of a schedule out of turn; return False if it has changed since it was read.

        Existing records of these due times that started nothing are replaced.
        """
        schedule, now = due.schedule, self._database.clock()
        is_replaced = and_(_o.schedule_id == schedule.id, _o.due.in_([one.due for one in new]))
        known = and_(_s.id == schedule.id, _s.revision == due.revision)
        with self._database.write() as connection:
            # A transaction that saw the schedule with nothing running must not proceed.
            if not connection.execute(update(schedules).where(known).values(revision=due.revision + 1)).rowcount:
                return False
            _take_out(connection, schedule, [one.due for one in new])
            connection.execute(delete(occurrences).where(is_replaced, _o.execution_id.is_(None)))
            self._write(connection, [(schedule.id, one) for one in new], now)
            details = {"name": schedule.name, "flow_name": schedule.flow_name, "started": len(new)}
            record(connection, event, event_types.SCHEDULE, schedule.id, time=now, user_name=user_name, **details)
        return True

    def _write(self, connection: Connection, new: Sequence[tuple[str, NewOccurrence]], now: datetime) -> None:
        """Record occurrences and add their executions, except for due times that are already recorded."""
        if not new:
            return
        noted = self._note.run(connection, [_noted(schedule_id, one, now) for schedule_id, one in new])
        started = [(one.execution, one.after_ids) for _, one in new if one.execution is not None]
        if noted < len(new):
            ids = [execution.id for execution, _ in started]
            is_mine = and_(_o.schedule_id.in_({schedule_id for schedule_id, _ in new}), _o.execution_id.in_(ids))
            fresh = set(connection.execute(select(_o.execution_id).where(is_mine)).scalars())
            started = list(_closed_up(started, fresh))
        insert_new(connection, [execution for execution, _ in started], self._add_source, now=now)
        dependencies.add_new(connection, [(execution.id, one) for execution, after in started for one in after])


def _in_runs(connection: Connection, firing: Firing) -> Sequence[NewOccurrence]:
    """Merge consecutive occurrences that start nothing and share outcome and reason into one range each.

    Due times that were started out of turn meanwhile are left out.
    """
    schedule, all_of_it = firing.due.schedule, firing.occurrences
    if len(all_of_it) <= 1 and all(one.number == 1 for one in all_of_it):
        return all_of_it
    found: list[NewOccurrence] = []
    for _, alike in groupby(all_of_it, lambda one: (one.outcome, one.reason, one.execution and one.execution.id)):
        first, *others = alike
        last = others[-1] if others else first
        if not others and first.number == 1:
            found.append(first)
            continue
        number = first.number + sum(one.number for one in others)
        span = Span(first.due, last.until or last.due, number, first.iteration)
        is_in_it = and_(_o.schedule_id == schedule.id, _o.due.between(span.due, span.until))
        started = select(_o.due).where(is_in_it, _o.execution_id.is_not(None))
        if (left := without(schedule, span, frozenset(connection.execute(started).scalars()))) is not None:
            found.append(first._replace(**left._asdict()))
    return found


def _take_out(connection: Connection, schedule: Schedule, dues: Sequence[datetime]) -> None:
    """Remove due times from the recorded ranges for which nothing was started."""
    is_its = _o.schedule_id == schedule.id
    is_meant = and_(is_its, _o.until.is_not(None), _o.due <= max(dues), _o.until >= min(dues))
    for row in connection.execute(select(occurrences).where(is_meant)).mappings().all():
        span = Span(row["due"], row["until"], row["count"], row["iteration"])
        started = select(_o.due).where(is_its, _o.due.between(span.due, span.until), _o.execution_id.is_not(None))
        known = {one for one in connection.execute(started).scalars() if one not in dues}
        # Due times started earlier are no longer counted, but the range must not begin or end with one.
        left = without(schedule, span._replace(number=span.number + len(known)), known.union(dues))
        is_row = and_(is_its, _o.due == span.due)
        if left is None:
            connection.execute(delete(occurrences).where(is_row))
        else:
            values = {"due": left.due, "until": left.until, "count": left.number, "iteration": left.iteration}
            connection.execute(update(occurrences).where(is_row).values(values))


def _closed_up(
    started: Sequence[tuple[NewExecution, Sequence[str]]], fresh: Collection[str]
) -> Iterator[tuple[NewExecution, Sequence[str]]]:
    """Yield the `fresh` executions. Instead of one that is left out, each waits for what that one would wait for."""
    left_out: dict[str, tuple[str, ...]] = {}
    for execution, after_ids in started:
        after = tuple(dict.fromkeys(one for after_id in after_ids for one in left_out.get(after_id, (after_id,))))
        if execution.id in fresh:
            yield execution.copy(is_held=bool(after)), after
        else:
            left_out[execution.id] = after


def _record(row: Row[Any], started: Mapping[str, ExecutionBrief]) -> Occurrence:
    return Occurrence.model_validate({**row._mapping, "execution": started.get(row.execution_id)})


def _noted(schedule_id: str, new: NewOccurrence, now: datetime) -> dict[str, Any]:
    is_on_plan = new.execution is not None and new.fire_at is not None
    return {
        "schedule_id": schedule_id,
        "due": new.due,
        "until": new.until,
        "count": new.number,
        "is_caught_up": new.is_caught_up,
        "is_late": new.is_late,
        "outcome": new.outcome,
        "reason": new.reason,
        "execution_id": new.execution and new.execution.id,
        "iteration": new.iteration,
        "lateness_seconds": max(0.0, (now - new.fire_at) / _SECOND) if is_on_plan and new.fire_at else None,
        "noted_at": now,
    }


def _advanced(firing: Firing) -> dict[str, Any]:
    return {
        "of": firing.due.schedule.id,
        "known": firing.due.revision,
        "next_run": firing.next_run,
        "fire_at": firing.fire_at,
        "last_due": firing.last_due or firing.due.last_due,
        "iterations": firing.due.schedule.iterations + firing.iterations,
        "awaited_id": firing.awaited_id,
        "broken": firing.broken,
    }


def _skip_events(firing: Firing, *, now: datetime, user_name: str) -> list[dict[str, Any]]:
    """Return the events of occurrences that started nothing; executions have their own events."""
    if all(new.execution is not None for new in firing.occurrences):
        return []
    schedule = firing.due.schedule
    found: dict[tuple[str, str | None], int] = {}
    for new in firing.occurrences:
        if new.execution is None:
            kind = (event_types.OF_OUTCOME[new.outcome], new.reason)
            found[kind] = found.get(kind, 0) + new.number
    return [
        event_row(
            event,
            event_types.SCHEDULE,
            schedule.id,
            time=now,
            user_name=user_name,
            name=schedule.name,
            flow_name=schedule.flow_name,
            count=count,
            reason=reason,
        )
        for (event, reason), count in found.items()
    ]


def _lock_cancelled(connection: Connection, firings: Sequence[Firing]) -> None:
    """Lock the executions to cancel before any schedule: ending an execution locks in the same order."""
    if cancelled := [one for firing in firings for one in firing.cancelled]:
        connection.execute(select(_e.id).where(_e.id.in_(cancelled)).order_by(_e.id).with_for_update())


def _cancel(connection: Connection, ids: Sequence[str], *, now: datetime) -> None:
    is_meant = and_(_e.id.in_(ids), _e.status.not_in(ENDED), _e.stop_reason.is_(None))
    for row in connection.execute(select(executions).where(is_meant)).all():
        with suppress(StaleAttempt):  # the end of its parent, earlier in this loop, has ended it
            stop(connection, row, reason="the next occurrence of its schedule took its place", now=now, user_name=None)
