"""Claims executions, hands them to the executor, keeps the worker's lease, and reaps lost workers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

from cloudo_kernel.errors import CloudoError, StaleAttempt
from cloudo_kernel.processes import liveness
from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.store import HEARTBEAT_SECONDS, LEASE_SECONDS, Claim, Store
from cloudo_kernel.worker.executor import Executor
from cloudo_kernel.worker.heartbeat import Heartbeat
from cloudo_kernel.worker.lease_watch import LeaseWatch
from cloudo_kernel.worker.outcomes import SERVER_STOPPED, cancelled
from cloudo_kernel.worker.slots import WorkerSlots

_log = logging.getLogger(__name__)

#: Poll interval of the queue, in case the event listener misses a change.
_POLL_INTERVAL_SECONDS = 5.0
#: The loop rests for this many times as long as its step took, within the two bounds below.
_BACKOFF_FACTOR = 9
_MIN_BACKOFF_SECONDS = 0.005
_MAX_BACKOFF_SECONDS = 0.1


class Dispatcher:
    """Claims executions for one worker.

    A private dispatcher claims only executions that are reserved for it.
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
        follow_up: Callable[[], None],
        on_drained: Callable[[], None],
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._store = store
        self._executor = executor
        self._worker_id = worker_id
        self._heartbeat = heartbeat
        self._state = state
        self._slots = slots
        self._private = private
        #: Starts the flows that follow ended executions; called after each change of the store.
        self._follow_up = follow_up
        #: Called when the worker drains and nothing runs here, possibly several times.
        self._on_drained = on_drained
        self._others = LeaseWatch(lease_seconds)
        self._lease: liveness.Lease | None = None
        self._loop = Loop("dispatcher", self._dispatch, rest=_rest)
        self._heart = Loop("heartbeat", self._live)
        self._has_given_up = threading.Event()
        #: The store may list runs of this worker that do not run here: a claim or the report of an end failed.
        self._may_have_strays = False
        self._remove_listener: Callable[[], None] = lambda: None
        #: Claims that could not be started here, with the reason.
        self._unstarted: list[tuple[Claim, str]] = []

    def start(self) -> None:
        """Register the worker, and start claiming."""
        self._lease = liveness.Lease(self._state, self._worker_id)
        # A private worker may replace a dead one with the same id.
        self._store.queue.release(self._worker_id, lost=True, successor=self._worker_id)
        # Before it registers: the row of a scheduler that has just died would hide the absence since then.
        self._reap_lost_workers()
        self._heartbeat.register()
        self._remove_listener = self._store.tail.add_listener(self._loop.wake)
        self._executor.start(self._note_end)
        self._heart.start()
        self._loop.start()

    def stop(self) -> None:
        """Stop claiming, end all runs, and release the lease.

        Runs that had not begun, or have a retry left, become pending again.
        """
        with ExitStack() as steps:  # in reverse order; each step runs even if another one raises
            steps.callback(self._give_lease_back)
            steps.callback(self._remove_listener)
            steps.callback(self._heart.stop)
            steps.callback(self._executor.end)
            steps.callback(self._stop_runs)
            steps.callback(self._loop.stop)

    def _stop_runs(self) -> None:
        for execution_id in self._executor.running():
            self._executor.stop(execution_id, SERVER_STOPPED)

    def _give_lease_back(self) -> None:
        if self._has_given_up.is_set():
            return
        try:
            self._store.queue.release(self._worker_id, lost=False)
        except Exception as error:  # noqa: BLE001 -- on any error the lease ends with this process
            if not getattr(error, "is_logged", False):
                _log.error("The lease could not be given back, and another worker will take it: %s", error)
        finally:
            if self._lease is not None:
                self._lease.close()

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The background threads that claiming depends on."""
        return self._loop, self._heart

    def give_up(self) -> None:
        """Stop claiming and kill all runs here, so that other workers take over; called when a loop has died.

        The heartbeat stops and the lock of the lease is released: others notice even if nothing else works here.
        """
        if self._has_given_up.is_set():
            return
        self._has_given_up.set()
        if self._lease is not None:
            self._lease.release()
        try:
            self._store.queue.release(self._worker_id, lost=True)
            liveness.forget(self._state, self._worker_id)
        except Exception as error:  # noqa: BLE001 -- others see that the lock is released
            _log.error("Another worker has to take the executions of this one: %s", error)
        self._executor.close(kill=True)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs here."""
        return not self._executor.running()

    def _dispatch(self) -> float:
        if self._has_given_up.is_set():
            return _POLL_INTERVAL_SECONDS
        failed: Exception | None = None
        for part in (self._apply_stop_requests, self._follow_up, self._release_strays, self._claim):
            try:
                part()
            except CloudoError:
                raise
            except Exception as error:  # noqa: BLE001 -- the other parts do not depend on it
                failed = failed or error
        if failed is not None:
            raise failed
        return self._seconds_to_next()

    def _note_end(self, *, is_reported: bool) -> None:
        if not is_reported:
            self._may_have_strays = True
            self._loop.wake()
        self._loop.end_rest()

    def _release_strays(self) -> None:
        if not self._may_have_strays:
            return
        self._may_have_strays = False  # first: a run that is lost meanwhile sets it again
        try:
            unstarted = [claim.id for claim, _ in self._unstarted]
            self._store.queue.release_strays(self._worker_id, [*self._executor.running(), *unstarted])
        except BaseException:
            self._may_have_strays = True
            raise

    def _claim(self) -> None:
        self._put_back()
        if self._heartbeat.is_draining:
            if self.is_idle:
                self._on_drained()
            return
        try:
            claims = self._slots.claim(private=self._private)
        except Exception:
            self._may_have_strays = True
            raise
        for claim in claims:
            try:
                self._executor.submit(claim)
            except Exception as error:  # noqa: BLE001 -- out of descriptors, threads or memory: put it back
                self._unstarted.append((claim, f"it could not be started: {str(error) or type(error).__name__}"))
        if self._unstarted:
            reason = self._unstarted[-1][1]
            self._put_back()
            raise CloudoError(f"This worker cannot start any more runs now: {reason}")

    def _put_back(self) -> None:
        while self._unstarted:
            claim, reason = self._unstarted[-1]
            with suppress(StaleAttempt):
                self._store.reports.requeue(claim.id, claim.attempt, reason=reason)
            self._unstarted.pop()

    def _apply_stop_requests(self) -> None:
        for wish in self._store.control.of(self._worker_id):
            self._executor.stop(wish.id, cancelled(wish.stop_reason))

    def _seconds_to_next(self) -> float:
        due = self._store.queue.next_due()
        if due is None:
            return _POLL_INTERVAL_SECONDS
        # Never 0: an execution that is due but was not claimed needs a free slot.
        return min(_POLL_INTERVAL_SECONDS, max(_MIN_BACKOFF_SECONDS, (due - self._store.now) / timedelta(seconds=1)))

    def _live(self) -> float:
        if not self._has_given_up.is_set():
            self._beat()
            # Only after its own heartbeat succeeded: a store that is unavailable here may be so for the others.
            self._reap_lost_workers()
        return HEARTBEAT_SECONDS

    def _beat(self) -> None:
        if self._heartbeat.beat():
            if self._heartbeat.is_draining:
                self._loop.wake()
            return
        # This process stalled until another worker took its lease: the runs here no longer count.
        # Without a registration it gets no claims, so this kills only runs that were taken away.
        _log.error("This worker lost its lease", extra={"worker_id": self._worker_id})
        self._executor.close(kill=True)
        if self._lease is not None:
            self._lease.close()
        self._lease = liveness.Lease(self._state, self._worker_id)
        self._heartbeat.register()
        self._loop.wake()

    def _reap_lost_workers(self) -> None:
        others = [worker for worker in self._store.workers.all() if worker.id != self._worker_id]
        expired = self._others.expired(others)
        for worker in others:
            if worker in expired or liveness.is_dead(self._state, worker.id):
                released = self._store.queue.release(worker.id, lost=True, heartbeat=worker.heartbeat)
                liveness.forget(self._state, worker.id)
                _log.warning("A worker was lost", extra={"worker_id": worker.id, "executions": released})


def _rest(step_seconds: float, _wait_seconds: float) -> float:
    """Return the seconds to rest: every commit wakes the loop, and hundreds a second must not keep it busy."""
    return min(_MAX_BACKOFF_SECONDS, max(_MIN_BACKOFF_SECONDS, _BACKOFF_FACTOR * step_seconds))
