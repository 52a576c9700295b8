"""Implements the waits of one run in its worker: for the store, for other executions, for a slot."""

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

#: Interval between retries while the store is unavailable.
RETRY_SECONDS = 1.0
#: How long a call is retried before the flow gets the error. The report of an end has no such limit.
_PATIENCE_SECONDS = 120.0
#: Poll interval of the store, in case the event listener misses a change.
_POLL_INTERVAL_SECONDS = 0.5
#: Maximum rest after a look. The rests keep all waits together from using more than one processor.
_MAX_BACKOFF_SECONDS = 1.0
#: Without events, the next look comes after this many times the rest, but not before the poll interval.
_POLL_INTERVAL_FACTOR = 10


class Waits:
    """Waits that end with the run."""

    def __init__(self, store: Store, claim: Claim, slots: WorkerSlots | None = None) -> None:
        """Use the worker's own limit, `slots`; with None only the store's limit applies."""
        self._store = store
        self._claim = claim
        self._slots = slots or WorkerSlots(store, "", None)
        self._is_over = threading.Event()
        #: One event for each wait in progress.
        self._woken: set[threading.Event] = set()
        self._lock = threading.Lock()

    def end(self) -> None:
        """End all current and future waits, because the run is over."""
        self._is_over.set()
        self.wake()

    def wake(self) -> None:
        """Make every wait check its condition again."""
        with self._lock:
            for woken in self._woken:
                woken.set()

    def retry_while_unavailable(self, call: Callable[[], Any]) -> Any:
        """Retry `call` while the store is unavailable, so that a lock or a full disk does not fail a run at once."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return call()
            except Unavailable:
                if time.monotonic() > end or self._is_over.wait(RETRY_SECONDS):
                    raise

    def until(self, is_done: Callable[[], bool], *, seconds: float = math.inf) -> bool:
        """Block until `is_done`, or for `seconds`; return whether it is done."""
        woken = threading.Event()
        with self._lock:
            self._woken.add(woken)
        remove = self._store.tail.add_listener(woken.set)
        end = time.monotonic() + seconds
        try:
            while True:
                began = time.monotonic()
                with suppress(Unavailable):  # an unavailable store is asked again
                    if is_done():
                        return True
                # Every commit wakes all waits: hundreds of them must not query the store all the time.
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
        """Try to take a slot after a wait or a pause; return whether that succeeded."""
        if self._store.executions.status(self._claim.id) is Status.PAUSED:
            self._slots.forget(self._claim)
            return False
        return self._slots.take_again(self._claim, keeps_message=keeps_message)
