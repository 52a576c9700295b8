"""Claims executions and hands them to the executor; keeps the worker's lease, and takes away those of dead ones."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

from apscheduler.schedulers.background import BackgroundScheduler

from cloudo_kernel.errors import CloudoError, StaleAttempt
from cloudo_kernel.processes import liveness
from cloudo_kernel.processes.loop import Failures, Loop
from cloudo_kernel.store import HEARTBEAT_SECONDS, LEASE_SECONDS, Claim, Store
from cloudo_kernel.worker.executor import Executor
from cloudo_kernel.worker.heartbeat import Heartbeat
from cloudo_kernel.worker.outcomes import SERVER_STOPPED, cancelled
from cloudo_kernel.worker.slots import WorkerSlots

_log = logging.getLogger(__name__)

#: How often expired executions are looked for.
_HOUSEKEEPING_SECONDS = 60.0
#: How often the index of texts is brought up to date; while it is far behind, it gets no more than half of that time.
_TEXTS_SECONDS = 5.0
#: The queue is looked at this often, should the event tail miss something.
_POLL_INTERVAL_SECONDS = 5.0
#: After a look it rests for this many times as long as the look took, for so many seconds at least and at most.
_BACKOFF_FACTOR = 9
_MIN_BACKOFF_SECONDS = 0.005
_MAX_BACKOFF_SECONDS = 0.1


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
        self._clean_up = housekeeping
        #: Starts what is to follow ends; called after each change of the store.
        self._follow_up = follow_up
        self._lease_seconds = lease_seconds
        self._lease: liveness.Lease | None = None
        self._loop = Loop("dispatcher", self._dispatch, rest=_rest)
        # Not the timer's: that one follows the wall clock, and stands still when it is set back.
        self._heart = Loop("heartbeat", self._live)
        self._housekeeping_failures = Failures("The housekeeping")
        self._texts_failures = Failures("The update of the index of texts")
        self._has_given_up = threading.Event()
        #: The store may hold runs for this worker that it does not run: a claim or the report of an end failed.
        self._may_have_strays = False
        self._remove_listener: Callable[[], None] = lambda: None
        self._timer = BackgroundScheduler(daemon=True, timezone="UTC")
        #: Of the other workers: the heartbeat seen last, and for how long it has stood still.
        self._stillness: dict[str, tuple[int, float]] = {}
        self._looked_at = time.monotonic()
        #: Claimed, but not to be started here, with the reason.
        self._unstarted: list[tuple[Claim, str]] = []

    def start(self) -> None:
        """Register, and begin to claim."""
        self._lease = liveness.Lease(self._state, self._worker_id)
        # A private worker may follow another one of its id that died.
        self._store.queue.release(self._worker_id, lost=True, successor=self._worker_id)
        # Before it counts itself: a scheduler that has just died does not hide the absence since then.
        self._reap_lost_workers()
        self._heartbeat.register()
        self._remove_listener = self._store.tail.add_listener(self._loop.wake)
        self._timer.add_job(
            self._housekeeping, "interval", seconds=_HOUSEKEEPING_SECONDS, coalesce=True, misfire_grace_time=None
        )
        if not self._private:  # such a worker is there for a moment
            self._timer.add_job(
                self._keep_texts, "interval", seconds=_TEXTS_SECONDS, coalesce=True, misfire_grace_time=None
            )
        self._executor.start(self._note_end)
        self._timer.start()
        self._heart.start()
        self._loop.start()

    def stop(self) -> None:
        """Stop claiming, end what runs, and give the lease back.

        What had not begun, or has a retry left, is pending again.
        """
        with ExitStack() as steps:  # in the opposite order; each one is done whatever the others raise
            steps.callback(self._give_lease_back)
            steps.callback(self._remove_listener)
            steps.callback(self._stop_timer)
            steps.callback(self._heart.stop)
            steps.callback(self._executor.end)
            steps.callback(self._stop_runs)
            steps.callback(self._loop.stop)

    def _stop_timer(self) -> None:
        if self._timer.running:
            self._timer.shutdown(wait=True)

    def _stop_runs(self) -> None:
        for execution_id in self._executor.running():
            self._executor.stop(execution_id, SERVER_STOPPED)

    def _give_lease_back(self) -> None:
        if self._has_given_up.is_set():
            return
        try:
            self._store.queue.release(self._worker_id, lost=False)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the lease ends with this process
            if not getattr(error, "is_logged", False):
                _log.error("The lease could not be given back, and another worker will take it: %s", error)
        finally:
            if self._lease is not None:
                self._lease.close()

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The background threads without which nothing is run here."""
        return self._loop, self._heart

    def give_up(self) -> None:
        """Stop claiming and end what runs here, so that other workers do it; called when a loop has died.

        The heartbeat stops and the lock of the lease is let go, so that others notice, whatever works here.
        """
        if self._has_given_up.is_set():
            return
        self._has_given_up.set()
        if self._lease is not None:
            self._lease.let_go()
        try:
            self._store.queue.release(self._worker_id, lost=True)
            liveness.forget(self._state, self._worker_id)
        except Exception as error:  # noqa: BLE001 -- others see that the lock is gone
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
        if self._may_have_strays:
            unstarted = [claim.id for claim, _ in self._unstarted]
            self._store.queue.release_strays(self._worker_id, [*self._executor.running(), *unstarted])
            self._may_have_strays = False

    def _claim(self) -> None:
        self._put_back()
        try:
            claims = self._slots.claim(private=self._private)
        except Exception:
            self._may_have_strays = True
            raise
        for claim in claims:
            try:
                self._executor.submit(claim)
            except Exception as error:  # noqa: BLE001 -- no descriptor, thread or memory: it must not stay claimed
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
        # Never 0: what is due and was not claimed waits for a slot.
        return min(_POLL_INTERVAL_SECONDS, max(_MIN_BACKOFF_SECONDS, (due - self._store.now) / timedelta(seconds=1)))

    def _live(self) -> float:
        if not self._has_given_up.is_set():
            self._beat()
            # Only who could write just now may take it amiss that others did not.
            self._reap_lost_workers()
        return HEARTBEAT_SECONDS

    def _beat(self) -> None:
        if self._heartbeat.beat():
            return
        # This process stood still for so long that another worker took over: nothing here counts any more.
        # Until it is registered again it gets no claims, so what is killed here is only what was taken away.
        _log.error("This worker lost its lease", extra={"worker_id": self._worker_id})
        self._executor.close(kill=True)
        if self._lease is not None:
            self._lease.close()
        self._lease = liveness.Lease(self._state, self._worker_id)
        self._heartbeat.register()
        self._loop.wake()

    def _reap_lost_workers(self) -> None:
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
            if still >= self._lease_seconds or liveness.is_dead(self._state, worker.id):
                released = self._store.queue.release(worker.id, lost=True, heartbeat=worker.heartbeat)
                liveness.forget(self._state, worker.id)
                _log.warning("A worker was lost", extra={"worker_id": worker.id, "executions": released})
            else:
                seen[worker.id] = (worker.heartbeat, still)
        self._stillness = seen

    def _housekeeping(self) -> None:
        try:
            self._clean_up()
        except Exception as error:  # noqa: BLE001 -- it comes again
            self._housekeeping_failures.note(error)
        else:
            self._housekeeping_failures.clear()

    def _keep_texts(self) -> None:
        end = time.monotonic() + _TEXTS_SECONDS - 1
        try:
            began = time.monotonic()
            while self._store.texts.update() and time.monotonic() < end:
                if self._loop.pause(time.monotonic() - began):  # rest as long as that took
                    break
                began = time.monotonic()
        except Exception as error:  # noqa: BLE001 -- it comes again
            self._texts_failures.note(error)
        else:
            self._texts_failures.clear()


def _rest(step_seconds: float, _wait_seconds: float) -> float:
    """Return the rest after a look: every commit wakes the loop, and hundreds a second must not keep it busy."""
    return min(_MAX_BACKOFF_SECONDS, max(_MIN_BACKOFF_SECONDS, _BACKOFF_FACTOR * step_seconds))
