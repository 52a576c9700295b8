"""Counts the slots of one worker; `store.executions.queue` counts those of the store and of each flow."""

from __future__ import annotations

import threading
from functools import partial

from cloudo_kernel.store import Claim, Store

#: Maximum number of claims at once by a worker without its own limit.
_UNLIMITED = 1_000_000


class WorkerSlots:
    """The worker's own limit on concurrent runs.

    Every run starts or resumes here through one of these calls, under one lock, so the limit is exact.
    """

    def __init__(self, store: Store, worker_id: str, most: int | None, *, labels: tuple[str, ...] = ()) -> None:
        """Limit the worker to `most` slots; with None only the store's limit applies."""
        self._store = store
        self.worker_id = worker_id
        #: An executor may change the limit of a worker that has none of its own.
        self.most = most
        self._labels = labels
        self._lock = threading.Lock()
        #: Executions that wait only for a slot of this worker. They come before new work.
        self._wanting: set[str] = set()

    def claim(self, *, private: bool) -> tuple[Claim, ...]:
        """Claim pending executions for the free slots. See `Queue.claim`."""
        claim = partial(self._store.queue.claim, self.worker_id, private=private, labels=self._labels)
        if self.most is None:
            return claim(free=_UNLIMITED)
        with self._lock:
            free = self.most - len(self._wanting) - self._store.queue.running_of(self.worker_id)
            return claim(free=free) if free > 0 else ()

    def take_again(self, claim: Claim, *, keeps_message: bool) -> bool:
        """Take a slot after a wait or a pause; return False if none is free. See `Reports.take_slot`."""
        if self.most is None:
            return self._store.reports.take_slot(claim.id, claim.attempt, keeps_message=keeps_message)
        with self._lock:
            if self._store.queue.running_of(self.worker_id) >= self.most:
                self._wanting.add(claim.id)
                return False
            self._wanting.discard(claim.id)
            return self._store.reports.take_slot(claim.id, claim.attempt, keeps_message=keeps_message)

    def forget(self, claim: Claim) -> None:
        """Stop keeping a slot for an execution that is paused or has ended."""
        with self._lock:
            self._wanting.discard(claim.id)
