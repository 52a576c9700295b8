"""The workers: who is alive. A worker that is not loses its lease on what it runs."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from cloudo_kernel.events import WORKER, WORKER_STARTED
from cloudo_kernel.store.database import Database
from cloudo_kernel.store.events import record
from cloudo_kernel.tables import workers

_ALL = select(workers.c.id, workers.c.heartbeat, workers.c.host, workers.c.pid, workers.c.private)


@dataclass(frozen=True)
class WorkerRow:
    """A registered worker. `heartbeat` counts up while it lives."""

    id: str
    heartbeat: int
    host: str
    pid: int
    private: bool


class Workers:
    """Registers workers and their heartbeats."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, worker_id: str, *, private: bool) -> None:
        """Add a worker."""
        now, host, pid = self._database.clock(), socket.gethostname(), os.getpid()
        with self._database.write() as connection:
            connection.execute(
                insert(workers).values(id=worker_id, started_at=now, heartbeat=0, host=host, pid=pid, private=private)
            )
            record(connection, WORKER_STARTED, WORKER, worker_id, time=now, host=host, pid=pid)

    def beat(self, worker_id: str) -> bool:
        """Count the worker's heartbeat; False when somebody has taken its lease away."""
        with self._database.write() as connection:
            counted = update(workers).where(workers.c.id == worker_id).values(heartbeat=workers.c.heartbeat + 1)
            return connection.execute(counted).rowcount > 0

    def all(self) -> tuple[WorkerRow, ...]:
        """Return the registered workers."""
        with self._database.read() as connection:
            return tuple(WorkerRow(**row._mapping) for row in connection.execute(_ALL))

    def remove(self, worker_id: str) -> bool:
        """Take a worker's registration away; False when it was gone already."""
        with self._database.write() as connection:
            return connection.execute(delete(workers).where(workers.c.id == worker_id)).rowcount > 0
