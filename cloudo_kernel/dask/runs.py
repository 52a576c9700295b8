"""Runs the claims that reach one Dask worker, as a `LocalExecutor` would in the worker that claimed them.

The store is asked for what Dask does not tell: stop requests, other attempts, and lost dispatchers.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from cloudo_kernel.errors import StaleAttempt
from cloudo_kernel.models import Status
from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.store import Outcome, Store
from cloudo_kernel.worker.executor import ExecutorContext
from cloudo_kernel.worker.lease_watch import LeaseWatch
from cloudo_kernel.worker.local_executor import LocalExecutor
from cloudo_kernel.worker.outcomes import cancelled
from cloudo_kernel.worker.slots import WorkerSlots
from cloudo_kernel.workspace.catalog import Catalog

_log = logging.getLogger(__name__)

#: Poll interval of the store, in case the event listener misses a change.
_POLL_INTERVAL_SECONDS = 1.0
#: Minimum rest between two polls: every commit of the store wakes the loop.
_MIN_REST_SECONDS = 0.2


@dataclass
class _Run:
    """A claim that this process runs."""

    attempt: int
    #: Whether it waits or is paused, and so holds no slot.
    is_waiting: bool = False


class Runs:
    """The runs of one Dask worker."""

    def __init__(self, store: Store, catalog: Catalog, *, linger_seconds: float) -> None:
        self.store = store
        slots = WorkerSlots(store, "", None)
        context = ExecutorContext(store=store, catalog=catalog, slots=slots, linger_seconds=linger_seconds)
        self._executor = LocalExecutor(context)
        self._runs: dict[str, _Run] = {}
        self._changed = threading.Condition()
        self._leases = LeaseWatch()
        self._loop = Loop("dask-runs", self._look, rest=lambda _step, _wait: _MIN_REST_SECONDS)
        self._remove_listener: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Start the zygote and the loops. If a loop dies, this process ends, and Dask tells the dispatchers."""
        self._executor.start(self._note_end)
        self._remove_listener = self.store.tail.add_listener(self._loop.wake)
        for loop in (self._loop, self.store.tail.loop, *self._executor.loops):
            loop.on_death = lambda _name: os._exit(1)
        self._loop.start()

    def run(self, execution_id: str, attempt: int, *, on_wait: Callable[[], None]) -> None:
        """Run a claim until its end. `on_wait` is called when it first waits or is paused.

        A claim that is not current, or that was run before, is left alone.
        """
        with self._changed:
            self._changed.wait_for(lambda: execution_id not in self._runs)  # an earlier attempt is being killed
            run = self._runs[execution_id] = _Run(attempt)
        try:
            with suppress(StaleAttempt):
                self._submit(execution_id, attempt)
            self._wait(lambda: run.is_waiting or self._is_over(execution_id))
            if not self._is_over(execution_id):
                on_wait()
                self._wait(lambda: self._is_over(execution_id))
        finally:
            with self._changed:
                del self._runs[execution_id]
                self._changed.notify_all()

    def stop(self, execution_id: str, attempt: int, outcome: Outcome) -> None:
        """End a run with `outcome`, if it runs here. See `Executor.stop`."""
        if self._has(execution_id, attempt):
            self._executor.stop(execution_id, outcome)

    def kill(self, execution_id: str, attempt: int) -> None:
        """Kill the processes of a run, if it runs here."""
        if self._has(execution_id, attempt):
            self._executor.kill(execution_id)

    def end(self, outcome: Outcome) -> None:
        """End all runs with `outcome`, wait for them, and release all resources."""
        for execution_id in self._executor.running():
            self._executor.stop(execution_id, outcome)
        self._executor.end()
        self._remove_listener()
        self._loop.stop()
        self.store.close()

    def _submit(self, execution_id: str, attempt: int) -> None:
        claim = self.store.queue.claim_of(execution_id, attempt)
        try:
            self._executor.submit(claim)
        except Exception as error:  # noqa: BLE001 -- out of descriptors, threads or memory: put it back
            reason = f"it could not be started: {str(error) or type(error).__name__}"
            self.store.reports.requeue(execution_id, attempt, reason=reason)

    def _has(self, execution_id: str, attempt: int) -> bool:
        with self._changed:
            run = self._runs.get(execution_id)
        return run is not None and run.attempt == attempt

    def _is_over(self, execution_id: str) -> bool:
        return execution_id not in self._executor.running()

    def _wait(self, is_done: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(is_done)

    def _note_end(self, *, is_reported: bool) -> None:
        """Wake the thread of the run."""
        del is_reported  # the dispatcher asks the store
        with self._changed:
            self._changed.notify_all()

    def _look(self) -> float:
        with self._changed:
            runs = dict(self._runs)
        if not runs:
            return _POLL_INTERVAL_SECONDS
        held = self.store.queue.held(runs)
        for execution_id, run in runs.items():
            found = held.get(execution_id)
            if found is None or found.attempt != run.attempt or found.worker_id is None:
                self.kill(execution_id, run.attempt)
            elif found.stop_reason is not None:
                self.stop(execution_id, run.attempt, cancelled(found.stop_reason))
            elif found.status is not Status.RUNNING:
                with self._changed:
                    run.is_waiting = True
                    self._changed.notify_all()
        self._reap_lost_dispatchers({found.worker_id for found in held.values()})
        return _POLL_INTERVAL_SECONDS

    def _reap_lost_dispatchers(self, worker_ids: set[str | None]) -> None:
        """Release what lost dispatchers hold, as any other worker would; the next look kills what runs here."""
        workers = [worker for worker in self.store.workers.all() if worker.id in worker_ids]
        for worker in self._leases.expired(workers):
            self.store.queue.release(worker.id, lost=True, heartbeat=worker.heartbeat)
            _log.warning("A worker was lost", extra={"worker_id": worker.id})
            self._loop.wake()
