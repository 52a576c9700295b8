"""The event tail: one per process, it notices that events were committed, by whatever process, and wakes who waits."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from cloudo_kernel.errors import CloudoError

if TYPE_CHECKING:
    from cloudo_kernel.store.database import Database
    from cloudo_kernel.store.events import Events

_log = logging.getLogger(__name__)

#: How often the store is asked whether another process wrote. Own commits wake the tail at once.
_LOOK_SECONDS = 0.05


class EventTail:
    """Watches for new events on a thread of its own, from the first listener to the last."""

    def __init__(self, database: Database, events: Events) -> None:
        self._database = database
        self._events = events
        self._listeners: dict[object, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        #: The id of the newest event that it has noticed; negative before it has looked.
        self.newest = -1
        database.on_commit = self._wake.set

    def add_listener(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener`, on the tail's thread and quickly, whenever events were committed; return its remover.

        If it cannot read the store, and says so, all are called again.
        """
        key = object()
        with self._lock:
            self._listeners[key] = listener
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="cloudo-event-tail", daemon=True)
                self._thread.start()

        def remove() -> None:
            with self._lock:
                self._listeners.pop(key, None)

        return remove

    @property
    def listeners(self) -> int:
        """How many there are."""
        return len(self._listeners)

    def close(self) -> None:
        """End the thread."""
        self._is_closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _watch(self) -> None:
        with self._database.change_counter() as count:
            seen, is_told = -1, True
            while not self._is_closed:
                was_woken = self._wake.wait(timeout=_LOOK_SECONDS)
                self._wake.clear()
                try:
                    counted = count()
                    if is_told and counted is not None and counted == seen and not was_woken:
                        continue
                    latest = self._events.newest_id()
                    if latest != self.newest or not is_told:
                        self.newest, is_told = latest, False
                        self._call_listeners()
                        is_told = True
                except (CloudoError, sqlite3.Error):
                    _log.warning("The store cannot be asked for events; trying again.", exc_info=True)
                    continue
                seen = -1 if counted is None else counted

    def _call_listeners(self) -> None:
        with self._lock:
            listeners = list(self._listeners.values())
        for listener in listeners:
            listener()
