"""Group commit for SQLite: write transactions of several threads share one commit, and so one wait for the disk.

Threads write one after another in one open transaction, each within a savepoint. Each thread takes two turns: one to
write and one to commit. Turns are given in order of arrival. So when the first thread of a group takes its second turn,
all threads that queued before it have written. It commits for all of them, and the others find that done. The write
lock is never held to wait for work, and a lone thread commits at once. Measurements are in docs/performance.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from cloudo_kernel.errors import Unavailable
from cloudo_kernel.store.sql.connections import driver_of, opened, tell
from cloudo_kernel.store.sql.file_guard import FileGuard, Unusable

#: An interrupted statement loses the connection and everything that was not committed.
_INTERRUPTED = "Another write that shared a commit with this one was interrupted. Try again."
_UNDONE = "Another write that shared a commit with this one failed in a way that undid both. Try again."


@dataclass
class _Group:
    """Writes that are committed together or fail together."""

    connection: Connection
    #: Whether it holds a write.
    has_members: bool = False
    is_over: bool = False
    #: Why the group was not committed.
    error: Exception | None = None


class GroupCommit:
    """The write transactions of one process."""

    def __init__(
        self, engine: Engine, guard: FileGuard | None, *, timeout_seconds: float, on_commit: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._guard = guard
        self._timeout_seconds = timeout_seconds
        self._on_commit = on_commit
        self._turns = FairLock()
        self._group: _Group | None = None
        #: The connection of the last group, kept for the next.
        self._kept: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a write transaction that is safe on disk when the block exits. Do not nest it.

        A block that raises leaves no trace and does not disturb its group. A failed commit raises in the whole group.
        Raises `TurnTimeout`. Without it, while another process locks the file, threads would time out one after
        another, and the last one would fail only after all the others.
        """
        group = None
        try:
            with self._turns.turn(self._timeout_seconds):
                group = self._group = self._group or self._begin()
                with self._member(group):
                    yield group.connection
                if not self._turns.is_wanted:
                    self._commit(group)
            self._close(group)
        except BaseException:  # interrupts, too: an open group would lock out every other process
            if group is not None:
                self._close(group)
            raise
        if group.error is not None:
            raise group.error

    def _begin(self) -> _Group:
        connection, self._kept = self._kept or opened(self._engine), None
        try:
            tell(connection, "BEGIN IMMEDIATE")
            if self._guard is not None:
                self._guard.check(driver_of(connection))
        except BaseException:
            connection.close()
            raise
        return _Group(connection)

    @contextmanager
    def _member(self, group: _Group) -> Iterator[None]:
        """Roll back the block if it raises: to its savepoint, or everything if the group has no other member."""
        has_savepoint = group.has_members
        if has_savepoint:
            tell(group.connection, "SAVEPOINT member")
        try:
            yield
            if has_savepoint:
                tell(group.connection, "RELEASE member")
        except BaseException:
            if has_savepoint:
                self._undo(group)
            else:
                self._end(group)
            raise
        group.has_members = True

    def _undo(self, group: _Group) -> None:
        try:
            tell(group.connection, "ROLLBACK TO member")
            tell(group.connection, "RELEASE member")
        except DatabaseError:  # no savepoint left: SQLite has rolled back the whole transaction
            self._end(group, Unavailable(_UNDONE))
        except SQLAlchemyError:
            self._end(group, Unavailable(_INTERRUPTED))

    def _close(self, group: _Group) -> None:
        if not group.is_over:
            with self._turns.turn():
                if not group.is_over:
                    self._commit(group)

    def _commit(self, group: _Group) -> None:
        try:
            tell(group.connection, "COMMIT")
            if self._guard is not None:
                self._guard.check_files()
        except (DatabaseError, Unusable) as error:
            self._end(group, error)
        except SQLAlchemyError:
            self._end(group, Unavailable(_INTERRUPTED))
        except BaseException:
            self._end(group, Unavailable("The write was interrupted, and may or may not have been saved."))
            raise
        else:
            self._group, group.is_over, self._kept = None, True, group.connection
            self._on_commit()

    def _end(self, group: _Group, error: Exception | None = None) -> None:
        """End the group. Closing its connection rolls back anything uncommitted."""
        self._group, group.error, group.is_over = None, error, True
        if error is not None:
            # After a failed COMMIT, SQLite may still be in the transaction.
            group.connection.invalidate()
        group.connection.close()

    def close(self) -> None:
        """Close the connection kept for the next write."""
        with self._turns.turn():
            if self._kept is not None:
                self._kept.close()
                self._kept = None


class TurnTimeout(Exception):
    """A thread's turn did not come in time."""


class FairLock:
    """A lock granted in order of arrival; a `threading.Lock` goes to the quickest thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: int | None = None
        #: The waiting threads in order, each with a lock that is held until its turn.
        self._queue: dict[int, threading.Lock] = {}

    @property
    def is_wanted(self) -> bool:
        """Whether another thread is waiting."""
        return bool(self._queue)

    @contextmanager
    def turn(self, timeout_seconds: float = -1) -> Iterator[None]:
        """Wait for a turn, and pass it on when the block exits.

        Raises `TurnTimeout`; a negative timeout waits forever.
        """
        if self._holder == threading.get_ident():
            raise RuntimeError("A write within a write of the same thread would wait for itself.")
        try:  # from here on an interrupt may come between any two steps
            self._take(timeout_seconds)
            yield
        finally:
            self._leave()

    def _take(self, timeout_seconds: float) -> None:
        me, ticket = threading.get_ident(), threading.Lock()
        ticket.acquire()
        with self._lock:
            if self._holder is None:
                self._holder = me
                return
            self._queue[me] = ticket
        if not ticket.acquire(timeout=timeout_seconds):  # until another thread passes its turn on
            raise TurnTimeout

    def _leave(self) -> None:
        """Pass the turn on, or leave the queue if this thread's turn had not come."""
        me = threading.get_ident()
        with self._lock:
            if self._holder != me:
                self._queue.pop(me, None)
                return
            self._holder = next(iter(self._queue), None)
            if self._holder is not None:
                self._queue.pop(self._holder).release()
