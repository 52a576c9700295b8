"""Group commit for SQLite: write transactions of several threads share one commit, and so one wait for the disk.

Threads write one after another, each within a savepoint, in one open transaction. Each comes twice: to write, and
to commit. Turns are taken in the order of coming, so when the first one of a group comes for the second time, all who
had queued meanwhile have written; it commits for all, and the others find that done. The write lock is never held to
wait for work, and a thread that is alone commits at once. What it brings is measured in docs/performance.md.
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

#: An interrupt in the middle of a statement takes the connection with it, and all that was not committed.
_INTERRUPTED = "Another write that shared a commit with this one was interrupted. Try again."
_UNDONE = "Another write that shared a commit with this one failed in a way that undid both. Try again."


@dataclass
class _Group:
    """Writes that become safe together, or fail together."""

    connection: Connection
    #: Whether it holds a write.
    has_members: bool = False
    is_over: bool = False
    #: Why none of it was committed.
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
        #: Of the last group, for the next.
        self._kept: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction that is safe on disk when the block is left. It must not be nested.

        A block that raises leaves no trace and does not disturb its group. A commit that fails is raised in all of it.
        Raises `TurnTimeout`: else, with the file locked by another process, the last of many threads would be refused
        only after all before it had waited in vain, one after another.
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
        except BaseException:  # an interrupt, too: a group that stays open would lock out every other process
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
        """Undo what the block did if it raises: to its savepoint, or all while nobody else is in the group."""
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
        except DatabaseError:  # there is none: SQLite has rolled the whole transaction back
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
            self._end(group, Unavailable("The write was interrupted; whether it is kept is not known."))
            raise
        else:
            self._group, group.is_over, self._kept = None, True, group.connection
            self._on_commit()

    def _end(self, group: _Group, error: Exception | None = None) -> None:
        """Take the group off; closing the connection rolls back what is not committed."""
        self._group, group.error, group.is_over = None, error, True
        if error is not None:
            # Whatever state it is in: after a COMMIT that failed, SQLite may still be in the transaction.
            group.connection.invalidate()
        group.connection.close()

    def close(self) -> None:
        """Close what is kept open for the next write."""
        with self._turns.turn():
            if self._kept is not None:
                self._kept.close()
                self._kept = None


class TurnTimeout(Exception):
    """A thread's turn did not come in time."""


class FairLock:
    """A lock that threads get in the order in which they came; a `threading.Lock` goes to whoever is quickest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: int | None = None
        #: The threads that wait, in their order, each with a lock that is held until it has its turn.
        self._queue: dict[int, threading.Lock] = {}

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits."""
        return bool(self._queue)

    @contextmanager
    def turn(self, timeout_seconds: float = -1) -> Iterator[None]:
        """Wait for one's turn, and pass it on when the block is left. Raises `TurnTimeout`; negative: never."""
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
        """Pass the turn on, or leave the queue if it had not come."""
        me = threading.get_ident()
        with self._lock:
            if self._holder != me:
                self._queue.pop(me, None)
                return
            self._holder = next(iter(self._queue), None)
            if self._holder is not None:
                self._queue.pop(self._holder).release()
