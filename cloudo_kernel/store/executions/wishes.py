"""What people want of executions that are on their way: cancel, pause, resume.

Where a process is at work the wish is noted, for the worker that holds it to notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, update

from cloudo_kernel.errors import ExecutionNotFound, IllegalTransition, WorkedOnByHand
from cloudo_kernel.models import ExecutionType, Status, lifecycle
from cloudo_kernel.models.event_types import EXECUTION, EXECUTION_PAUSE_REQUESTED, EXECUTION_RESUMED
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions.attempts import LEASED
from cloudo_kernel.store.executions.changes import history
from cloudo_kernel.store.executions.transitions import stop, tell
from cloudo_kernel.store.executions.unended import unstopped_below
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import executions

#: Executions that one transaction stops: others wait to write.
_MAX_AT_ONCE = 100

# Made once, as a run asks before each cell, and a worker after each commit.
_c = executions.c
_WANTS_PAUSE = select(_c.wants_pause).where(_c.id == bindparam("of"))
_OF = select(_c.id, _c.stop_reason).where(
    _c.worker_id == bindparam("worker"), or_(*(_c.status == one.value for one in LEASED)), _c.stop_reason.is_not(None)
)


@dataclass(frozen=True)
class Wish:
    """That an execution which has a worker is to end, and why."""

    id: str
    stop_reason: str


class Wishes:
    """Takes the wishes of people, and shows them to workers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def cancel(self, execution_id: str, *, user_name: str, reason: str) -> bool:
        """End an execution that holds no process, or ask its worker to; True when it has ended with this call."""
        with self._database.write() as connection:
            row = _row(connection, execution_id)
            _check(connection, row, Status.ENDED_CANCELLED)
            return stop(connection, row, reason=reason, now=self._database.clock(), user_name=user_name)

    def cancel_tree(self, execution_id: str, *, user_name: str, reason: str) -> None:
        """End an execution, if it has not ended, and everything below it, or ask the workers to.

        In several transactions, so that others may write meanwhile. What starts in the meantime ends, too.
        Raises `ExecutionNotFound`, and `IllegalTransition` when there is nothing to end.
        """
        with self._database.write() as connection:
            root = _row(connection, execution_id)
            has_ended = Status(root.status).is_ended
            if has_ended and not unstopped_below(connection, root, most=1):
                _check(connection, root, Status.ENDED_CANCELLED)
            if not has_ended:
                stop(connection, root, reason=reason, now=self._database.clock(), user_name=user_name)
        is_done = False
        while not is_done:
            with self._database.write() as connection:
                rows = unstopped_below(connection, root, most=_MAX_AT_ONCE)
                for row in rows:
                    # The end of one ends its children.
                    if not Status(_row(connection, row.id).status).is_ended:
                        stop(connection, row, reason=reason, now=self._database.clock(), user_name=user_name)
                is_done = not rows

    def pause(self, execution_id: str, *, user_name: str) -> None:
        """Pause an execution; one that runs does so before its next cell, and asking again changes nothing."""
        now = self._database.clock()
        with self._database.write() as connection:
            row = _row(connection, execution_id)
            if row.type == ExecutionType.INTERACTIVE:
                raise WorkedOnByHand(execution_id, "paused")
            _check(connection, row, Status.PAUSED)
            is_mine = executions.c.id == execution_id
            if row.status != Status.RUNNING:
                connection.execute(update(executions).where(is_mine).values(status=Status.PAUSED, wants_slot=False))
                tell(connection, execution_id, Status.PAUSED, now=now, user_name=user_name)
            elif not row.wants_pause:
                connection.execute(update(executions).where(is_mine).values(wants_pause=True))
                record(connection, EXECUTION_PAUSE_REQUESTED, EXECUTION, execution_id, time=now, user_name=user_name)

    def resume(self, execution_id: str, *, user_name: str) -> None:
        """Let a paused execution go on, or take the wish to pause one back.

        One that has processes is `WAITING` then, and takes its slot from there, ahead of new work.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            row = _row(connection, execution_id)
            if row.status == Status.PAUSED:
                status = Status.PENDING if row.worker_id is None else Status.WAITING
            elif row.wants_pause:
                status = Status.RUNNING
            else:
                raise IllegalTransition(execution_id, row.status, "resumed", history(connection, execution_id))
            values = {"status": status, "wants_pause": False}
            connection.execute(update(executions).where(executions.c.id == execution_id).values(**values))
            tell(connection, execution_id, status, now=now, kind=EXECUTION_RESUMED, user_name=user_name)

    def is_pause_wanted(self, execution_id: str) -> bool:
        """Return whether a running execution is to pause before its next cell."""
        with self._database.read() as connection:
            return bool(connection.execute(_WANTS_PAUSE, {"of": execution_id}).scalar())

    def of(self, worker_id: str) -> tuple[Wish, ...]:
        """Return which of the worker's executions are to end."""
        with self._database.read() as connection:
            return tuple(Wish(row.id, row.stop_reason) for row in connection.execute(_OF, {"worker": worker_id}))


def _row(connection: Connection, execution_id: str) -> Any:
    row = connection.execute(select(executions).where(executions.c.id == execution_id)).one_or_none()
    if row is None:
        raise ExecutionNotFound(execution_id)
    return row


def _check(connection: Connection, row: Any, wanted: Status) -> None:
    lifecycle.check(row.id, Status(row.status), wanted, history=history(connection, row.id))
