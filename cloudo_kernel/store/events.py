"""The history: events in commit order, and the listener that notices new ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select

from cloudo_kernel.models import Event, JsonObject
from cloudo_kernel.processes.loop import Failures, Loop
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
        """Return the id of the newest event, or 0 without events. No event with a lower id can appear any more."""
        settled = self._database.settled_event()
        with self._database.read() as connection:
            return newest_event(connection, up_to=settled)

    def after(self, event_id: int, *, limit: int, subject_id: str | None = None) -> tuple[Event, ...]:
        """Return up to `limit` events with a greater id, oldest first."""
        query = _AFTER if subject_id is None else _AFTER.where(events.c.subject_id == subject_id)
        settled = self._database.settled_event()
        query = query if settled is None else query.where(events.c.id <= settled)
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


class EventListener:
    """Notices events that any process commits, and calls the listeners. One per process.

    It runs on its own thread, which starts with the first listener.
    """

    def __init__(self, database: Database, events: Events) -> None:
        self._database = database
        self._events = events
        self._listeners: dict[object, Callable[[], None]] = {}
        #: Listeners to call, or to call again because they raised.
        self._untold: set[object] = set()
        self._lock = threading.Lock()
        self.loop = Loop("event-tail", self._look)
        self._is_started = False
        self._failures = Failures("A listener for events")
        self._changes: int | None = -1
        #: The id of the newest event seen; negative before the first look.
        self.newest = -1
        database.on_commit = self.loop.wake

    def add_listener(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever events were committed; return a function that removes it.

        `listener` runs on this object's thread and must be quick. If it raises, it is called again soon; the others
        are not affected.
        """
        key = object()
        with self._lock:
            self._listeners[key] = listener
            if not self._is_started:
                self.loop.start()
                self._database.listen()
                self._is_started = True

        def remove() -> None:
            with self._lock:
                self._listeners.pop(key, None)

        return remove

    @property
    def listeners(self) -> int:
        """The number of listeners."""
        return len(self._listeners)

    def close(self) -> None:
        """Stop the thread."""
        self.loop.stop()

    def _look(self) -> float:
        changes = self._database.changes()
        if changes is None or changes != self._changes:
            latest = self._events.newest_id()
            self._changes = changes
            if latest != self.newest:
                self.newest = latest
                with self._lock:
                    self._untold = set(self._listeners)
        if self._untold:
            self._call_listeners()
        self._database.probe()
        return self._database.poll_seconds  # commits of this process wake it at once

    def _call_listeners(self) -> None:
        with self._lock:
            listeners = [one for one in self._listeners.items() if one[0] in self._untold]
        self._untold = set()
        for key, listener in listeners:
            try:
                listener()
            except Exception as error:  # noqa: BLE001 -- the other listeners must be called
                self._untold.add(key)
                self._failures.note(error)
        if not self._untold:
            self._failures.clear()


def newest_event(connection: Connection, *, up_to: int | None = None) -> int:
    """Return the id of the newest event, or 0 without events."""
    query = _NEWEST_ID if up_to is None else _NEWEST_ID.where(events.c.id <= up_to)
    return int(connection.execute(query).scalar_one())
