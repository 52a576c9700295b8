"""Claims executions and hands them to the executor; keeps the worker's lease, and takes away those of dead ones."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from apscheduler.schedulers.background import BackgroundScheduler

from cloudo_kernel import lease
from cloudo_kernel.errors import CloudoError
from cloudo_kernel.executors.base import Executor
from cloudo_kernel.executors.host import SERVER_STOPPED, cancelled
from cloudo_kernel.store import Store

_log = logging.getLogger(__name__)

#: How often a worker says that it lives, and looks after the others.
HEARTBEAT_SECONDS = 2.0
#: A heartbeat that has stood still so long, by the observer's monotonic clock, is that of a lost worker.
LEASE_SECONDS = 15.0
#: How often expired executions are looked for.
_HOUSEKEEPING_SECONDS = 60.0
#: The queue is looked at this often, should the event tail miss something.
_LOOK_SECONDS = 5.0
#: After a look it rests for this many times as long as the look took, but not longer than that many seconds.
_REST = 9
_MOST_REST_SECONDS = 0.1


class Dispatcher:
    """One worker's hold on the queue.

    A private dispatcher runs only what is reserved for it.
    """

    def __init__(
        self,
        store: Store,
        executor: Executor,
        *,
        worker_id: str,
        state: Path,
        slots: int | None,
        private: bool,
        housekeeping: Callable[[], None],
    ) -> None:
        self._store = store
        self._executor = executor
        self._worker_id = worker_id
        self._state = state
        self._slots = slots
        self._private = private
        self._housekeeping = housekeeping
        self._lease: lease.Lease | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._dispatch, name="cloudo-dispatcher", daemon=True)
        self._timer = BackgroundScheduler(daemon=True, timezone="UTC")
        #: Of the other workers: the heartbeat seen last, and for how long it has stood still.
        self._stillness: dict[str, tuple[int, float]] = {}
        self._looked_at = time.monotonic()

    def start(self) -> None:
        """Register, and begin to claim."""
        self._lease = lease.Lease(self._state, self._worker_id)
        # A private worker may follow another one of its id that died.
        self._store.queue.release(self._worker_id, lost=True, heir=self._worker_id)
        self._store.workers.register(self._worker_id, private=self._private)
        self._look_after_others()
        self._remove_listener = self._store.tail.add_listener(self._wake.set)
        for job, seconds in (
            (self._beat, HEARTBEAT_SECONDS),
            (self._look_after_others, HEARTBEAT_SECONDS),
            (self._housekeeping, _HOUSEKEEPING_SECONDS),
        ):
            self._timer.add_job(
                _logged(job), "interval", seconds=seconds, max_instances=1, coalesce=True, misfire_grace_time=None
            )
        self._executor.start()
        self._timer.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop claiming, end what runs, and give the lease back.

        What had not begun, or has a retry left, is pending again.
        """
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        for execution_id in self._executor.running():
            self._executor.stop(execution_id, SERVER_STOPPED)
        self._executor.end()
        self._timer.shutdown(wait=True)
        self._remove_listener()
        self._store.queue.release(self._worker_id, lost=False)
        if self._lease is not None:
            self._lease.close()

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs here."""
        return not self._executor.running()

    def _dispatch(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._fulfil_wishes()
                self._claim()
                seconds = self._seconds_to_next()
            except CloudoError:
                _log.exception("The queue cannot be read; trying again.")
                seconds = 1.0
            ended = time.monotonic()
            self._wake.wait(seconds)
            # Every commit wakes it: hundreds a second must not have it look at the queue all the time.
            rest = ended + min(_MOST_REST_SECONDS, _REST * (ended - began)) - time.monotonic()
            self._stopping.wait(max(0.0, rest))
            self._wake.clear()

    def _claim(self) -> None:
        free = 1_000_000 if self._slots is None else self._slots - self._store.queue.running_of(self._worker_id)
        if free <= 0:
            return
        for claim in self._store.queue.claim(self._worker_id, free=free, private=self._private):
            self._executor.submit(claim)

    def _fulfil_wishes(self) -> None:
        for wish in self._store.wishes.of(self._worker_id):
            if wish.stop_reason is not None:
                self._executor.stop(wish.id, cancelled(wish.stop_reason))
            else:
                self._executor.pause(wish.id)

    def _seconds_to_next(self) -> float:
        due = self._store.queue.next_due()
        if due is None:
            return _LOOK_SECONDS
        return min(_LOOK_SECONDS, max(0.0, (due - self._store.now) / timedelta(seconds=1)))

    def _beat(self) -> None:
        if self._store.workers.beat(self._worker_id):
            return
        # This process stood still for so long that another worker took over: nothing here counts any more.
        _log.error("This worker lost its lease", extra={"worker_id": self._worker_id})
        self._executor.close(kill=True)
        self._store.workers.register(self._worker_id, private=self._private)

    def _look_after_others(self) -> None:
        now = time.monotonic()
        # An observer that stood still itself must not count that time against the others.
        passed = min(now - self._looked_at, 2 * HEARTBEAT_SECONDS)
        self._looked_at = now
        seen: dict[str, tuple[int, float]] = {}
        for worker in self._store.workers.all():
            if worker.id == self._worker_id:
                continue
            heartbeat, still = self._stillness.get(worker.id, (worker.heartbeat, 0.0))
            still = still + passed if heartbeat == worker.heartbeat else 0.0
            if still >= LEASE_SECONDS or lease.is_dead(self._state, worker.id):
                released = self._store.queue.release(worker.id, lost=True)
                lease.forget(self._state, worker.id)
                _log.warning("A worker was lost", extra={"worker_id": worker.id, "executions": released})
            else:
                seen[worker.id] = (worker.heartbeat, still)
        self._stillness = seen


def _logged(job: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            job()
        except CloudoError:
            _log.exception("A regular job of the worker failed; it comes again.")

    return run
