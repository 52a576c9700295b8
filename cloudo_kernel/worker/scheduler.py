"""Looks at the schedules when one is due: the thread of a worker that starts their executions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.store import Store
from cloudo_kernel.worker.heartbeat import Heartbeat

#: A moved clock, a suspended machine, or a change by another process that was not noticed is found out so soon.
_POLL_INTERVAL_SECONDS = 5.0
#: After a look it rests for this many times as long as the look took, for so many seconds at least and at most.
_BACKOFF_FACTOR = 3
_MIN_BACKOFF_SECONDS = 0.005
_MAX_BACKOFF_SECONDS = 0.02


class Scheduler:
    """One worker's watch over the schedules. Any number may watch one store: the store lets one of them start it.

    It sleeps by the monotonic clock, and reads the store's after it: a clock that is set back an hour stops no look.
    """

    def __init__(self, store: Store, run_due: Callable[[], int], heartbeat: Heartbeat) -> None:
        self._store = store
        self._heartbeat = heartbeat
        #: Starts what is due now, or a part of it, and returns how many schedules it has moved on.
        self._run_due = run_due
        self.loop = Loop("scheduler", self._look, rest=_rest)
        self._remove_listener: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin to watch."""
        self._remove_listener = self._store.tail.add_listener(self.loop.wake)
        self.loop.start()

    def stop(self) -> None:
        """Start nothing any more."""
        self.loop.stop()
        self._remove_listener()
        self._heartbeat.leave()

    def _look(self) -> float:
        self._heartbeat.notice_absence()
        if self._run_due() or self._store.schedules.read_ahead():
            return 0.0
        return self._seconds_to_next()

    def _seconds_to_next(self) -> float:
        due = self._store.schedules.next_look()
        if due is None:
            return _POLL_INTERVAL_SECONDS
        return min(_POLL_INTERVAL_SECONDS, max(0.0, (due - self._store.now) / timedelta(seconds=1)))


def _rest(step_seconds: float, wait_seconds: float) -> float:
    """Return the rest after a look.

    Every commit wakes the loop, as it may have changed a schedule: hundreds a second must not keep it busy.
    And if something is due that it could not start, another worker is at it and needs the store.
    """
    return min(wait_seconds, _MAX_BACKOFF_SECONDS, max(_MIN_BACKOFF_SECONDS, _BACKOFF_FACTOR * step_seconds))
