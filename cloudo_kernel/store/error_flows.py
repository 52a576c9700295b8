"""Executions that ended in error and whose flow names another one to start then."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update

from cloudo_kernel.models import Execution, LogLine, Status
from cloudo_kernel.store.database import Database
from cloudo_kernel.store.executions import to_record
from cloudo_kernel.store.log import append
from cloudo_kernel.tables import executions


@dataclass(frozen=True)
class Failed:
    """An execution that ended in error, and what is to be started therefore."""

    execution: Execution
    flow_name: str
    depth: int


class ErrorFlows:
    """Knows for which ends a flow is still to be started."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, *, reserved_for: str | None) -> tuple[Failed, ...]:
        """Return some ends whose flow was not started yet; a private worker looks after its own."""
        c = executions.c
        is_mine = c.reserved_for.is_(None) if reserved_for is None else c.reserved_for == reserved_for
        query = select(executions).where(c.on_error.is_not(None), c.status == Status.ENDED_ERROR, is_mine).limit(100)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(Failed(to_record(row), row.on_error, row.depth) for row in rows)

    def settle(self, execution_id: str, *, complaint: str | None = None) -> None:
        """Note that the flow was started, or, as a line of the log, why it cannot be."""
        now, c = self._database.clock(), executions.c
        with self._database.write() as connection:
            is_first = (
                connection.execute(
                    update(executions).where(c.id == execution_id, c.on_error.is_not(None)).values(on_error=None)
                ).rowcount
                > 0
            )
            if is_first and complaint is not None:
                append(connection, execution_id, [LogLine(time=now, level="error", text=complaint)], now=now)
