"""Defines the outcomes of runs that are ended from outside."""

from __future__ import annotations

from datetime import timedelta

from cloudo_kernel.models import ErrorDetail, Status
from cloudo_kernel.store import Outcome

#: The outcome of a run that was interrupted by an orderly stop of the server.
SERVER_STOPPED = Outcome(status=Status.ENDED_CANCELLED, message="server stopped", is_interrupted=True)


def cancelled(reason: str) -> Outcome:
    """Return the outcome of a cancelled run."""
    return Outcome(status=Status.ENDED_CANCELLED, message=reason)


def timed_out(limit: timedelta) -> Outcome:
    """Return the outcome of a run that exceeded its time limit."""
    value = f"The run took longer than its limit of {limit.total_seconds():g} s."
    return Outcome(status=Status.ENDED_ERROR, message=value, error=ErrorDetail(name="Timeout", value=value))
