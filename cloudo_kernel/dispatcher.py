"""Claims executions and hands them to the executor; keeps the worker's lease, and takes away those of dead ones."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from apscheduler.schedulers.background import BackgroundScheduler

from cloudo_kernel import lease
from cloudo_kernel.errors import CloudoError, StaleAttempt, Unavailable
from cloudo_kernel.executors.base import Executor
from cloudo_kernel.executors.outcomes import SERVER_STOPPED, cancelled
from cloudo_kernel.executors.worker_slots import WorkerSlots
from cloudo_kernel.heartbeat import Heartbeat
from cloudo_kernel.store import HEARTBEAT_SECONDS, Claim, Store

_log = logging.getLogger(__name__)

#: A heartbeat that has stood still so long, by the observer's monotonic clock, is that of a lost worker.
LEASE_SECONDS = 15.0
#: How often expired executions are looked for.
_HOUSEKEEPING_SECONDS = 60.0
#: How often the index of texts is brought up to date; while it is far behind, it gets no more than half of that time.
_TEXTS_SECONDS = 5.0
#: The queue is looked at this often, should the event tail miss something.
_LOOK_SECONDS = 5.0
#: After a failure it is looked at again so soon.
_RETRY_SECONDS = 1.0
#: After a look it rests for this many times as long as the look took, for so many seconds at least and at most.
_REST = 9
_LEAST_REST_SECONDS = 0.005
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
        heartbeat: Heartbeat,
        state: Path,
        slots: WorkerSlots,
        private: bool,
        housekeeping: Callable[[], None],
        follow_up: Callable[[], None],
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._store = store
        self._executor = executor
        self._worker_id = worker_id
        self._heartbeat = heartbeat
        self._state = state
        self._slots = slots
        self._private = private
        self._housekeeping = housekeeping
        #: Starts what is to follow ends; called after each change of the store.
        self._follow_up = follow_up
        self._lease_seconds = lease_seconds
        self._lease: lease.Lease | None = None
        self._wake = threading.Event()
        #: A run has ended here, whose slot is free: there is no time to rest.
        self._is_free = threading.Event()
        self._is_stopping = threading.Event()
        self._has_stopped = threading.Event()
        self._thread = threading.Thread(target=self._dispatch, name="cloudo-dispatcher", daemon=True)
        # Not the timer's: that one follows the wall clock, and stands still when it is set back.
        self._heart = threading.Thread(target=self._live, name="cloudo-heartbeat", daemon=True)
        self._timer = BackgroundScheduler(daemon=True, timezone="UTC")
        #: Of the other workers: the heartbeat seen last, and for how long it has stood still.
        self._stillness: dict[str, tuple[int, float]] = {}
        self._looked_at = time.monotonic()
        #: Claimed, but not to be started here, with the reason.
        self._unstarted: list[tuple[Claim, str]] = []

    def start(self) -> None:
        """Register, and begin to claim."""
        self._lease = lease.Lease(self._state, self._worker_id)
        # A private worker may follow another one of its id that died.
        self._store.queue.release(self._worker_id, lost=True, heir=self._worker_id)
        # Before it counts itself: a scheduler that has just died does not hide the absence since then.
        self._look_after_others()
        self._heartbeat.register()
        self._remove_listener = self._store.tail.add_listener(self._wake.set)
        self._timer.add_job(
            self._keep_house, "interval", seconds=_HOUSEKEEPING_SECONDS, coalesce=True, misfire_grace_time=None
        )
        if not self._private:  # such a worker is there for a moment
            self._timer.add_job(
                self._keep_texts, "interval", seconds=_TEXTS_SECONDS, coalesce=True, misfire_grace_time=None
            )
        self._executor.start(self._is_free.set)
        self._timer.start()
        self._heart.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop claiming, end what runs, and give the lease back.

        What had not begun, or has a retry left, is pending again.
        """
        self._is_stopping.set()
        self._wake.set()
        self._is_free.set()
        self._thread.join()
        for execution_id in self._executor.running():
            self._executor.stop(execution_id, SERVER_STOPPED)
        self._executor.end()
        self._has_stopped.set()
        self._heart.join()
        self._timer.shutdown(wait=True)
        self._remove_listener()
        try:
            self._store.queue.release(self._worker_id, lost=False)
        except CloudoError:
            _log.exception("The lease could not be given back; another worker will take it.")
        if self._lease is not None:
            self._lease.close()

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs here."""
        return not self._executor.running()

    def _dispatch(self) -> None:
        while not self._is_stopping.is_set():
            began = time.monotonic()
            try:
                self._fulfil_wishes()
                self._follow_up()
                self._claim()
                ended = time.monotonic()
                self._wake.wait(self._seconds_to_next())
                # Every commit wakes it: hundreds a second must not have it look at the queue all the time.
                rest = min(_MOST_REST_SECONDS, max(_LEAST_REST_SECONDS, _REST * (ended - began)))
                self._is_free.wait(max(0.0, ended + rest - time.monotonic()))
                self._is_free.clear()
                self._wake.clear()
            except CloudoError:
                _log.exception("The queue cannot be worked on; trying again.")
                self._is_stopping.wait(_RETRY_SECONDS)

    def _claim(self) -> None:
        self._put_back()
        for claim in self._slots.claim(private=self._private):
            try:
                self._executor.submit(claim)
            except (OSError, RuntimeError) as error:  # neither a descriptor nor a thread to be had
                self._unstarted.append((claim, f"it could not be started: {error}"))
        if self._unstarted:
            self._put_back()
            raise Unavailable("This worker cannot start any more runs now.")

    def _put_back(self) -> None:
        while self._unstarted:
            claim, reason = self._unstarted[-1]
            with suppress(StaleAttempt):
                self._store.runs.requeue(claim.id, claim.attempt, reason=reason)
            self._unstarted.pop()

    def _fulfil_wishes(self) -> None:
        for wish in self._store.wishes.of(self._worker_id):
            self._executor.stop(wish.id, cancelled(wish.stop_reason))

    def _seconds_to_next(self) -> float:
        due = self._store.queue.next_due()
        if due is None:
            return _LOOK_SECONDS
        return min(_LOOK_SECONDS, max(0.0, (due - self._store.now) / timedelta(seconds=1)))

    def _live(self) -> None:
        while not self._has_stopped.wait(HEARTBEAT_SECONDS):
            try:
                self._beat()
                # Only who could write just now may take it amiss that others did not.
                self._look_after_others()
            except (CloudoError, OSError):
                _log.exception("The heartbeat failed; it comes again.")

    def _beat(self) -> None:
        if self._heartbeat.beat():
            return
        # This process stood still for so long that another worker took over: nothing here counts any more.
        # Until it is registered again it gets no claims, so what is killed here is only what was taken away.
        _log.error("This worker lost its lease", extra={"worker_id": self._worker_id})
        self._executor.close(kill=True)
        if self._lease is not None:
            self._lease.close()
        self._lease = lease.Lease(self._state, self._worker_id)
        self._heartbeat.register()
        self._wake.set()

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
            if still >= self._lease_seconds or lease.is_dead(self._state, worker.id):
                released = self._store.queue.release(worker.id, lost=True, heartbeat=worker.heartbeat)
                lease.forget(self._state, worker.id)
                _log.warning("A worker was lost", extra={"worker_id": worker.id, "executions": released})
            else:
                seen[worker.id] = (worker.heartbeat, still)
        self._stillness = seen

    def _keep_house(self) -> None:
        try:
            self._housekeeping()
        except (CloudoError, OSError):
            _log.exception("The housekeeping failed; it comes again.")

    def _keep_texts(self) -> None:
        end = time.monotonic() + _TEXTS_SECONDS - 1
        try:
            began = time.monotonic()
            while self._store.texts.update() and time.monotonic() < end:
                if self._is_stopping.wait(time.monotonic() - began):  # rest as long as that took
                    break
                began = time.monotonic()
        except CloudoError:
            _log.exception("The index of texts could not be brought up to date; it is tried again.")
