"""The waits of one run in its worker: for the store, for other executions, for a slot."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cloudo_kernel.errors import StaleAttempt, Unavailable
from cloudo_kernel.models import Status
from cloudo_kernel.store import Claim, Store
from cloudo_kernel.worker.slots import WorkerSlots

#: A store that cannot be used is tried again so often,
RETRY_SECONDS = 1.0
#: and for so long before the flow is told. The end of a run is reported however long it takes.
_PATIENCE_SECONDS = 120.0
#: The store is looked at this often, should the event tail miss something.
_POLL_INTERVAL_SECONDS = 0.5
#: After a look it rests so that all who wait together use one processor at most, but not longer than this;
_MAX_BACKOFF_SECONDS = 1.0
#: and where nothing happens, it looks again after so many times as long.
_POLL_INTERVAL_FACTOR = 10


class Waits:
    """Waits that end with the run."""

    def __init__(self, store: Store, claim: Claim, slots: WorkerSlots | None = None) -> None:
        """`slots` are those of the worker, where it has a limit of its own."""
        self._store = store
        self._claim = claim
        self._slots = slots or WorkerSlots(store, "", None)
        self._is_over = threading.Event()
        #: Of those who wait here now.
        self._woken: set[threading.Event] = set()
        self._lock = threading.Lock()

    def end(self) -> None:
        """End all waits, those to come too: the run is over."""
        self._is_over.set()
        self.wake()

    def wake(self) -> None:
        """Have everyone who waits look again."""
        with self._lock:
            for woken in self._woken:
                woken.set()

    def retry_while_unavailable(self, call: Callable[[], Any]) -> Any:
        """Call again while the store cannot be used, so that a lock or a full disk does not fail a run at once."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return call()
            except Unavailable:
                if time.monotonic() > end or self._is_over.wait(RETRY_SECONDS):
                    raise

    def until(self, is_done: Callable[[], bool], *, seconds: float = math.inf) -> bool:
        """Block until `is_done` or so many seconds are over; tell whether it is."""
        woken = threading.Event()
        with self._lock:
            self._woken.add(woken)
        remove = self._store.tail.add_listener(woken.set)
        end = time.monotonic() + seconds
        try:
            while True:
                began = time.monotonic()
                with suppress(Unavailable):  # a store that cannot be used now is asked again
                    if is_done():
                        return True
                # Every commit wakes all who wait: hundreds of them must not look at the store all the time.
                rest = min(_MAX_BACKOFF_SECONDS, (time.monotonic() - began) * self._store.tail.listeners)
                if self._is_over.is_set():
                    raise StaleAttempt(self._claim.id, self._claim.attempt)
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._is_over.wait(min(rest, left))
                woken.wait(
                    min(max(_POLL_INTERVAL_SECONDS, _POLL_INTERVAL_FACTOR * rest), max(0.0, end - time.monotonic()))
                )
                woken.clear()
        finally:
            remove()
            with self._lock:
                self._woken.discard(woken)

    def has_slot_again(self, *, keeps_message: bool = False) -> bool:
        """Take the slot back after a wait or a pause, if there is one; tell whether it is there."""
        if self._store.executions.status(self._claim.id) is Status.PAUSED:
            self._slots.forget(self._claim)
            return False
        return self._slots.take_again(self._claim, keeps_message=keeps_message)
