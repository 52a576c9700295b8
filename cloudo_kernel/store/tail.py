"""The event listener: one per process, it notices events committed by any process and calls the listeners."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from cloudo_kernel.processes.loop import Failures, Loop

if TYPE_CHECKING:
    from cloudo_kernel.store.events import Events
    from cloudo_kernel.store.sql.database import Database

#: Poll interval for commits of other processes. Commits of this process wake the tail at once.
_POLL_INTERVAL_SECONDS = 0.05


class EventListener:
    """Watches for new events on its own thread, which starts with the first listener."""

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
        return _POLL_INTERVAL_SECONDS

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
