"""What became of the times of schedules, and the one transaction that starts what is due and moves on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Row, and_, bindparam, delete, exists, literal_column, select, update

from cloudo_kernel.models import Occurrence, OccurrenceOutcome, Schedule, event_types
from cloudo_kernel.scheduling.spans import Run, without
from cloudo_kernel.store.events import event_row, record, record_all
from cloudo_kernel.store.executions import dependencies
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


# Named tuples: of what thousands are made at one instant, a frozen dataclass takes three times as long to make.


class NewOccurrence(NamedTuple):
    """An occurrence to be recorded, and the execution that it starts."""

    due: datetime
    outcome: OccurrenceOutcome
    reason: str | None = None
    #: None for one out of turn; of a run of times that of the first one.
    iteration: int | None = None
    #: When it was to start, jitter included; None for one out of turn.
    fire_at: datetime | None = None
    execution: NewExecution | None = None
    #: The executions that have to end before.
    after_ids: Sequence[str] = ()
    is_caught_up: bool = False
    is_late: bool = False
    #: The last of a run of times, and how many there are.
    until: datetime | None = None
    number: int = 1

    @property
    def record(self) -> Occurrence:
        """It as it is recorded, but for how late it was."""
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
    """The executions of a schedule that are a part of catching up and have not ended, in order."""

    ids: Sequence[str] = ()
    #: One of them was late, or those that started last had less delay each. Else the schedule runs longer than its
    #: interval, and would never be done if all times that come were to queue.
    is_going_on: bool = False


class Firing(NamedTuple):
    """What is to become of a schedule whose time has come."""

    due: Due
    occurrences: Sequence[NewOccurrence]
    next_run: datetime | None
    fire_at: datetime | None
    #: The number of times that have come, and the last of them.
    iterations: int = 0
    last_due: datetime | None = None
    broken: str | None = None
    #: Executions to cancel before.
    cancelled: Sequence[str] = ()
    awaited_id: str | None = None


class _Overtaken(Exception):
    """A schedule has changed since it was read."""


class Occurrences:
    """Writes what becomes of the times of schedules, and reads it."""

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
            return tuple(_record(row) for row in connection.execute(query))

    def started_between(self, schedule_id: str, start: datetime, end: datetime) -> frozenset[datetime]:
        """Return the times from `start` on and before `end` for which an execution was started."""
        is_meant = and_(_o.schedule_id == schedule_id, _o.due >= start, _o.due < end, _o.execution_id.is_not(None))
        with self._database.read() as connection:
            return frozenset(connection.execute(select(_o.due).where(is_meant)).scalars())

    def last_unended(self, schedule_id: str) -> tuple[str, ...]:
        """Return the executions of a schedule after which all have ended: those behind which no other one waits."""
        with self._database.read() as connection:
            return tuple(connection.execute(_LAST, {"of": schedule_id}).scalars())

    def catching_up(self, schedule_id: str) -> CatchingUp:
        """Return the executions of a schedule that are a part of catching up and have not ended."""
        with self._database.read() as connection:
            found = connection.execute(_CAUGHT_UP, {"of": schedule_id}).all()
            is_going_on = any(row.is_late for row in found)
            if found and not is_going_on:
                delays = [row.started_at - row.due for row in connection.execute(_STARTED_LAST, {"of": schedule_id})]
                is_going_on = len(delays) < 2 or delays[0] < delays[1]
        return CatchingUp(tuple(row.id for row in found), is_going_on)

    def fire(self, firings: Sequence[Firing], *, user_name: str) -> int:
        """Start what is due and move the schedules on, in one transaction; return how many schedules that were.

        A schedule that changed since it was read is left alone: somebody was quicker.
        """
        try:
            with self._database.write() as connection:
                _lock_cancelled(connection, firings)
                self._carry_out(connection, firings, user_name=user_name)
            return len(firings)
        except _Overtaken:  # hardly ever: so nobody asks before
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
        """Move schedules on, and write what that brings. Raises `_Overtaken`."""
        now = self._database.clock()
        # In the order of their ids, so that two who do this do not wait for each other in turn.
        advanced = sorted(map(_advanced, firings), key=itemgetter("of"))
        if _ADVANCE.run(connection, advanced) != len(firings):
            raise _Overtaken
        for firing in firings:
            if firing.cancelled:
                _cancel(connection, firing.cancelled, now=now)
        told = [(one.due.schedule.id, new) for one in firings for new in _in_runs(connection, one)]
        self._write(connection, told, now)
        record_all(connection, [row for one in firings for row in _told(one, now=now, user_name=user_name)])

    def start(self, due: Due, new: Sequence[NewOccurrence], *, event: str, user_name: str) -> bool:
        """Start executions of a schedule out of turn, unless it has changed since it was read; return whether it was.

        Other records of these times are replaced.
        """
        schedule, now = due.schedule, self._database.clock()
        is_replaced = and_(_o.schedule_id == schedule.id, _o.due.in_([one.due for one in new]))
        known = and_(_s.id == schedule.id, _s.revision == due.revision)
        with self._database.write() as connection:
            # Whoever has seen the schedule with nothing under way must not go on from there.
            if not connection.execute(update(schedules).where(known).values(revision=due.revision + 1)).rowcount:
                return False
            _take_out(connection, schedule, [one.due for one in new])
            connection.execute(delete(occurrences).where(is_replaced, _o.execution_id.is_(None)))
            self._write(connection, [(schedule.id, one) for one in new], now)
            told = {"name": schedule.name, "flow_name": schedule.flow_name, "started": len(new)}
            record(connection, event, event_types.SCHEDULE, schedule.id, time=now, user_name=user_name, **told)
        return True

    def _write(self, connection: Connection, new: Sequence[tuple[str, NewOccurrence]], now: datetime) -> None:
        """Record occurrences of schedules, and add their executions; one whose time was recorded before is left out."""
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
    """Make one of occurrences in a row for which nothing is started, if outcome and reason are the same.

    What was started out of turn meanwhile is left out.
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
        run = Run(first.due, last.until or last.due, number, first.iteration)
        is_in_it = and_(_o.schedule_id == schedule.id, _o.due.between(run.due, run.until))
        started = select(_o.due).where(is_in_it, _o.execution_id.is_not(None))
        if (left := without(schedule, run, frozenset(connection.execute(started).scalars()))) is not None:
            found.append(first._replace(**left._asdict()))
    return found


