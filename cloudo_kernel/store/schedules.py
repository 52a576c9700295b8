"""The schedules: making, reading, changing, and the one transaction that starts what is due and moves on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, exists, func, insert, or_, select, tuple_, update

from cloudo_kernel import events, settings
from cloudo_kernel.errors import ScheduleNotFound
from cloudo_kernel.models import Occasion, Occurrence, Page, Schedule
from cloudo_kernel.store import dependencies
from cloudo_kernel.store.database import Database, Patterns
from cloudo_kernel.store.events import event_row, record, record_all
from cloudo_kernel.store.executions import ENDED, forget_source, insert_new
from cloudo_kernel.store.moves import stop
from cloudo_kernel.store.new_execution import NewExecution
from cloudo_kernel.store.settings import value_of
from cloudo_kernel.tables import executions, occurrences, schedules, sources

_s, _o, _e = schedules.c, occurrences.c, executions.c

# Made once: making a statement takes SQLAlchemy several times as long as running it.
_INSERT = insert(schedules)
_NEXT_LOOK = select(_s.fire_at).where(_s.fire_at.is_not(None)).order_by(_s.fire_at).limit(1)
_DUE = select(schedules).where(_s.fire_at <= bindparam("now")).order_by(_s.fire_at).limit(bindparam("most"))
_ADVANCE = (
    update(schedules)
    .where(_s.id == bindparam("of"))
    .values(
        next_run=bindparam("next_run"),
        fire_at=bindparam("fire_at"),
        last_due=bindparam("last_due"),
        iterations=bindparam("iterations"),
        awaited_id=bindparam("awaited_id"),
        broken=bindparam("broken"),
        revision=_s.revision + 1,
    )
)


@dataclass(frozen=True)
class Due:
    """A schedule whose time has come."""

    schedule: Schedule
    revision: int
    last_due: datetime | None
    source_sha256: str | None
    #: The execution from whose end its interval counts.
    awaited_id: str | None
    #: Of its executions, oldest first.
    unended: tuple[str, ...]
    sealed_inputs: str | None


@dataclass(frozen=True)
class NewOccurrence:
    """An occurrence to be recorded, and the execution that it starts."""

    record: Occurrence
    #: When it was to start, jitter included; None for one out of turn.
    fire_at: datetime | None = None
    execution: NewExecution | None = None
    #: The execution that has to end before.
    after_id: str | None = None


@dataclass(frozen=True)
class Firing:
    """What is to become of a schedule whose time has come."""

    due: Due
    occurrences: Sequence[NewOccurrence]
    next_run: datetime | None
    fire_at: datetime | None
    broken: str | None = None
    #: Executions to cancel before.
    cancelled: Sequence[str] = ()
    awaited_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """What the store keeps of a schedule and the record does not show."""

    fire_at: datetime | None
    awaited_id: str | None = None
    source_sha256: str | None = None
    source_text: str | None = field(default=None, repr=False)
    sealed_inputs: str | None = None


class Schedules:
    """Reads and writes schedules and their occurrences."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._add_source = database.insert()(sources).on_conflict_do_nothing()
        self._note = database.insert()(occurrences).on_conflict_do_nothing().returning(_o.schedule_id, _o.due)

    def insert(self, schedule: Schedule, hidden: Hidden) -> None:
        """Add a schedule."""
        with self._database.write() as connection:
            self._keep_source(connection, hidden)
            connection.execute(_INSERT, _columns(schedule, hidden))
            self._tell(connection, events.SCHEDULE_CREATED, schedule, user_name=schedule.user_name)

    def get(self, schedule_id: str) -> Schedule:
        """Return a schedule with its last occurrence. Raises `ScheduleNotFound`."""
        return self.look(schedule_id).schedule

    def look(self, schedule_id: str) -> Due:
        """Return a schedule as `due` does, whether its time has come or not. Raises `ScheduleNotFound`."""
        with self._database.read() as connection:
            row = connection.execute(select(schedules).where(_s.id == schedule_id)).one_or_none()
            if row is None:
                raise ScheduleNotFound(schedule_id)
            [due] = _dues(connection, [row])
            last = _last_occurrences(connection, [schedule_id])
        return _with_last(due, last)

    def page(
        self, *, flow_name: str | None, q: str | None, limit: int, before: str | None, flows: Patterns = None
    ) -> Page[Schedule]:
        """Return schedules, newest first, of flows that fit the patterns; the cursor is the id of the last one."""
        is_meant = self._database.fits(_s.flow_name, flows)
        query = select(schedules).where(is_meant).order_by(_s.id.desc()).limit(limit + 1)
        if flow_name is not None:
            query = query.where(_s.flow_name == flow_name)
        if q:
            query = query.where(or_(*(column.icontains(q, autoescape=True) for column in (_s.name, _s.flow_name))))
        if before is not None:
            query = query.where(_s.id < before)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            last = _last_occurrences(connection, [row.id for row in rows[:limit]])
        items = tuple(_record(row, last.get(row.id)) for row in rows[:limit])
        return Page[Schedule](items=items, next=items[-1].id if len(rows) > limit else None)

    def change(self, due: Due, schedule: Schedule, hidden: Hidden, *, event: str, user_name: str, **told: Any) -> bool:
        """Write a schedule that was read as `due`, unless somebody was quicker; return whether it was written."""
        values = _columns(schedule, hidden)
        with self._database.write() as connection:
            self._keep_source(connection, hidden)
            changed = connection.execute(
                update(schedules)
                .where(_s.id == schedule.id, _s.revision == due.revision)
                .values(**values, revision=due.revision + 1, error_count=0)
            )
            if changed.rowcount:
                self._tell(connection, event, schedule, user_name=user_name, **told)
        return bool(changed.rowcount)

    def rename_flow(self, old: str, new: str) -> None:
        """Let the schedules of a flow follow it to its new name."""
        with self._database.write() as connection:
            values = {"flow_name": new, "revision": _s.revision + 1}
            connection.execute(update(schedules).where(_s.flow_name == old).values(**values))

    def delete(self, schedule_id: str, *, user_name: str) -> None:
        """Delete a schedule and its occurrences; its executions stay. Raises `ScheduleNotFound`."""
        with self._database.write() as connection:
            deleted = delete(schedules).where(_s.id == schedule_id).returning(_s.name, _s.source_sha256)
            row = connection.execute(deleted).one_or_none()
            if row is None:
                raise ScheduleNotFound(schedule_id)
            connection.execute(delete(occurrences).where(_o.schedule_id == schedule_id))
            forget_source(connection, row.source_sha256)
            now = self._database.clock()
            about = {"time": now, "user_name": user_name, "name": row.name}
            record(connection, events.SCHEDULE_DELETED, events.SCHEDULE, schedule_id, **about)

    def occurrences(self, schedule_id: str, *, limit: int, before: datetime | None) -> tuple[Occurrence, ...]:
        """Return the occurrences of a schedule before a moment, newest first."""
        query = select(occurrences).where(_o.schedule_id == schedule_id).order_by(_o.due.desc()).limit(limit)
        if before is not None:
            query = query.where(_o.due < before)
        with self._database.read() as connection:
            return tuple(_occurrence(row) for row in connection.execute(query))

    def started_between(self, schedule_id: str, start: datetime, end: datetime) -> frozenset[datetime]:
        """Return the times from `start` on and before `end` for which an execution was started."""
        is_meant = and_(_o.schedule_id == schedule_id, _o.due >= start, _o.due < end, _o.execution_id.is_not(None))
        with self._database.read() as connection:
            return frozenset(connection.execute(select(_o.due).where(is_meant)).scalars())

    def next_runs(self, flow_names: Sequence[str]) -> dict[str, datetime]:
        """Return when each flow is to be started next, if it is."""
        query = select(_s.flow_name, func.min(_s.next_run)).where(_s.next_run.is_not(None)).group_by(_s.flow_name)
        with self._database.read() as connection:
            found = connection.execute(query.where(_s.flow_name.in_(flow_names))).all()
        return {row[0]: row[1] for row in found}

    def next_look(self) -> datetime | None:
        """Return when the next schedule is due, jitter included."""
        with self._database.read() as connection:
            moment: datetime | None = connection.execute(_NEXT_LOOK).scalar()
        return moment

    def overdue(self, *, by: timedelta) -> int:
        """Return how many schedules are due for longer than `by`."""
        query = select(func.count()).select_from(schedules).where(_s.fire_at < self._database.clock() - by)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def due(self, *, most: int) -> tuple[Due, ...]:
        """Return schedules whose time has come, the one that waits longest first."""
        with self._database.read() as connection:
            rows = connection.execute(_DUE, {"now": self._database.clock(), "most": most}).all()
            return _dues(connection, rows)

    def fire(self, firings: Sequence[Firing], *, user_name: str) -> int:
        """Start what is due and move the schedules on, in one transaction; return how many schedules that were.

        A schedule that changed since it was read is left alone: somebody was quicker.
        """
        with self._database.write() as connection:
            ids = [firing.due.schedule.id for firing in firings]
            rows = connection.execute(select(_s.id, _s.revision).where(_s.id.in_(ids)).with_for_update()).all()
            revisions = {row.id: row.revision for row in rows}
            mine = [one for one in firings if revisions.get(one.due.schedule.id) == one.due.revision]
            if not mine:
                return 0
            now = self._database.clock()
            for firing in mine:
                _cancel(connection, firing.cancelled, now=now)
            self._write(connection, [(one.due.schedule, new) for one in mine for new in one.occurrences], now)
            connection.execute(_ADVANCE, [_advanced(one) for one in mine])
            record_all(connection, [row for one in mine for row in _told(one, now=now, user_name=user_name)])
        return len(mine)

    def start(self, schedule: Schedule, new: Sequence[NewOccurrence], *, event: str, user_name: str) -> int:
        """Start executions of a schedule out of turn, and return how many were started.

        A time for which something was started before is left alone; other records of it are replaced.
        """
        now = self._database.clock()
        dues = [one.record.due for one in new]
        is_replaced = and_(_o.schedule_id == schedule.id, _o.due.in_(dues), _o.execution_id.is_(None))
        with self._database.write() as connection:
            connection.execute(delete(occurrences).where(is_replaced))
            started = self._write(connection, [(schedule, one) for one in new], now)
            if started:
                self._tell(connection, event, schedule, user_name=user_name, started=started)
        return started

    def delete_expired(self, *, limit: int = 500) -> None:
        """Forget occurrences past the retention of executions, and schedules that finished so long ago."""
        with self._database.read() as connection:
            minutes = value_of(connection, settings.RETENTION)
        before = self._database.clock() - timedelta(minutes=minutes)
        old = select(_o.schedule_id, _o.due).where(_o.noted_at < before).limit(limit)
        # Only what runs once goes by itself: of the others somebody may want to change the end.
        has_records = exists().where(_o.schedule_id == _s.id)
        is_over = and_(_s.next_run.is_(None), _s.enabled, _s.awaited_id.is_(None), ~has_records)
        runs_once = or_(_s.trigger["at"].as_string().is_not(None), _s.trigger["delay_seconds"].as_string().is_not(None))
        deleted = limit
        while deleted == limit:
            with self._database.write() as connection:
                is_old = tuple_(_o.schedule_id, _o.due).in_(old)
                deleted = connection.execute(delete(occurrences).where(is_old)).rowcount
        with self._database.read() as connection:
            finished = list(connection.execute(select(_s.id).where(is_over, runs_once).limit(limit)).scalars())
        for schedule_id in finished:
            self.delete(schedule_id, user_name="cloudo")

    def _write(self, connection: Connection, new: Sequence[tuple[Schedule, NewOccurrence]], now: datetime) -> int:
        """Record occurrences and add their executions; one whose time was recorded before is left out."""
        if not new:
            return 0
        noted = connection.execute(self._note, [_noted(schedule, one, now) for schedule, one in new])
        fresh = {(row.schedule_id, row.due) for row in noted}
        started = [one for schedule, one in new if one.execution and (schedule.id, one.record.due) in fresh]
        insert_new(connection, [one.execution for one in started if one.execution], self._add_source, now=now)
        for one in started:
            if one.after_id is not None and one.execution is not None:
                dependencies.add(connection, one.execution.id, [one.after_id])
        return len(started)

    def _keep_source(self, connection: Connection, hidden: Hidden) -> None:
        if hidden.source_text is not None:
            connection.execute(self._add_source, {"sha256": hidden.source_sha256, "text": hidden.source_text})

    def _tell(self, connection: Connection, event: str, schedule: Schedule, *, user_name: str, **told: Any) -> None:
        about = {"time": self._database.clock(), "user_name": user_name}
        shown = {"name": schedule.name, "flow_name": schedule.flow_name, **told}
        record(connection, event, events.SCHEDULE, schedule.id, **about, **shown)


