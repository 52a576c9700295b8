"""The seam between a worker and what runs its executions. Modelled on `subprocess`: submit, stop, notify of the end.

`docs/executors.md` lists the obligations, and one suite of tests checks them for every installed executor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.store import Claim, Outcome, Store
from cloudo_kernel.worker.slots import WorkerSlots
from cloudo_kernel.workspace.catalog import Catalog


@dataclass(frozen=True, kw_only=True)
class ExecutorContext:
    """What a worker gives to its executor."""

    store: Store
    catalog: Catalog
    #: A run that goes on after a wait or a pause takes its slot here.
    slots: WorkerSlots
    #: The id of a private worker, for which the children of its runs are reserved; else None.
    reserved_for: str | None = None
    #: Seconds that a durable execution keeps its processes while it waits.
    linger_seconds: float
    #: The address of another system that runs the executions; empty if the executor needs none.
    address: str = ""


class OnEnd(Protocol):
    """Called when a run has ended."""

    def __call__(self, *, is_reported: bool) -> None:
        """Note an end; `is_reported` says whether the store has recorded it, or has another attempt by now."""


class Executor(Protocol):
    """Runs claimed executions.

    An executor may lose a run or start it twice: the claim's attempt fences its reports to the store.
    """

    def start(self, on_end: OnEnd) -> None:
        """Prepare; called by the dispatcher before the first `submit`. `on_end` is called at the end of each run."""

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Its background threads."""

    def submit(self, claim: Claim) -> None:
        """Start a run and return at once; called by the dispatcher, once per claim.

        The end of the run is always reported to the store or to `on_end`. Raises the error that prevents its start.
        """

    def stop(self, execution_id: str, outcome: Outcome) -> None:
        """End a run with `outcome`: interrupt it, and kill it after a grace time. Called repeatedly.

        Does nothing if it runs no such execution.
        """

    def running(self) -> tuple[str, ...]:
        """Return the ids of the runs that have not ended."""

    def close(self, *, kill: bool = False) -> None:
        """Wait until every run has ended; with `kill`, kill all of them at once.

        The dispatcher kills only runs that it no longer holds, so the store refuses their reports.
        """

    def end(self) -> None:
        """Wait until every run has ended, and release all resources; called by the dispatcher last."""


class NewExecutor(Protocol):
    """What the entry point of an executor names, such as its class.

    It may have a function `check(*, slots, address)`, which is called before anything starts. It raises
    `MalformedRequest` for a limit of slots or an address that it cannot use.
    """

    def __call__(self, context: ExecutorContext) -> Executor:
        """Create an executor. Nothing runs before its `start`."""
