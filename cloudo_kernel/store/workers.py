"""Workers, their heartbeats, and absences: periods in which no worker with a scheduler was alive.

A dead worker loses its lease on what it runs. Occurrences that were due during an absence are late.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, exists, insert, select, update

from cloudo_kernel import settings
from cloudo_kernel.models.event_types import WORKER, WORKER_STARTED
from cloudo_kernel.planning import Absence
from cloudo_kernel.processes.loop import LoopState
from cloudo_kernel.store.events import record
from cloudo_kernel.store.settings import value_of
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import absences, schedules, workers

#: Seconds between two heartbeats of a worker.
HEARTBEAT_SECONDS = 2.0
#: A worker whose heartbeat has not changed for this many seconds is lost.
LEASE_SECONDS = 15.0
#: If a heartbeat is older than this, the next one was missed.
_OVERDUE = timedelta(seconds=2 * HEARTBEAT_SECONDS)

_w, _a = workers.c, absences.c
_ALL = select(
    _w.id,
    _w.heartbeat,
    _w.started_at,
    _w.host,
    _w.pid,
    _w.private,
    _w.beat_at,
    _w.previous_beat_at,
    _w.loops,
    _w.labels,
    _w.draining,
)
_BEAT = (
    update(workers)
    .where(_w.id == bindparam("of"))
    .values(
        heartbeat=_w.heartbeat + 1, previous_beat_at=_w.beat_at, beat_at=bindparam("now"), loops=bindparam("states")
    )
)
_ALIVE_UNTIL = select(_a.start).where(_a.end.is_(None))
_SET_ALIVE_UNTIL = update(absences).where(_a.end.is_(None)).values(start=bindparam("now"))
_OTHERS = select(exists().where(_w.id != bindparam("of"), ~_w.private, _w.beat_at > bindparam("since")))
_ABSENCES = select(_a.start, _a.end).where(_a.end > bindparam("since")).order_by(_a.end)


@dataclass(frozen=True)
class WorkerRow:
    """A registered worker. `heartbeat` counts up while it lives."""

    id: str
    heartbeat: int
    started_at: datetime
    host: str
    pid: int
    private: bool
    #: When the last two heartbeats came, by the wall clock.
    beat_at: datetime | None
    previous_beat_at: datetime | None
    #: Its background loops, as its last heartbeat reported them.
    loops: tuple[LoopState, ...]
    labels: tuple[str, ...]
    draining: bool

    @property
    def name(self) -> str:
        """Its machine and its process."""
        return f"{self.host}:{self.pid}"

    def holds_its_lease(self, now: datetime) -> bool:
        """Whether its last heartbeat is recent enough to keep the lease."""
        return self.beat_at is not None and now - self.beat_at < timedelta(seconds=LEASE_SECONDS)


class Workers:
    """Registers workers and their heartbeats."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, worker_id: str, *, private: bool, labels: tuple[str, ...] = (), draining: bool = False) -> None:
        """Add a worker. A worker that is not private has a scheduler, and so ends an absence."""
        now, host, pid = self._database.clock(), socket.gethostname(), os.getpid()
        values = {"id": worker_id, "started_at": now, "beat_at": now, "host": host, "pid": pid, "private": private}
        values |= {"labels": labels, "draining": draining}
        with self._database.write() as connection:
            connection.execute(insert(workers).values(**values, heartbeat=0))
            record(connection, WORKER_STARTED, WORKER, worker_id, time=now, host=host, pid=pid)
            if not private:
                _end_absence(connection, worker_id, now)
                _record_alive(connection, now)

    def beat(
        self,
        worker_id: str,
        *,
        has_scheduler: bool = False,
        back_at: datetime | None = None,
        loops: Sequence[LoopState] = (),
    ) -> bool:
        """Count the worker's heartbeat; False if another worker has taken its lease.

        `back_at` says when a worker that stalled after its last heartbeat resumed. `loops` are its background loops.
        """
        now = self._database.clock()
        states = [asdict(loop) for loop in loops]
        with self._database.write() as connection:
            if not connection.execute(_BEAT, {"of": worker_id, "now": now, "states": states}).rowcount:
                return False
            if has_scheduler:
                if back_at is not None:
                    _end_absence(connection, worker_id, back_at)
                _record_alive(connection, now)
        return True

    def is_draining(self, worker_id: str) -> bool:
        """Return whether the worker is to end once its runs have ended."""
        query = select(_w.draining).where(_w.id == worker_id)
        with self._database.read() as connection:
            return bool(connection.execute(query).scalar())

    def drain(self, worker_id: str) -> None:
        """Have a worker claim nothing more, and end once its runs have ended. It notices at its next heartbeat."""
        with self._database.write() as connection:
            connection.execute(update(workers).where(_w.id == worker_id).values(draining=True))

    def leave(self, worker_id: str) -> None:
        """Record that the worker's scheduler has just stopped. If there is no other one, an absence begins."""
        with self._database.write() as connection:
            if connection.execute(select(_w.id).where(_w.id == worker_id)).scalar() is not None:
                _record_alive(connection, self._database.clock())

    def absences(self, *, since: datetime) -> tuple[Absence, ...]:
        """Return the absences of schedulers that ended after a moment, in order."""
        with self._database.read() as connection:
            return tuple(Absence(*row) for row in connection.execute(_ABSENCES, {"since": since}))

    def delete_expired(self) -> None:
        """Delete absences past the retention of executions, except those with an undecided occurrence."""
        is_undecided = exists().where(schedules.c.next_run < _a.end)
        with self._database.read() as connection:
            before = self._database.clock() - timedelta(minutes=value_of(connection, settings.RETENTION))
            is_old = and_(_a.end < before, ~is_undecided)
            if connection.execute(select(_a.id).where(is_old).limit(1)).scalar() is None:
                return
        with self._database.write() as connection:
            connection.execute(delete(absences).where(is_old))

    def all(self) -> tuple[WorkerRow, ...]:
        """Return the registered workers."""
        with self._database.read() as connection:
            return tuple(_worker_row(row) for row in connection.execute(_ALL))

    def remove(self, worker_id: str) -> bool:
        """Remove a worker's registration; False if it was already gone."""
        with self._database.write() as connection:
            return connection.execute(delete(workers).where(workers.c.id == worker_id)).rowcount > 0


def _worker_row(row: Row[*tuple[Any, ...]]) -> WorkerRow:
    loops = tuple(LoopState(**loop) for loop in row.loops or ())
    return WorkerRow(**{**row._mapping, "loops": loops})


def _end_absence(connection: Connection, worker_id: str, now: datetime) -> None:
    """Record the absence that a worker's return ends, if no other scheduler was alive."""
    start = connection.execute(_ALIVE_UNTIL).scalar_one()
    if start < now and not connection.execute(_OTHERS, {"of": worker_id, "since": now - _OVERDUE}).scalar():
        connection.execute(insert(absences).values(start=start, end=now))


def _record_alive(connection: Connection, now: datetime) -> None:
    """Record that a scheduler is alive now."""
    before = connection.execute(_ALIVE_UNTIL).scalar_one()
    if now < before:  # the clock was set back: absences that are now in the future have not happened yet
        connection.execute(delete(absences).where(and_(_a.start >= now, _a.end.is_not(None))))
        connection.execute(update(absences).where(_a.end > now).values(end=now))
    connection.execute(_SET_ALIVE_UNTIL, {"now": now})
