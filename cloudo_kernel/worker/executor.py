"""The seam behind which executions run. Modelled on `subprocess`: submit, stop, and be told of the end."""

from __future__ import annotations

from typing import Protocol

from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.store import Claim, Outcome


class OnEnd(Protocol):
    """Called when a run has ended."""

    def __call__(self, *, is_reported: bool) -> None:
        """Take whether the store was told of the end."""


class Executor(Protocol):
    """Runs claimed executions somewhere.

    An executor may lose a run or start it twice: the claim's attempt fences whatever it reports to the store.
    """

    def start(self, on_end: OnEnd) -> None:
        """Get ready; called by the dispatcher before the first `submit`. `on_end` is called when a run has ended."""

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Its background threads."""

    def submit(self, claim: Claim) -> None:
        """Start a run and return at once; called by the dispatcher, once per claim.

        Whatever happens to the run, the store or `on_end` is told of its end. Raises what keeps it from starting.
        """

    def stop(self, execution_id: str, outcome: Outcome) -> None:
        """End a run so that it ends in `outcome`: interrupt, and after a grace time kill. Called repeatedly."""

    def running(self) -> tuple[str, ...]:
        """Return the ids of the runs that have not ended."""

    def close(self, *, kill: bool = False) -> None:
        """Wait until every run has ended, or `kill` them all at once without a report."""

    def end(self) -> None:
        """Wait until every run has ended, and let go of everything; called by the dispatcher last."""
