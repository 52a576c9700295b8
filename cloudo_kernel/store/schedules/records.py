"""Create, read, change and delete schedules. `occurrences` records the outcomes of their due times."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    tuple_,
    update,
)

from cloudo_kernel import settings
from cloudo_kernel.errors import ScheduleNotFound
from cloudo_kernel.models import (
    Occasion,
    Occurrence,
    Page,
    Schedule,
    ScheduleOrder,
    ScheduleTrigger,
    event_types,
)
from cloudo_kernel.scheduling import triggers
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions.lists import briefs_of
from cloudo_kernel.store.executions.records import ENDED, forget_source
from cloudo_kernel.store.settings import value_of
from cloudo_kernel.store.sql.bulk_statement import BulkStatement
from cloudo_kernel.store.sql.database import Database, Patterns
from cloudo_kernel.store.tables import executions, occurrences, schedules, sources

_s, _o, _e = schedules.c, occurrences.c, executions.c

# Built once: SQLAlchemy takes several times as long to build a statement as to run it.
_INSERT = BulkStatement(insert(schedules))
_COLUMNS = tuple(schedules.c.keys())
_RECORD_COLUMNS = tuple(name for name in Schedule.model_fields if name in schedules.c)
_NEXT_DUE = select(_s.fire_at).where(_s.fire_at.is_not(None)).order_by(_s.fire_at).limit(1)
_DUE = select(_s.id, _s.revision).where(_s.fire_at <= bindparam("now")).order_by(_s.fire_at).limit(bindparam("most"))
_COMING = (
    select(_s.id)
    .where(_s.fire_at > bindparam("after"), _s.fire_at <= bindparam("until"))
    .order_by(_s.fire_at)
    .limit(bindparam("most"))
)
_WHOLE = select(schedules).where(_s.id.in_(bindparam("ids", expanding=True)))
_UNENDED = (
    select(_e.schedule_id, _e.id)
    .where(_e.schedule_id.in_(bindparam("ids", expanding=True)), _e.status.not_in(ENDED))
    .order_by(_e.id)
)

#: Schedules are read this long before they are due, up to `_MAX_AHEAD` of them, `_AHEAD_AT_ONCE` at a time.
_AHEAD = timedelta(seconds=10)
_MAX_AHEAD = 10_000
_AHEAD_AT_ONCE = 100
#: They are looked up again once the span to read ahead has grown by this much.
_AHEAD_STEP = timedelta(seconds=1)
#: A schedule read ahead that is overdue by this much was started by another worker, and is dropped.
_STALE = timedelta(seconds=30)


@dataclass(frozen=True)
class Due:
    """A schedule that is due, with columns that its record does not show."""

    schedule: Schedule
    revision: int
    last_due: datetime | None
    source_sha256: str | None
    #: The execution from whose end its interval is counted.
    awaited_id: str | None
    #: Its executions that have not ended, oldest first.
    unended: tuple[str, ...]
    sealed_inputs: str | None
    fire_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """The stored columns of a schedule that its record does not show."""

    fire_at: datetime | None
    awaited_id: str | None = None
    source_sha256: str | None = None
    source_text: str | None = field(default=None, repr=False)
    sealed_inputs: str | None = None


class Schedules:
    """Reads and writes schedules."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._add_source = database.insert()(sources).on_conflict_do_nothing()
        #: Schedules read ahead by id, up to when they were looked up, and the ids still to be read.
        self._ahead: dict[str, Due] = {}
        self._ahead_until: datetime | None = None
        self._to_read: list[str] = []

    def insert(self, schedule: Schedule, hidden: Hidden) -> None:
        """Add a schedule."""
        with self._database.write() as connection:
            self._keep_source(connection, hidden)
            _INSERT.run(connection, [_columns(schedule, hidden)])
            self._tell(connection, event_types.SCHEDULE_CREATED, schedule, user_name=schedule.user_name)

    def get(self, schedule_id: str) -> Schedule:
        """Return a schedule with its last occurrence. Raises `ScheduleNotFound`."""
        return self.look(schedule_id).schedule

    def look(self, schedule_id: str) -> Due:
        """Return a schedule as `due` does, whether it is due or not. Raises `ScheduleNotFound`."""
        with self._database.read() as connection:
            found = _whole(connection, [schedule_id])
            if not found:
                raise ScheduleNotFound(schedule_id)
            [due] = _with_unended(connection, found)
            last = _last_occurrences(connection, [schedule_id])
        return _with_last(due, last)

    def page(
        self,
        *,
        flow_name: str | None,
        q: str | None,
        limit: int,
        before: str | None,
        flows: Patterns = None,
        order: ScheduleOrder = ScheduleOrder.NEWEST,
    ) -> Page[Schedule]:
        """Return schedules of flows that match the patterns, in order. The cursor is the id of the last one."""
        query = select(schedules).where(self._database.fits(_s.flow_name, flows)).limit(limit + 1)
        if flow_name is not None:
            query = query.where(_s.flow_name == flow_name)
        if q:
            query = query.where(or_(*(column.icontains(q, autoescape=True) for column in (_s.name, _s.flow_name))))
        if order is ScheduleOrder.NEXT:
            query = query.where(_s.fire_at.is_not(None)).order_by(_s.fire_at, _s.id)
            last_one = select(_s.fire_at, _s.id).where(_s.id == before).scalar_subquery()
            query = query if before is None else query.where(tuple_(_s.fire_at, _s.id) > last_one)
        else:
            query = query.order_by(_s.id.desc())
            query = query if before is None else query.where(_s.id < before)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            last = _last_occurrences(connection, [row.id for row in rows[:limit]])
        items = tuple(_record(row, last.get(row.id)) for row in rows[:limit])
        return Page[Schedule](items=items, next=items[-1].id if len(rows) > limit else None)

    def change(
        self, due: Due, schedule: Schedule, hidden: Hidden, *, event: str, user_name: str, **details: Any
    ) -> bool:
        """Write a schedule unless it has changed since it was read as `due`; return whether it was written."""
        values = _columns(schedule, hidden)
        with self._database.write() as connection:
            self._keep_source(connection, hidden)
            changed = connection.execute(
                update(schedules)
                .where(_s.id == schedule.id, _s.revision == due.revision)
                .values(**values, revision=due.revision + 1, error_count=0)
            )
            if changed.rowcount:
                if due.source_sha256 not in (None, hidden.source_sha256):
                    forget_source(connection, due.source_sha256)
                self._tell(connection, event, schedule, user_name=user_name, **details)
        return bool(changed.rowcount)

    def rename_flow(self, old: str, new: str) -> None:
        """Move the schedules of a flow to its new name."""
        with self._database.write() as connection:
            values = {"flow_name": new, "revision": _s.revision + 1}
            connection.execute(update(schedules).where(_s.flow_name == old).values(**values))

    def delete(self, schedule_id: str, *, user_name: str, where: ColumnElement[bool] | None = None) -> None:
        """Delete a schedule that meets `where`, and its occurrences. Its executions stay.

        Raises `ScheduleNotFound`.
        """
        is_meant = and_(_s.id == schedule_id, true() if where is None else where)
        with self._database.write() as connection:
            deleted = delete(schedules).where(is_meant).returning(_s.name, _s.flow_name, _s.source_sha256)
            row = connection.execute(deleted).one_or_none()
            if row is None:
                raise ScheduleNotFound(schedule_id)
            connection.execute(delete(occurrences).where(_o.schedule_id == schedule_id))
            forget_source(connection, row.source_sha256)
            now = self._database.clock()
            about = {"time": now, "user_name": user_name, "name": row.name, "flow_name": row.flow_name}
            record(connection, event_types.SCHEDULE_DELETED, event_types.SCHEDULE, schedule_id, **about)

    def next_runs(self, flow_names: Sequence[str]) -> dict[str, datetime]:
        """Return the next run of each flow that has one."""
        query = select(_s.flow_name, func.min(_s.next_run)).where(_s.next_run.is_not(None)).group_by(_s.flow_name)
        with self._database.read() as connection:
            found = connection.execute(query.where(_s.flow_name.in_(flow_names))).all()
        return {row[0]: row[1] for row in found}

    def next_look(self) -> datetime | None:
        """Return when the next schedule is due, jitter included."""
        with self._database.read() as connection:
            moment: datetime | None = connection.execute(_NEXT_DUE).scalar()
        return moment

    def overdue(self, *, before: datetime) -> int:
        """Return how many schedules should have started before a moment."""
        query = select(func.count()).select_from(schedules).where(_s.fire_at < before)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def due(self, *, most: int) -> tuple[Due, ...]:
        """Return up to `most` due schedules, the most overdue first.

        Schedules from `read_ahead` that have not changed since are not read again.
        """
        now = self._database.clock()
        with self._database.read() as connection:
            found = connection.execute(_DUE, {"now": now, "most": most}).all()
            seen = {row.id: self._ahead.pop(row.id, None) for row in found}
            known = {row.id: due for row in found if (due := seen[row.id]) and due.revision == row.revision}
            fresh = _whole(connection, [one for one in seen if one not in known])
            # In PostgreSQL each statement sees the latest commits: some may be paused, advanced or deleted by now.
            known |= {due.schedule.id: due for due in fresh if due.fire_at is not None and due.fire_at <= now}
            return _with_unended(connection, [known[one] for one in seen if one in known])

    def read_ahead(self) -> bool:
        """Read some schedules that are due soon, so that `due` is quick; return whether there are more."""
        if not self._to_read and not self._look_ahead():
            return False
        now, self._to_read = self._to_read[:_AHEAD_AT_ONCE], self._to_read[_AHEAD_AT_ONCE:]
        with self._database.read() as connection:
            self._ahead |= {due.schedule.id: due for due in _whole(connection, now)}
        return bool(self._to_read)

    def _look_ahead(self) -> bool:
        """Find the schedules to read ahead; return whether there are any."""
        now = self._database.clock()
        until, after = now + _AHEAD, self._ahead_until
        if after is None or not now < after <= until:  # first call, long pause, or the clock was set
            after = now
        if until - after < _AHEAD_STEP:
            return False
        self._ahead = {one: due for one, due in self._ahead.items() if due.fire_at and due.fire_at > now - _STALE}
        most = _MAX_AHEAD - len(self._ahead)
        with self._database.read() as connection:
            self._to_read = list(connection.execute(_COMING, {"after": after, "until": until, "most": most}).scalars())
        self._ahead_until = until
        return bool(self._to_read)

    def delete_expired(self, *, limit: int = 500) -> None:
        """Delete occurrences past the retention of executions, and finished one-time schedules that have none left."""
        with self._database.read() as connection:
            minutes = value_of(connection, settings.RETENTION)
        before = self._database.clock() - timedelta(minutes=minutes)
        old = select(_o.schedule_id, _o.due).where(_o.noted_at < before).limit(limit)
        # Only one-time schedules are deleted: a user may still want to change the end of any other.
        has_records = exists().where(_o.schedule_id == _s.id)
        is_over = and_(_s.next_run.is_(None), _s.enabled, _s.awaited_id.is_(None), ~has_records)
        once = [kind.word for kind in triggers.KINDS if kind.is_once]
        runs_once = or_(*(_s.trigger[word].as_string().is_not(None) for word in once))
        deleted = limit
        while deleted == limit:
            with self._database.write() as connection:
                is_old = tuple_(_o.schedule_id, _o.due).in_(old)
                deleted = connection.execute(delete(occurrences).where(is_old)).rowcount
        with self._database.read() as connection:
            finished = list(connection.execute(select(_s.id).where(is_over, runs_once).limit(limit)).scalars())
        for schedule_id in finished:
            with suppress(ScheduleNotFound):  # another caller has just changed or deleted it
                self.delete(schedule_id, user_name="cloudo", where=and_(is_over, runs_once))

    def _keep_source(self, connection: Connection, hidden: Hidden) -> None:
        if hidden.source_text is not None:
            connection.execute(self._add_source, {"sha256": hidden.source_sha256, "text": hidden.source_text})

    def _tell(self, connection: Connection, event: str, schedule: Schedule, *, user_name: str, **details: Any) -> None:
        about = {"time": self._database.clock(), "user_name": user_name}
        shown = {"name": schedule.name, "flow_name": schedule.flow_name, **details}
        record(connection, event, event_types.SCHEDULE, schedule.id, **about, **shown)


