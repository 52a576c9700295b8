"""The slots of one worker, besides those of the whole store and of each flow, which `store.slots` counts."""

from __future__ import annotations

import threading

from cloudo_kernel.store import Claim, Store

#: So many are claimed at once by a worker without a limit of its own.
_UNLIMITED = 1_000_000


class WorkerSlots:
    """How many may run here at once.

    Whatever begins to run or runs again here does so by one of these calls, under one lock: the limit is exact.
    """

    def __init__(self, store: Store, worker_id: str, most: int | None) -> None:
        """`most` is the limit; None: there is none but the store's."""
        self._store = store
        self._worker_id = worker_id
        self._most = most
        self._lock = threading.Lock()
        #: Those that this worker alone keeps from running again; they come before new work.
        self._wanting: set[str] = set()

    def claim(self, *, private: bool) -> tuple[Claim, ...]:
        """Take what is pending for the slots that are free; see `Queue.claim`."""
        if self._most is None:
            return self._store.queue.claim(self._worker_id, free=_UNLIMITED, private=private)
        with self._lock:
            free = self._most - len(self._wanting) - self._store.queue.running_of(self._worker_id)
            return self._store.queue.claim(self._worker_id, free=free, private=private) if free > 0 else ()

    def take_again(self, claim: Claim, *, keeps_message: bool) -> bool:
        """Take a slot after a wait or a pause; False: there is none now. See `Reports.take_slot`."""
        if self._most is None:
            return self._store.reports.take_slot(claim.id, claim.attempt, keeps_message=keeps_message)
        with self._lock:
            if self._store.queue.running_of(self._worker_id) >= self._most:
                self._wanting.add(claim.id)
                return False
            self._wanting.discard(claim.id)
            return self._store.reports.take_slot(claim.id, claim.attempt, keeps_message=keeps_message)

    def forget(self, claim: Claim) -> None:
        """Note that one does not want to run again for now: it is paused, or has ended."""
        with self._lock:
            self._wanting.discard(claim.id)
