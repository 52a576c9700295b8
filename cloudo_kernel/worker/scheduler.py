"""Starts the executions of due schedules, on one thread of the worker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.store import Store
from cloudo_kernel.worker.heartbeat import Heartbeat

#: Poll interval, in case of a moved clock, a suspended machine, or an unnoticed change by another process.
_POLL_INTERVAL_SECONDS = 5.0
#: The loop rests for this many times as long as its step took, within the two bounds below.
_BACKOFF_FACTOR = 3
_MIN_BACKOFF_SECONDS = 0.005
_MAX_BACKOFF_SECONDS = 0.02


class Scheduler:
    """The scheduler of one worker. Any number may share a store, which lets one of them start each occurrence.

    It sleeps by the monotonic clock and then reads the store's clock, so a clock that is set back delays nothing.
    """

    def __init__(self, store: Store, run_due: Callable[[], int], heartbeat: Heartbeat) -> None:
        self._store = store
        self._heartbeat = heartbeat
        #: Starts some or all due occurrences, and returns how many schedules it has moved on.
        self._run_due = run_due
        self.loop = Loop("scheduler", self._look, rest=_rest)
        self._remove_listener: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Start watching the schedules."""
        self._remove_listener = self._store.tail.add_listener(self.loop.wake)
        self.loop.start()

    def stop(self) -> None:
        """Stop starting executions, and record that this scheduler has stopped."""
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
    """Return the seconds to rest after a step.

    Every commit wakes the loop, as it may have changed a schedule: hundreds a second must not keep it busy.
    If a due occurrence could not be started here, another worker is starting it and needs the store.
    """
    return min(wait_seconds, _MAX_BACKOFF_SECONDS, max(_MIN_BACKOFF_SECONDS, _BACKOFF_FACTOR * step_seconds))
