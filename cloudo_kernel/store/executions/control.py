"""Control of executions from outside: release, change, cancel, pause, resume.

An execution that has a process is not stopped here: the request is stored, and the worker that runs it applies it.
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
from cloudo_kernel.store.executions import dependencies
from cloudo_kernel.store.executions.fencing import LEASED, history
from cloudo_kernel.store.executions.records import ENDED
from cloudo_kernel.store.executions.transitions import fail_dependent, release, stop, tell
from cloudo_kernel.store.executions.unended import unstopped_below
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import executions

#: Fields that are read at the start, and have no effect later.
_BEFORE_START = ("input_value", "output_value")
#: Executions that one transaction stops: others wait to write.
_MAX_AT_ONCE = 100

# Made once, as a run asks before each cell, and a worker after each commit.
_c = executions.c
_WANTS_PAUSE = select(_c.wants_pause).where(_c.id == bindparam("of"))
_OF = select(_c.id, _c.stop_reason).where(
    _c.worker_id == bindparam("worker"), or_(*(_c.status == one.value for one in LEASED)), _c.stop_reason.is_not(None)
)


@dataclass(frozen=True)
class StopRequest:
    """A request to end an execution that has a worker, with the reason."""

    id: str
    stop_reason: str


class Control:
    """Changes executions from outside, and shows the requests to their workers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def release(self, execution_id: str, *, after: Sequence[str] = ()) -> None:
        """Let a held execution run, at once or when these have ended in success; another one is left as it is.

        If one of these ends otherwise, or has, so does it, in error. Raises `ExecutionNotFound`, `DependencyCycle`.
        """
        now = self._database.clock()
        with self._database.write() as connection:
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
        """Change fields of an execution from outside of it; inputs and outputs only before it has begun."""
        now = self._database.clock()
        with self._database.write() as connection:
            row = connection.execute(select(_c.status, _c.attempt).where(_c.id == execution_id)).one_or_none()
            if row is None:
                raise ExecutionNotFound(execution_id)
            late = [field for field in _BEFORE_START if field in fields]
            if late and (row.attempt > 0 or row.status in ENDED):
                raise Conflict(f"The execution {execution_id} has begun; its {late[0]} is its own now.", field=late[0])
            connection.execute(update(executions).where(_c.id == execution_id).values(**fields))
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

    def of(self, worker_id: str) -> tuple[StopRequest, ...]:
        """Return which of the worker's executions are to end."""
        with self._database.read() as connection:
            return tuple(StopRequest(row.id, row.stop_reason) for row in connection.execute(_OF, {"worker": worker_id}))


def _row(connection: Connection, execution_id: str) -> Any:
    row = connection.execute(select(executions).where(executions.c.id == execution_id)).one_or_none()
    if row is None:
        raise ExecutionNotFound(execution_id)
    return row


def _check(connection: Connection, row: Any, wanted: Status) -> None:
    lifecycle.check(row.id, Status(row.status), wanted, history=history(connection, row.id))
