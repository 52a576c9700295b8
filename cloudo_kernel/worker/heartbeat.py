"""Writes a worker's heartbeat: that its scheduler is alive, and since when if the process stood still."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime, timedelta

from cloudo_kernel.errors import CloudoError
from cloudo_kernel.processes.loop import Repeated, states
from cloudo_kernel.store import HEARTBEAT_SECONDS, Store

#: A longer gap by the wall clock means at least one missed heartbeat: the process was stopped, its machine was
#: suspended, or its clock was set forward.
_STOOD_STILL = timedelta(seconds=2 * HEARTBEAT_SECONDS)


class Heartbeat:
    """One worker's heartbeat.

    It costs one write every two seconds. A store that is unavailable for a while causes no absence: the next heartbeat
    reports that the process was alive.
    """

    def __init__(self, store: Store, worker_id: str, *, private: bool, labels: tuple[str, ...] = ()) -> None:
        """Prepare the heartbeat. A private worker has no scheduler."""
        self._store = store
        self._worker_id = worker_id
        self._private = private
        self._labels = labels
        self._has_scheduler = not private
        #: The background loops whose states each heartbeat reports; set by the worker.
        self.loops: tuple[Repeated, ...] = ()
        self._lock = threading.Lock()
        #: Whether the worker claims nothing more, and ends once its runs have ended.
        self.is_draining = False
        #: When this process was last active, by the wall clock; its current wait began then.
        self._awake_at: datetime | None = None
        #: When it resumed after standing still, if that is not in the store yet.
        self._back_at: datetime | None = None

    def register(self) -> None:
        """Add the worker to the store. From then on its scheduler counts as alive, if it has one."""
        with self._lock:
            self._store.workers.register(
                self._worker_id, private=self._private, labels=self._labels, draining=self.is_draining
            )
            self._awake_at, self._back_at = self._store.now, None

    def beat(self) -> bool:
        """Write a heartbeat; return False if another worker has taken the lease. Called every two seconds."""
        with self._lock:
            return self._beat()

    def notice_absence(self) -> None:
        """Record an absence if the process stood still. Called before each look at the schedules."""
        with self._lock:
            if self._has_stood_still():
                self._beat()

    def leave(self) -> None:
        """Record that the scheduler has stopped. The worker may run on for some seconds."""
        with self._lock:
            self._has_scheduler = False
            with suppress(CloudoError):  # then the last heartbeat counts
                self._store.workers.leave(self._worker_id)

    def _beat(self) -> bool:
        if self._has_stood_still():
            self._back_at = self._store.now
        try:
            lives = self._store.workers.beat(
                self._worker_id,
                has_scheduler=self._has_scheduler,
                back_at=self._back_at,
                loops=states(self.loops),
            )
            self._back_at = None
        finally:
            # Only now: waiting for a locked store is not an absence.
            self._awake_at = self._store.now
        if lives:
            self.is_draining = self._store.workers.is_draining(self._worker_id)
        return lives

    def _has_stood_still(self) -> bool:
        return self._awake_at is not None and self._store.now - self._awake_at > _STOOD_STILL