def _take_out(connection: Connection, schedule: Schedule, dues: Sequence[datetime]) -> None:
    """Take times out of the runs of times for which nothing was started."""
    is_its = _o.schedule_id == schedule.id
    is_meant = and_(is_its, _o.until.is_not(None), _o.due <= max(dues), _o.until >= min(dues))
    for row in connection.execute(select(occurrences).where(is_meant)).mappings().all():
        run = Run(row["due"], row["until"], row["count"], row["iteration"])
        started = select(_o.due).where(is_its, _o.due.between(run.due, run.until), _o.execution_id.is_not(None))
        known = {one for one in connection.execute(started).scalars() if one not in dues}
        # What was started before is not counted any more, but the run must not begin or end with it.
        left = without(schedule, run._replace(number=run.number + len(known)), known.union(dues))
        is_row = and_(is_its, _o.due == run.due)
        if left is None:
            connection.execute(delete(occurrences).where(is_row))
        else:
            values = {"due": left.due, "until": left.until, "count": left.number, "iteration": left.iteration}
            connection.execute(update(occurrences).where(is_row).values(values))


def _closed_up(
    started: Sequence[tuple[NewExecution, Sequence[str]]], fresh: Collection[str]
) -> Iterator[tuple[NewExecution, Sequence[str]]]:
    """Yield those that are `fresh`, each behind what those before it that are not would have waited for."""
    left_out: dict[str, tuple[str, ...]] = {}
    for execution, after_ids in started:
        after = tuple(dict.fromkeys(one for after_id in after_ids for one in left_out.get(after_id, (after_id,))))
        if execution.id in fresh:
            yield execution.copy(is_held=bool(after)), after
        else:
            left_out[execution.id] = after


def _record(row: Row[Any]) -> Occurrence:
    return Occurrence.model_validate(dict(row._mapping))


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


def _told(firing: Firing, *, now: datetime, user_name: str) -> list[dict[str, Any]]:
    """Return events of what was not started; the executions have their own."""
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
    """Lock what is to be cancelled before any schedule, in the order of what ends: its execution, then its schedule."""
    if cancelled := [one for firing in firings for one in firing.cancelled]:
        connection.execute(select(_e.id).where(_e.id.in_(cancelled)).order_by(_e.id).with_for_update())


def _cancel(connection: Connection, ids: Sequence[str], *, now: datetime) -> None:
    is_meant = and_(_e.id.in_(ids), _e.status.not_in(ENDED), _e.stop_reason.is_(None))
    for row in connection.execute(select(executions).where(is_meant)).all():
        stop(connection, row, reason="the next occurrence of its schedule took its place", now=now, user_name=None)