def _columns(schedule: Schedule, hidden: Hidden) -> dict[str, Any]:
    follow_ups = {one.value: following for one in Occasion if (following := getattr(schedule, one)) is not None}
    return {
        **{name: getattr(schedule, name) for name in _RECORD_COLUMNS},
        "trigger": schedule.trigger.model_dump(mode="json"),
        **dict.fromkeys(Occasion),
        **{name: [one.model_dump(mode="json", exclude_defaults=True) for one in of] for name, of in follow_ups.items()},
        "fire_at": hidden.fire_at,
        "awaited_id": hidden.awaited_id,
        "source_sha256": hidden.source_sha256,
        "sealed_inputs": hidden.sealed_inputs,
    }


def _record(row: Row[Any], last: Occurrence | None = None) -> Schedule:
    values = dict(zip(_COLUMNS, row, strict=True))
    return Schedule.model_validate({**values, "trigger": _trigger(json.dumps(row.trigger)), "last_occurrence": last})


@lru_cache(maxsize=10_000)
def _trigger(text: str) -> ScheduleTrigger:
    """Return a cached trigger for its JSON; thousands of schedules may share one."""
    return ScheduleTrigger.model_validate(json.loads(text))


def _with_last(due: Due, last: dict[str, Occurrence]) -> Due:
    schedule = due.schedule.model_copy(update={"last_occurrence": last.get(due.schedule.id)})
    return replace(due, schedule=schedule)


