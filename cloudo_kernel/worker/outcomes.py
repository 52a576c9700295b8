"""The outcomes that a worker gives to runs."""

from __future__ import annotations

from datetime import timedelta

from cloudo_kernel.errors import ReplayDiffers
from cloudo_kernel.models import ErrorDetail, Status
from cloudo_kernel.store import Outcome

#: The outcome of a run that was interrupted by an orderly stop of the server.
SERVER_STOPPED = Outcome(status=Status.ENDED_CANCELLED, message="server stopped", is_interrupted=True)


def cancelled(reason: str) -> Outcome:
    """Return the outcome of a cancelled run."""
    return Outcome(status=Status.ENDED_CANCELLED, message=reason)


def timed_out(limit: timedelta) -> Outcome:
    """Return the outcome of a run that exceeded its time limit."""
    return _failed("Timeout", f"The run took longer than its limit of {limit.total_seconds():g} s.")


def worker_failed(obstacle: str) -> Outcome:
    """Return the outcome of a run that its worker had to give up after its first cell began."""
    return _failed("WorkerFailed", f"The worker could not go on with this run: {obstacle}")


def runner_died(exit_code: int, complaints: str) -> Outcome:
    """Return the outcome of a run whose runner ended without a report; `complaints` is its standard error."""
    how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    value = f"The process that ran the notebook ended with {how}."
    return _failed("KernelDied", value, traceback=tuple(complaints.splitlines()))


def replay_differed(obstacle: ReplayDiffers, found: Outcome | None) -> Outcome:
    """Return the outcome of a replay that made other calls; `found` is what the runner reported."""
    error = None if found is None else found.error
    error = error or ErrorDetail(name=type(obstacle).__name__, value=str(obstacle))
    return Outcome(status=Status.ENDED_ERROR, message=f"{error.name}: {error.value}", error=error)


def unrecorded(error: Exception) -> Outcome:
    """Return the outcome of a run whose real outcome the store refused."""
    kind = type(error).__name__
    return _failed("ReportFailed", f"The end of this run could not be recorded ({kind}). The worker's log says why.")


def _failed(name: str, value: str, *, traceback: tuple[str, ...] = ()) -> Outcome:
    error = ErrorDetail(name=name, value=value, traceback=traceback)
    return Outcome(status=Status.ENDED_ERROR, message=value, error=error)
