"""The executor `dask`: submits executions to a Dask cluster, by id and attempt.

The database is the truth. Dask may lose a task, deliver it twice or forget all of them. The loop here finds those that
no Dask worker has, and `Queue.claim_of` lets each attempt begin once.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from functools import partial

from distributed import Future

from cloudo_kernel.dask.cluster import Cluster, check_address
from cloudo_kernel.dask.plugin import kill_run, stop_run
from cloudo_kernel.errors import CloudoError, MalformedRequest, Unavailable
from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.runner.run import GRACE_SECONDS
from cloudo_kernel.store import Claim, Outcome
from cloudo_kernel.worker.executor import ExecutorContext, OnEnd

_log = logging.getLogger(__name__)

#: Interval at which lost runs and new Dask workers are looked for.
_INTERVAL_SECONDS = 1.0
#: A run that no Dask worker has had for this long is lost.
_LOST_SECONDS = 5.0
#: A stopped run that has not ended after this long is with a Dask worker that does not answer.
_STOP_SECONDS = GRACE_SECONDS + 10.0


@dataclass
class _Run:
    """A submitted claim."""

    claim: Claim
    future: Future | None = None
    #: When a Dask worker last had it, by the monotonic clock.
    seen_at: float = field(default_factory=time.monotonic)
    #: The outcome that it was given from outside, and since when.
    outcome: Outcome | None = None
    stopped_at: float = 0.0

    @property
    def key(self) -> str:
        """The key of its task: the same attempt is never two tasks."""
        return f"cloudo-{self.claim.id}-{self.claim.attempt}"

    @property
    def is_overdue(self) -> bool:
        """Whether it has to be given up."""
        now = time.monotonic()
        is_stuck = self.outcome is not None and now - self.stopped_at > _STOP_SECONDS
        return is_stuck or now - self.seen_at > _LOST_SECONDS


class DaskExecutor:
    """An `Executor` that runs executions in the Dask workers of a cluster."""

    def __init__(self, context: ExecutorContext) -> None:
        self.check(slots=context.slots.most, address=context.address)
        self._context = context
        self._cluster = Cluster(context)
        self._runs: dict[str, _Run] = {}
        self._changed = threading.Condition()
        self._on_end: OnEnd = lambda *, is_reported: None  # noqa: ARG005 -- replaced by `start`
        self._loop = Loop("dask", self._reconcile)

    @staticmethod
    def check(*, slots: int | None, address: str) -> None:
        """See `NewExecutor`."""
        if slots is not None:
            raise MalformedRequest(
                "slots: the executor 'dask' has as many slots as its Dask workers have threads. "
                "Leave slots out, and start the Dask workers with the number of threads you want.",
                field="slots",
            )
        if address:
            check_address(address)

    def start(self, on_end: OnEnd) -> None:
        """See `Executor.start`. Raises `Unavailable` if the cluster cannot be used."""
        self._on_end = on_end
        try:
            self._cluster.open()
        except BaseException:
            self._cluster.close()
            raise
        self._context.slots.most = self._cluster.threads
        self._loop.start()

    @property
    def loops(self) -> tuple[Loop, ...]:
        """See `Executor.loops`."""
        return (self._loop,)

    def submit(self, claim: Claim) -> None:
        """See `Executor.submit`."""
        run = _Run(claim)
        with self._changed:
            self._runs[run.key] = run
        try:
            run.future = self._cluster.submit(run.key, claim.id, claim.attempt)
            run.future.add_done_callback(partial(self._note_end, run))
        except BaseException:
            with self._changed:
                del self._runs[run.key]
            raise

    def stop(self, execution_id: str, outcome: Outcome) -> None:
        """See `Executor.stop`. The loop tells the Dask workers until the run has ended."""
        with self._changed:
            runs = [run for run in self._runs.values() if run.claim.id == execution_id and run.outcome is None]
        for run in runs:
            run.stopped_at = time.monotonic()
            run.outcome = outcome
        if runs:
            self._loop.wake()

    def running(self) -> tuple[str, ...]:
        """See `Executor.running`."""
        with self._changed:
            return tuple(run.claim.id for run in self._runs.values())

    def close(self, *, kill: bool = False) -> None:
        """See `Executor.close`. Dask workers that do not answer kill their runs when the store refuses a report."""
        with self._changed:
            runs = list(self._runs.values())
        if kill:
            for run in runs:
                try:
                    self._cluster.tell(kill_run, run.claim.id, run.claim.attempt)
                except CloudoError as error:
                    _log.warning("A run could not be killed: %s", error, extra={"execution_id": run.claim.id})
        with self._changed:
            self._changed.wait_for(lambda: not self._runs, timeout=_STOP_SECONDS if kill else None)
        for run in runs if kill else ():
            self._end(run)

    def end(self) -> None:
        """See `Executor.end`."""
        self.close()
        self._loop.stop()
        self._cluster.close()

    def _reconcile(self) -> float:
        """Find new Dask workers and lost runs, and pass stops on."""
        with self._changed:
            runs = list(self._runs.values())
        for run in runs:
            if run.is_overdue:
                _log.warning("A run was lost by Dask", extra={"execution_id": run.claim.id})
                self._end(run)
        try:
            self._cluster.refresh()
            if runs:
                keys = self._cluster.keys()
                for run in runs:
                    if run.key in keys:
                        run.seen_at = time.monotonic()
                    if run.outcome is not None:
                        self._cluster.tell(stop_run, run.claim.id, run.claim.attempt, run.outcome)
        except Unavailable:
            self._context.slots.most = 0
            for run in runs:  # what a scheduler that does not answer knows about them is open
                run.seen_at = time.monotonic()
            raise
        self._context.slots.most = self._cluster.threads
        return _INTERVAL_SECONDS

    def _note_end(self, run: _Run, future: Future) -> None:
        """Note that the task of a run has ended or was lost; called on a thread of Dask's."""
        if future.status != "finished":
            # Until the loop's next turn: the connection is lost, or a Dask worker would be tried all the time.
            self._context.slots.most = 0
        if future.status == "error":
            _log.error(
                "A Dask worker could not run an execution: %s", future.exception(), extra={"execution_id": run.claim.id}
            )
        self._end(run)

    def _end(self, run: _Run) -> None:
        with self._changed:
            if self._runs.pop(run.key, None) is None:
                return
        is_reported = self._is_reported(run.claim)
        self._on_end(is_reported=is_reported)
        with self._changed:
            self._changed.notify_all()

    def _is_reported(self, claim: Claim) -> bool:
        """Return whether the store has recorded the end of the run, or has another attempt by now."""
        try:
            found = self._context.store.queue.held([claim.id]).get(claim.id)
        except CloudoError:
            return False
        return found is None or found.attempt != claim.attempt or found.worker_id != self._context.slots.worker_id
