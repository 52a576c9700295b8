"""Defines the interface for running executions. Modelled on `subprocess`: submit, stop, notify of the end."""

from __future__ import annotations

from typing import Protocol

from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.store import Claim, Outcome


class OnEnd(Protocol):
    """Called when a run has ended."""

    def __call__(self, *, is_reported: bool) -> None:
        """Note an end; `is_reported` says whether the store has recorded it."""


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
        """End a run with `outcome`: interrupt it, and kill it after a grace time. Called repeatedly."""

    def running(self) -> tuple[str, ...]:
        """Return the ids of the runs that have not ended."""

    def close(self, *, kill: bool = False) -> None:
        """Wait until every run has ended; with `kill`, kill all of them at once without a report."""

    def end(self) -> None:
        """Wait until every run has ended, and release all resources; called by the dispatcher last."""
