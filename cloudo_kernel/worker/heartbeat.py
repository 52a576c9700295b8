"""A worker's heartbeat: it keeps in the store that a scheduler is alive, and since when if it stood still."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime, timedelta

from cloudo_kernel.errors import CloudoError
from cloudo_kernel.store import HEARTBEAT_SECONDS, Store

#: A process that slept for longer than it wanted, by the wall clock, missed at least one heartbeat: it was stopped,
#: its machine was suspended, or its clock was set forward.
_STOOD_STILL = timedelta(seconds=2 * HEARTBEAT_SECONDS)


class Heartbeat:
    """One worker's heartbeat.

    It costs one write every two seconds. A store that cannot be written to for a while makes no absence: the process
    knows that it lived, and says so with the next heartbeat.
    """

    def __init__(self, store: Store, worker_id: str, *, private: bool) -> None:
        """Prepare it. A private worker has no scheduler."""
        self._store = store
        self._worker_id = worker_id
        self._private = private
        self._has_scheduler = not private
        self._lock = threading.Lock()
        #: When this process was last seen at work, by the wall clock; a wait began then.
        self._awake_at: datetime | None = None
        #: When it was back, if it stood still and the store does not know yet.
        self._back_at: datetime | None = None

    def register(self) -> None:
        """Add the worker to the store; from now on its schedules are looked after."""
        with self._lock:
            self._store.workers.register(self._worker_id, private=self._private)
            self._awake_at, self._back_at = self._store.now, None

    def beat(self) -> bool:
        """Write a heartbeat; False when another worker has taken the lease away. Called every two seconds."""
        with self._lock:
            return self._beat()

    def notice_absence(self) -> None:
        """Record it first if the process stood still. Called before each look at the schedules."""
        with self._lock:
            if self._has_stood_still():
                self._beat()

    def leave(self) -> None:
        """Record that the scheduler has stopped; the worker may live on for some seconds."""
        with self._lock:
            self._has_scheduler = False
            with suppress(CloudoError):  # then the last heartbeat stands
                self._store.workers.leave(self._worker_id)

    def _beat(self) -> bool:
        if self._has_stood_still():
            self._back_at = self._store.now
        try:
            lives = self._store.workers.beat(self._worker_id, has_scheduler=self._has_scheduler, back_at=self._back_at)
            self._back_at = None
        finally:
            # Not before: waiting for a locked store is no absence.
            self._awake_at = self._store.now
        return lives

    def _has_stood_still(self) -> bool:
        return self._awake_at is not None and self._store.now - self._awake_at > _STOOD_STILL