def _whole(connection: Connection, ids: Sequence[str]) -> list[Due]:
    """Return schedules in any order, with `unended` left empty."""
    if not ids:
        return []
    return [
        Due(
            _record(row),
            row.revision,
            row.last_due,
            row.source_sha256,
            row.awaited_id,
            (),
            row.sealed_inputs,
            row.fire_at,
        )
        for row in connection.execute(_WHOLE, {"ids": ids})
    ]


def _with_unended(connection: Connection, dues: Sequence[Due]) -> tuple[Due, ...]:
    unended: dict[str, list[str]] = {}
    for schedule_id, execution_id in connection.execute(_UNENDED, {"ids": [due.schedule.id for due in dues]}):
        unended.setdefault(schedule_id, []).append(execution_id)
    return tuple(
        replace(due, unended=tuple(unended[due.schedule.id])) if due.schedule.id in unended else due for due in dues
    )


def _last_occurrences(connection: Connection, ids: Sequence[str]) -> dict[str, Occurrence]:
    newest = select(_o.schedule_id, func.max(_o.due).label("due")).where(_o.schedule_id.in_(ids))
    chosen = newest.group_by(_o.schedule_id).subquery()
    is_newest = and_(_o.schedule_id == chosen.c.schedule_id, _o.due == chosen.c.due)
    rows = connection.execute(select(occurrences).join(chosen, is_newest)).all()
    started = briefs_of(connection, (row.execution_id for row in rows))
    return {
        row.schedule_id: Occurrence.model_validate({**row._mapping, "execution": started.get(row.execution_id)})
        for row in rows
    }
