"""Control executions from outside: release, change, cancel, pause, resume.

This module does not stop processes. It stores a stop request, and the worker that runs the execution applies it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, update

from cloudo_kernel.errors import Conflict, ExecutionNotFound, IllegalTransition, WorkedOnByHand
from cloudo_kernel.models import ExecutionType, JsonObject, Status, lifecycle
from cloudo_kernel.models.event_types import (
    EXECUTION,
    EXECUTION_CHANGED,
    EXECUTION_PAUSE_REQUESTED,
    EXECUTION_RESUMED,
)
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions import dependencies, tags
from cloudo_kernel.store.executions.fencing import LEASED, history, move
from cloudo_kernel.store.executions.records import ENDED
from cloudo_kernel.store.executions.transitions import fail_dependent, release, stop, tell
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.sql.row_locks import lock_execution, lock_subjects
from cloudo_kernel.store.tables import executions

#: Fields that an execution reads when it starts; later changes would have no effect.
_BEFORE_START = ("input_value", "output_value")
#: Maximum number of executions stopped in one transaction, because other writers wait for it.
_MAX_AT_ONCE = 100

# Built once: a run queries before each cell, and a worker after each commit.
_c = executions.c
_WANTS_PAUSE = select(_c.wants_pause).where(_c.id == bindparam("of"))
_OF = select(_c.id, _c.stop_reason).where(
    _c.worker_id == bindparam("worker"), or_(*(_c.status == one.value for one in LEASED)), _c.stop_reason.is_not(None)
)
_UNSTOPPED = (_c.ended_at.is_(None), _c.stop_reason.is_(None))
_unstopped = select(executions).where(*_UNSTOPPED).order_by(_c.id).limit(bindparam("most")).with_for_update()
_UNSTOPPED_OF_ROOT = _unstopped.where(_c.root_id == bindparam("of"))
_below = select(_c.id).where(_c.parent_id == bindparam("of")).cte("below", recursive=True)
_below = _below.union_all(select(_c.id).where(_c.parent_id == _below.c.id))
_UNSTOPPED_BELOW = _unstopped.where(_c.id.in_(select(_below.c.id)))


@dataclass(frozen=True)
class StopRequest:
    """A request to end an execution that has a worker, with the reason."""

    id: str
    stop_reason: str


class Control:
    """Change executions from outside, and pass requests to their workers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def release(self, execution_id: str, *, after: Sequence[str] = ()) -> None:
        """Release a held execution, at once or after all executions in `after` succeed; do nothing if it is not held.

        If one of them ends or has ended without success, the held execution ends in error.
        Raises `ExecutionNotFound`, `DependencyCycle`.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            lock_execution(connection, execution_id)
            lock_subjects(connection, after)
            is_held = connection.execute(select(_c.is_held).where(_c.id == execution_id)).scalar()
            if is_held is None:
                raise ExecutionNotFound(execution_id)
            if not is_held:
                return
            waits_for = []
            for other in after:
                status = connection.execute(select(_c.status).where(_c.id == other)).scalar()
                if status is None:
                    raise ExecutionNotFound(other)
                if status not in ENDED:
                    waits_for.append(other)
                elif status != Status.ENDED_SUCCESS:
                    fail_dependent(connection, execution_id, on_id=other, now=now)
                    return
            dependencies.add(connection, execution_id, waits_for)
            if not waits_for:
                release(connection, execution_id, now=now)

    def save(self, execution_id: str, fields: JsonObject, *, user_name: str) -> None:
        """Change fields of an execution from outside.

        Raises `ExecutionNotFound`. Raises `Conflict` for inputs or outputs once the execution has begun or ended.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            late = [field for field in _BEFORE_START if field in fields]
            unbegun = (_c.attempt == 0, _c.status.not_in(ENDED)) if late else ()
            is_it = (_c.id == execution_id, *unbegun)
            if not connection.execute(update(executions).where(*is_it).values(**fields)).rowcount:
                _row(connection, execution_id)  # raises if it does not exist
                raise Conflict(f"The execution {execution_id} has begun; its {late[0]} is its own now.", field=late[0])
            if "tags" in fields:
                tags.replace(connection, execution_id, fields["tags"])
            record(
                connection,
                EXECUTION_CHANGED,
                EXECUTION,
                execution_id,
                time=now,
                user_name=user_name,
                fields=sorted(field for field in fields if not field.startswith("sealed_")),
            )

    def cancel(self, execution_id: str, *, user_name: str, reason: str) -> bool:
        """End an execution without processes, or ask its worker to end it; return True if this call ended it."""
        with self._database.write() as connection:
            row = _row(connection, execution_id)
            _check(connection, row, Status.ENDED_CANCELLED)
            return stop(connection, row, reason=reason, now=self._database.clock(), user_name=user_name)

    def cancel_tree(self, execution_id: str, *, user_name: str, reason: str) -> None:
        """End an execution and all its descendants, or ask their workers to.

        Uses several transactions so that other writers get their turn. Descendants created meanwhile are ended too.
        Raises `ExecutionNotFound`, and `IllegalTransition` if the execution has ended and no descendant can be stopped.
        """
        with self._database.write() as connection:
            root = _row(connection, execution_id)
            has_ended = Status(root.status).is_ended
            if has_ended and not _unstopped_below(connection, root, most=1):
                _check(connection, root, Status.ENDED_CANCELLED)
            if not has_ended:
                stop(connection, root, reason=reason, now=self._database.clock(), user_name=user_name)
        is_done = False
        while not is_done:
            with self._database.write() as connection:
                rows = _unstopped_below(connection, root, most=_MAX_AT_ONCE)
                for row in rows:
                    # Ending an earlier row may have ended this one, its child.
                    if not Status(_row(connection, row.id).status).is_ended:
                        stop(connection, row, reason=reason, now=self._database.clock(), user_name=user_name)
                is_done = not rows

    def pause(self, execution_id: str, *, user_name: str) -> None:
        """Pause an execution, or ask a running one to pause before its next cell.

        A repeated request has no effect. Raises `ExecutionNotFound`, `WorkedOnByHand`, `IllegalTransition`.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            row = _row(connection, execution_id)
            if row.type == ExecutionType.INTERACTIVE:
                raise WorkedOnByHand(execution_id, "paused")
            _check(connection, row, Status.PAUSED)
            status = Status(row.status)
            if status is not Status.RUNNING:
                move(connection, execution_id, {"status": Status.PAUSED, "wants_slot": False}, (status,))
                tell(connection, execution_id, Status.PAUSED, now=now, user_name=user_name)
            elif not row.wants_pause:
                move(connection, execution_id, {"wants_pause": True}, (status,))
                record(connection, EXECUTION_PAUSE_REQUESTED, EXECUTION, execution_id, time=now, user_name=user_name)

    def resume(self, execution_id: str, *, user_name: str) -> None:
        """Resume a paused execution, or withdraw a pause request.

        A paused execution that has a worker becomes `WAITING`, and takes its slot back ahead of new work.
        Raises `ExecutionNotFound`, `IllegalTransition`.
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
            move(connection, execution_id, {"status": status, "wants_pause": False}, (Status(row.status),))
            tell(connection, execution_id, status, now=now, kind=EXECUTION_RESUMED, user_name=user_name)

    def is_pause_wanted(self, execution_id: str) -> bool:
        """Return whether an execution should pause before its next cell."""
        with self._database.read() as connection:
            return bool(connection.execute(_WANTS_PAUSE, {"of": execution_id}).scalar())

    def of(self, worker_id: str) -> tuple[StopRequest, ...]:
        """Return the stop requests for the worker's executions."""
        with self._database.read() as connection:
            return tuple(StopRequest(row.id, row.stop_reason) for row in connection.execute(_OF, {"worker": worker_id}))


def _row(connection: Connection, execution_id: str) -> Any:
    lock_execution(connection, execution_id)
    row = connection.execute(select(executions).where(executions.c.id == execution_id)).one_or_none()
    if row is None:
        raise ExecutionNotFound(execution_id)
    return row


def _check(connection: Connection, row: Any, wanted: Status) -> None:
    lifecycle.check(row.id, Status(row.status), wanted, history=history(connection, row.id))


def _unstopped_below(connection: Connection, row: Any, *, most: int) -> Sequence[Any]:
    """Return up to `most` rows of descendants that have not ended and have no stop request."""
    # An execution whose parents are deleted has no parent, and its descendants still have the id of their first root.
    query = _UNSTOPPED_OF_ROOT if row.root_id is None else _UNSTOPPED_BELOW
    return connection.execute(query, {"of": row.id, "most": most}).all()
