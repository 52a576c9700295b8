"""Look up the flow that a record belongs to, for callers that are limited to some flows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from cloudo_kernel.errors import ExecutionNotFound, MessageNotFound, ResourceNotFoundError, ScheduleNotFound
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import executions, messages, schedules


class Owners:
    """Looks up flow names. None means that a record belongs to no flow, such as a script."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_execution(self, execution_id: str) -> str | None:
        """Return the flow that an execution runs. Raises `ExecutionNotFound`."""
        query = select(executions.c.flow_name).where(executions.c.id == execution_id)
        return self._read(query, ExecutionNotFound(execution_id))

    def of_schedule(self, schedule_id: str) -> str | None:
        """Return the flow that a schedule starts. Raises `ScheduleNotFound`."""
        query = select(schedules.c.flow_name).where(schedules.c.id == schedule_id)
        return self._read(query, ScheduleNotFound(schedule_id))

    def of_message(self, message_id: str) -> str | None:
        """Return the flow whose execution created a message. Raises `MessageNotFound`."""
        joined = messages.outerjoin(executions, messages.c.execution_id == executions.c.id)
        query = select(executions.c.flow_name).select_from(joined).where(messages.c.id == message_id)
        return self._read(query, MessageNotFound(message_id))

    def of(self, subject_id: str) -> str | None:
        """Return the flow of an execution, schedule or message; None also for any other id."""
        for find in (self.of_execution, self.of_schedule, self.of_message):
            try:
                return find(subject_id)
            except ResourceNotFoundError:
                continue
        return None

    def _read(self, query: Select[Any], missing: ResourceNotFoundError) -> str | None:
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise missing
        return None if row[0] is None else str(row[0])
