"""The periodic jobs of a worker: delete expired records, and keep the index of texts up to date."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from apscheduler.schedulers.background import BackgroundScheduler

from cloudo_kernel.processes.loop import Failures, LoopState, stuck_after
from cloudo_kernel.store import Store

#: Interval between deletions of expired records.
_HOUSEKEEPING_SECONDS = 60.0
#: Interval between updates of the index of texts. While it is far behind, updates take at most half of that time.
_TEXTS_SECONDS = 5.0


class Job:
    """A job of the timer. It reports its state as a `Loop` does."""

    def __init__(self, name: str, seconds: float, run: Callable[[], None], timer: BackgroundScheduler) -> None:
        """Add the job to the timer. It runs every `seconds`, for the first time after `seconds`."""
        self.name = name
        #: Never called: the timer goes on after an error of a job.
        self.on_death: Callable[[str], None] = lambda _name: None
        self._seconds = seconds
        self._step = run
        self._timer = timer
        self._failures = Failures(f"The job {name}")
        self._turned_at = time.monotonic()
        timer.add_job(self._run, "interval", seconds=seconds, coalesce=True, misfire_grace_time=None)

    @property
    def state(self) -> LoopState | None:
        """The state of the job; None unless the timer runs."""
        if not self._timer.running:
            return None
        error = self._failures.last
        return LoopState(
            name=self.name,
            is_alive=True,
            idle_seconds=round(time.monotonic() - self._turned_at, 1),
            stuck_after_seconds=stuck_after(self._seconds),
            error=None if error is None else type(error).__name__,
        )

    def _run(self) -> None:
        try:
            self._step()
        except Exception as error:  # noqa: BLE001 -- retried at the next interval
            self._failures.note(error)
        else:
            self._failures.clear()
        self._turned_at = time.monotonic()


class Housekeeping:
    """The periodic jobs of one worker, run by APScheduler. Any number of workers may run them at the same time."""

    def __init__(self, store: Store, delete_expired: Callable[[], None], *, private: bool) -> None:
        """Prepare the jobs. A private worker leaves the index of texts to others, because it is short-lived."""
        self._store = store
        self._is_stopping = threading.Event()
        self._timer = BackgroundScheduler(daemon=True, timezone="UTC")
        deleting = Job("housekeeping", _HOUSEKEEPING_SECONDS, delete_expired, self._timer)
        #: Its jobs.
        self.jobs: tuple[Job, ...] = (deleting,)
        if not private:
            self.jobs = (deleting, Job("text-index", _TEXTS_SECONDS, self._update_texts, self._timer))

    def start(self) -> None:
        """Start the timer."""
        self._timer.start()

    def stop(self) -> None:
        """Stop the timer, and wait for the jobs that run."""
        self._is_stopping.set()
        if self._timer.running:
            self._timer.shutdown(wait=True)

    def _update_texts(self) -> None:
        began = time.monotonic()
        end = began + _TEXTS_SECONDS - 1
        while self._store.texts.update() and time.monotonic() < end:
            if self._is_stopping.wait(time.monotonic() - began):  # rest as long as the update took
                return
            began = time.monotonic()
