"""Numbers about the store for monitoring, each read by an index when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Subquery, case, func, select, type_coerce

from cloudo_kernel.models import ExecutionType
from cloudo_kernel.models.event_types import EXECUTION_ENDED, EXECUTION_STARTED
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import events, executions, occurrences

_SECOND = timedelta(seconds=1)
_MICROSECONDS = 1_000_000
_c, _e, _o = executions.c, events.c, occurrences.c


@dataclass(frozen=True)
class Distribution:
    """How many values are up to each of some bounds, how many there are, and their sum, in seconds."""

    up_to: tuple[int, ...]
    number: int
    total: float

    def __add__(self, other: Distribution) -> Distribution:
        """Return the distribution of both."""
        up_to = tuple(one + more for one, more in zip(self.up_to, other.up_to, strict=True))
        return Distribution(up_to, self.number + other.number, self.total + other.total)


class Measures:
    """Reads what happened between two events or moments, and what is late now."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ends(self, *, after: int, up_to: int) -> dict[tuple[str | None, str], int]:
        """Count the executions that ended, by flow (None for scripts and deleted executions) and status."""
        ended = (
            select(_c.flow_name, _e.data["status"].as_string().label("ending"))
            .select_from(events.outerjoin(executions, _c.id == _e.subject_id))
            .where(*_between(after, up_to), _e.type == EXECUTION_ENDED)
            .subquery()
        )
        groups = (ended.c.flow_name, ended.c.ending)
        with self._database.read() as connection:
            rows = connection.execute(select(*groups, func.count()).group_by(*groups))
            return {(flow_name, status): number for flow_name, status, number in rows}

    def queue_times(self, bounds: Sequence[float], *, after: int, up_to: int) -> Distribution:
        """Return how long executions waited in the queue, from when they could start to their first claim."""
        due = case((_c.scheduled_for > _c.created_at, _c.scheduled_for), else_=_c.created_at)
        waited = type_coerce(_e.time, BigInteger) - type_coerce(due, BigInteger)
        waits = (
            select((waited / float(_MICROSECONDS)).label("seconds"))
            .select_from(events.join(executions, _c.id == _e.subject_id))
            .where(*_between(after, up_to), _e.type == EXECUTION_STARTED, _e.data["attempt"].as_integer() == 1)
            .where(_c.type != ExecutionType.INTERACTIVE.value)
            .subquery()
        )
        with self._database.read() as connection:
            return _distribution(connection, waits, bounds)

    def latenesses(self, bounds: Sequence[float], *, after: datetime, up_to: datetime) -> Distribution:
        """Return how late the runs of schedules were created."""
        found = (
            select(_o.lateness_seconds.label("seconds"))
            .where(_o.noted_at > after, _o.noted_at <= up_to, _o.lateness_seconds.is_not(None))
            .subquery()
        )
        with self._database.read() as connection:
            return _distribution(connection, found, bounds)

    def event_lag_seconds(self, seen: int) -> float:
        """Return the age of the oldest event after `seen`, 0 if there is none."""
        query = select(_e.time).where(_e.id > seen).order_by(_e.id).limit(1)
        with self._database.read() as connection:
            oldest: datetime | None = connection.execute(query).scalar()
        return 0.0 if oldest is None else max(0.0, (self._database.clock() - oldest) / _SECOND)


def _between(after: int, up_to: int) -> tuple[ColumnElement[bool], ...]:
    return _e.id > after, _e.id <= up_to


def _distribution(connection: Connection, values: Subquery, bounds: Sequence[float]) -> Distribution:
    seconds: Any = values.c.seconds
    numbers = [func.coalesce(func.sum(case((seconds <= bound, 1), else_=0)), 0) for bound in bounds]
    row = connection.execute(select(func.count(), func.coalesce(func.sum(seconds), 0.0), *numbers)).one()
    return Distribution(tuple(int(number) for number in row[2:]), row[0], float(row[1]))