def _columns(schedule: Schedule, hidden: Hidden) -> dict[str, Any]:
    shown = {name: getattr(schedule, name) for name in Schedule.model_fields if name in schedules.c}
    follow_ups = schedule.model_dump(mode="json", include={one.value for one in Occasion}, exclude_defaults=True)
    return {
        **shown,
        "trigger": schedule.trigger.model_dump(mode="json", exclude_none=True),
        **dict.fromkeys(Occasion),
        **follow_ups,
        "fire_at": hidden.fire_at,
        "awaited_id": hidden.awaited_id,
        "source_sha256": hidden.source_sha256,
        "sealed_inputs": hidden.sealed_inputs,
    }


def _record(row: Row[Any], last: Occurrence | None = None) -> Schedule:
    return Schedule.model_validate({**row._mapping, "last_occurrence": last})


def _occurrence(row: Row[Any]) -> Occurrence:
    return Occurrence.model_validate(dict(row._mapping))


def _with_last(due: Due, last: dict[str, Occurrence]) -> Due:
    schedule = due.schedule.model_copy(update={"last_occurrence": last.get(due.schedule.id)})
    return replace(due, schedule=schedule)


def _dues(connection: Connection, rows: Sequence[Row[Any]]) -> tuple[Due, ...]:
    is_meant = and_(_e.schedule_id.in_([row.id for row in rows]), _e.status.not_in(ENDED))
    unended: dict[str, list[str]] = {}
    for execution in connection.execute(select(_e.schedule_id, _e.id).where(is_meant).order_by(_e.id)):
        unended.setdefault(execution.schedule_id, []).append(execution.id)
    return tuple(
        Due(
            _record(row),
            row.revision,
            row.last_due,
            row.source_sha256,
            row.awaited_id,
            tuple(unended.get(row.id, ())),
            row.sealed_inputs,
        )
        for row in rows
    )


