"""The history: events in commit order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select

from cloudo_kernel.models import Event, JsonObject
from cloudo_kernel.store.sql.bulk_statement import BulkStatement
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import events

# Built once: SQLAlchemy takes several times as long to build a statement as to run it.
_INSERT = BulkStatement(insert(events))
_AFTER = select(events).where(events.c.id > bindparam("after")).order_by(events.c.id).limit(bindparam("most"))
_NEWEST_ID = select(func.coalesce(func.max(events.c.id), 0))


def event_row(
    event_type: str,
    subject_type: str,
    subject_id: str,
    *,
    time: datetime,
    user_name: str | None = None,
    **data: Any,
) -> JsonObject:
    """Return an event as a row for `record_all`."""
    return {
        "time": time,
        "type": event_type,
        "subject_type": subject_type,
        "subject_id": subject_id,
        "user_name": user_name,
        "data": data,
    }


def record(connection: Connection, event_type: str, subject_type: str, subject_id: str, **more: Any) -> None:
    """Add an event to the transaction that makes the change; `more` are arguments of `event_row`."""
    record_all(connection, [event_row(event_type, subject_type, subject_id, **more)])


def record_all(connection: Connection, rows: Sequence[JsonObject]) -> None:
    """Add events to the transaction that makes the changes."""
    if rows:
        _INSERT.run(connection, rows)


class Events:
    """Reads the history."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest_id(self) -> int:
        """Return the id of the newest event, or 0 without events."""
        with self._database.read() as connection:
            return int(connection.execute(_NEWEST_ID).scalar_one())

    def after(self, event_id: int, *, limit: int, subject_id: str | None = None) -> tuple[Event, ...]:
        """Return up to `limit` events with a greater id, oldest first."""
        query = _AFTER if subject_id is None else _AFTER.where(events.c.subject_id == subject_id)
        with self._database.read() as connection:
            rows = connection.execute(query, {"after": event_id, "most": limit})
            return tuple(Event.model_validate(dict(row._mapping)) for row in rows)

    def add(self, event_type: str, subject_type: str, subject_id: str, *, user_name: str | None, **data: Any) -> None:
        """Record an event about something outside the store."""
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
