"""The history: events, in the order in which they were committed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from cloudo_kernel.events import EXECUTION, OF_STATUS, PASSING
from cloudo_kernel.models import Event, Status
from cloudo_kernel.store.database import Database
from cloudo_kernel.tables import events


def record(
    connection: Connection,
    event_type: str,
    subject_type: str,
    subject_id: str,
    *,
    time: datetime,
    user_name: str | None = None,
    **data: Any,
) -> None:
    """Add an event to the transaction that changes what it tells of."""
    connection.execute(
        insert(events).values(
            time=time,
            type=event_type,
            subject_type=subject_type,
            subject_id=subject_id,
            user_name=user_name,
            data=data,
        )
    )


def tell(
    connection: Connection,
    execution_id: str,
    status: Status,
    now: datetime,
    *,
    user_name: str | None = None,
    **data: Any,
) -> None:
    """Record an execution's move into a state."""
    record(
        connection,
        OF_STATUS[status],
        EXECUTION,
        execution_id,
        time=now,
        user_name=user_name,
        status=status,
        **{name: value for name, value in data.items() if value is not None},
    )


def history(connection: Connection, execution_id: str) -> list[str]:
    """Return what happened to an execution, in words, without what is passing."""
    query = (
        select(events.c.type)
        .where(events.c.subject_id == execution_id, events.c.type.not_in(PASSING))
        .order_by(events.c.id)
        .limit(20)
    )
    return list(connection.execute(query).scalars())


class Events:
    """Reads the history."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest_id(self) -> int:
        """Return the id of the newest event, 0 when there is none."""
        with self._database.read() as connection:
            return int(connection.execute(select(func.coalesce(func.max(events.c.id), 0))).scalar_one())

    def after(self, event_id: int, *, limit: int, subject_id: str | None = None) -> tuple[Event, ...]:
        """Return at most `limit` events with a greater id, oldest first."""
        query = select(events).where(events.c.id > event_id).order_by(events.c.id).limit(limit)
        if subject_id is not None:
            query = query.where(events.c.subject_id == subject_id)
        with self._database.read() as connection:
            return tuple(Event.model_validate(dict(row._mapping)) for row in connection.execute(query))

    def add(self, event_type: str, subject_type: str, subject_id: str, *, user_name: str, **data: Any) -> None:
        """Record an event about something that the store does not keep itself."""
        with self._database.write() as connection:
            record(
                connection,
                event_type,
                subject_type,
                subject_id,
                time=self._database.clock(),
                user_name=user_name,
                **data,
            )