def _last_occurrences(connection: Connection, ids: Sequence[str]) -> dict[str, Occurrence]:
    newest = select(_o.schedule_id, func.max(_o.due).label("due")).where(_o.schedule_id.in_(ids))
    chosen = newest.group_by(_o.schedule_id).subquery()
    is_newest = and_(_o.schedule_id == chosen.c.schedule_id, _o.due == chosen.c.due)
    rows = connection.execute(select(occurrences).join(chosen, is_newest)).all()
    return {row.schedule_id: _occurrence(row) for row in rows}


def _noted(schedule: Schedule, new: NewOccurrence, now: datetime) -> dict[str, Any]:
    row = {"schedule_id": schedule.id, **dict(new.record), "noted_at": now}
    if new.execution is not None and new.fire_at is not None:
        row["lateness_seconds"] = max(0.0, (now - new.fire_at) / timedelta(seconds=1))
    return row


def _advanced(firing: Firing) -> dict[str, Any]:
    plain = [new for new in firing.occurrences if new.record.iteration is not None]
    return {
        "of": firing.due.schedule.id,
        "next_run": firing.next_run,
        "fire_at": firing.fire_at,
        "last_due": plain[-1].record.due if plain else firing.due.last_due,
        "iterations": firing.due.schedule.iterations + len(plain),
        "awaited_id": firing.awaited_id,
        "broken": firing.broken,
    }


def _told(firing: Firing, *, now: datetime, user_name: str) -> list[dict[str, Any]]:
    """Return events of what was not started; the executions have their own."""
    schedule = firing.due.schedule
    found: dict[tuple[str, str | None], int] = {}
    for new in firing.occurrences:
        if new.execution is None:
            kind = (events.OF_OUTCOME[new.record.outcome], new.record.reason)
            found[kind] = found.get(kind, 0) + 1
    return [
        event_row(
            event,
            events.SCHEDULE,
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


def _cancel(connection: Connection, ids: Sequence[str], *, now: datetime) -> None:
    if not ids:
        return
    is_meant = and_(_e.id.in_(ids), _e.status.not_in(ENDED), _e.stop_reason.is_(None))
    for row in connection.execute(select(executions).where(is_meant)).all():
        stop(connection, row, reason="the next occurrence of its schedule took its place", now=now, user_name=None)
