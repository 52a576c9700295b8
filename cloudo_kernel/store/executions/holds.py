"""Executions that were created and are held: `PENDING`, but not to be claimed before they are released."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update

from cloudo_kernel.errors import Conflict, ExecutionNotFound
from cloudo_kernel.models import JsonObject, Status
from cloudo_kernel.models.event_types import EXECUTION, EXECUTION_CHANGED
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions import dependencies
from cloudo_kernel.store.executions.records import ENDED
from cloudo_kernel.store.executions.transitions import fail_dependent, release
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import executions

#: What is taken at the start, and of no use later.
_BEFORE_START = ("input_value", "output_value")


class Holds:
    """Lets held executions run, and changes those that are not running."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def release(self, execution_id: str, *, after: Sequence[str] = ()) -> None:
        """Let a held execution run, at once or when these have ended in success; another one is left as it is.

        If one of these ends otherwise, or has, so does it, in error. Raises `ExecutionNotFound`, `DependencyCycle`.
        """
        now, c = self._database.clock(), executions.c
        with self._database.write() as connection:
            is_held = connection.execute(select(c.is_held).where(c.id == execution_id)).scalar()
            if is_held is None:
                raise ExecutionNotFound(execution_id)
            if not is_held:
                return
            waits_for = []
            for other in after:
                status = connection.execute(select(c.status).where(c.id == other)).scalar()
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
        now, c = self._database.clock(), executions.c
        with self._database.write() as connection:
            row = connection.execute(select(c.status, c.attempt).where(c.id == execution_id)).one_or_none()
            if row is None:
                raise ExecutionNotFound(execution_id)
            late = [field for field in _BEFORE_START if field in fields]
            if late and (row.attempt > 0 or row.status in ENDED):
                raise Conflict(f"The execution {execution_id} has begun; its {late[0]} is its own now.", field=late[0])
            connection.execute(update(executions).where(c.id == execution_id).values(**fields))
            record(
                connection,
                EXECUTION_CHANGED,
                EXECUTION,
                execution_id,
                time=now,
                user_name=user_name,
                fields=sorted(field for field in fields if not field.startswith("sealed_")),
            )
