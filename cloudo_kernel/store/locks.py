"""Named locks: each is held by at most one execution, and released when that execution ends, however it ends.

Waiting executions queue in order of arrival, across all workers, and also while they have no worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select

from cloudo_kernel.models.event_types import SETTING, SETTING_LOCKED, SETTING_UNLOCKED
from cloudo_kernel.store.events import event_row, record_all
from cloudo_kernel.store.executions.fencing import check_live
from cloudo_kernel.store.executions.wakeups import wake_lock_waiter
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.sql.row_locks import has_many_writers, lock_names
from cloudo_kernel.store.tables import lock_waiters, locks

# Built once: every end of an execution runs them.
_HELD = select(locks.c.name).where(locks.c.execution_id == bindparam("holder"))
_RELEASE = delete(locks).where(locks.c.execution_id == bindparam("holder"))
_LEAVE = delete(lock_waiters).where(lock_waiters.c.execution_id == bindparam("holder")).returning(lock_waiters.c.name)


def release_all(connection: Connection, execution_id: str, *, now: datetime) -> None:
    """Release all locks and queue positions of an execution, in the transaction that ends a run of it."""
    lock_names(connection, _names_of(connection, execution_id))
    names = connection.execute(_HELD, {"holder": execution_id}).scalars().all()
    if names:
        connection.execute(_RELEASE, {"holder": execution_id})
        _tell(connection, SETTING_UNLOCKED, names, execution_id, now)
    queued = connection.execute(_LEAVE, {"holder": execution_id}).scalars().all()
    _wake_next(connection, [*names, *queued], now)


def is_turn(connection: Connection, name: str, execution_id: str) -> bool:
    """Return whether a queued execution can acquire the lock now, or holds it already."""
    holder = _holder(connection, name)
    return holder == execution_id or (holder is None and _first(connection, name) == execution_id)


class Locks:
    """Grants and releases locks. Changes need the current attempt of the execution, or raise `StaleAttempt`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._add = database.insert()(locks).on_conflict_do_nothing().returning(locks.c.name)
        self._enqueue = database.insert()(lock_waiters).on_conflict_do_nothing()

    def acquire(self, name: str, execution_id: str, attempt: int, *, call: str | None = None) -> bool | None:
        """Acquire the lock if it is the execution's turn, and return True; otherwise queue it and return None.

        Returns False if the execution held the lock before. `call` identifies the call that asks: the call that
        acquired the lock gets True again if it is repeated, such as after a crash.
        """
        now, w = self._database.clock(), lock_waiters.c
        with self._database.write() as connection:
            lock_names(connection, [name])
            check_live(connection, execution_id, attempt)
            held = connection.execute(select(locks.c.execution_id, locks.c.call).where(locks.c.name == name)).first()
            if held is not None and held.execution_id == execution_id:
                return call is not None and held.call == call
            connection.execute(self._enqueue.values(name=name, execution_id=execution_id))
            if held is not None or _first(connection, name) != execution_id:
                return None
            row = {"name": name, "execution_id": execution_id, "acquired_at": now, "call": call}
            if connection.execute(self._add.values(row)).first() is None:
                return None
            connection.execute(delete(lock_waiters).where(w.name == name, w.execution_id == execution_id))
            _tell(connection, SETTING_LOCKED, [name], execution_id, now)
        return True

    def is_turn(self, name: str, execution_id: str) -> bool:
        """Return whether a queued execution can acquire the lock now, or holds it already."""
        with self._database.read() as connection:
            return is_turn(connection, name, execution_id)

    def leave(self, name: str, execution_id: str, attempt: int) -> None:
        """Leave the queue."""
        now, w = self._database.clock(), lock_waiters.c
        with self._database.write() as connection:
            lock_names(connection, [name])
            check_live(connection, execution_id, attempt)
            connection.execute(delete(lock_waiters).where(w.name == name, w.execution_id == execution_id))
            _wake_next(connection, [name], now)

    def release(self, name: str, execution_id: str, attempt: int) -> bool:
        """Release the lock; False if the execution does not hold it."""
        now = self._database.clock()
        with self._database.write() as connection:
            lock_names(connection, [name])
            check_live(connection, execution_id, attempt)
            mine = delete(locks).where(locks.c.name == name, locks.c.execution_id == execution_id)
            was_held = connection.execute(mine).rowcount > 0
            if was_held:
                _tell(connection, SETTING_UNLOCKED, [name], execution_id, now)
                _wake_next(connection, [name], now)
            return was_held

    def holder(self, name: str) -> str | None:
        """Return the id of the execution that holds the lock, if any."""
        with self._database.read() as connection:
            return _holder(connection, name)


def _names_of(connection: Connection, execution_id: str) -> list[str]:
    """Return the locks that the execution holds or waits for, if others may change them meanwhile."""
    if not has_many_writers(connection):
        return []
    queued = select(lock_waiters.c.name).where(lock_waiters.c.execution_id == bindparam("holder"))
    return list(connection.execute(_HELD.union(queued), {"holder": execution_id}).scalars())


def _holder(connection: Connection, name: str) -> str | None:
    return connection.execute(select(locks.c.execution_id).where(locks.c.name == name)).scalar()


def _first(connection: Connection, name: str) -> str | None:
    c = lock_waiters.c
    return connection.execute(select(c.execution_id).where(c.name == name).order_by(c.id).limit(1)).scalar()


def _wake_next(connection: Connection, names: Iterable[str], now: datetime) -> None:
    """Wake the executions whose turn it is, if they wait without a worker; others check for themselves."""
    for name in dict.fromkeys(names):
        first = _first(connection, name)
        if first is not None and _holder(connection, name) is None:
            wake_lock_waiter(connection, first, now=now)


def _tell(connection: Connection, event_type: str, names: Sequence[str], execution_id: str, now: datetime) -> None:
    rows = [event_row(event_type, SETTING, name, time=now, execution_id=execution_id) for name in names]
    record_all(connection, rows)
