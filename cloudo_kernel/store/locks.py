"""The locks of names: each is held by at most one execution, and let go when that ends, however it ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select

from cloudo_kernel.errors import StaleAttempt
from cloudo_kernel.events import SETTING, SETTING_LOCKED, SETTING_UNLOCKED
from cloudo_kernel.models import Status
from cloudo_kernel.store.database import Database
from cloudo_kernel.store.events import event_row, record_all
from cloudo_kernel.tables import executions, locks

_LIVE = (Status.RUNNING, Status.WAITING, Status.PAUSED)
# Made once, as every end of an execution asks.
_HELD = select(locks.c.name).where(locks.c.execution_id == bindparam("holder"))
_LET_GO = delete(locks).where(locks.c.execution_id == bindparam("holder"))


def release_all(connection: Connection, execution_id: str, *, now: datetime) -> None:
    """Let go of all locks of an execution, in the transaction that ends it or one attempt of it."""
    names = connection.execute(_HELD, {"holder": execution_id}).scalars().all()
    if names:
        connection.execute(_LET_GO, {"holder": execution_id})
        _tell(connection, SETTING_UNLOCKED, names, execution_id, now)


class Locks:
    """Gives out locks and takes them back. Who asks names its attempt, and gets `StaleAttempt` if it is over."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._add = database.insert()(locks).on_conflict_do_nothing()

    def acquire(self, name: str, execution_id: str, attempt: int) -> bool:
        """Give the lock to the execution if nobody else has it; False: it had it before. Raises `Held`."""
        now = self._database.clock()
        with self._database.write() as connection:
            _check_live(connection, execution_id, attempt)
            row = {"name": name, "execution_id": execution_id, "acquired_at": now}
            if connection.execute(self._add.values(row)).rowcount:
                _tell(connection, SETTING_LOCKED, [name], execution_id, now)
                return True
            holder = connection.execute(select(locks.c.execution_id).where(locks.c.name == name)).scalar()
            if holder != execution_id:
                raise Held(str(holder))
            return False

    def release(self, name: str, execution_id: str, attempt: int) -> bool:
        """Take the lock back; False: the execution does not have it."""
        with self._database.write() as connection:
            _check_live(connection, execution_id, attempt)
            mine = delete(locks).where(locks.c.name == name, locks.c.execution_id == execution_id)
            was_held = connection.execute(mine).rowcount > 0
            if was_held:
                _tell(connection, SETTING_UNLOCKED, [name], execution_id, self._database.clock())
            return was_held

    def holder(self, name: str) -> str | None:
        """Return the id of the execution that has the lock."""
        with self._database.read() as connection:
            return connection.execute(select(locks.c.execution_id).where(locks.c.name == name)).scalar()


class Held(Exception):
    """Tells which execution has the lock."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(execution_id)
        self.execution_id = execution_id


def _check_live(connection: Connection, execution_id: str, attempt: int) -> None:
    c = executions.c
    query = select(c.id).where(c.id == execution_id, c.attempt == attempt, c.status.in_(_LIVE))
    if connection.execute(query).scalar() is None:
        raise StaleAttempt(execution_id, attempt)


def _tell(connection: Connection, event_type: str, names: Sequence[str], execution_id: str, now: datetime) -> None:
    rows = [event_row(event_type, SETTING, name, time=now, execution_id=execution_id) for name in names]
    record_all(connection, rows)
