"""Turns the states of background loops into records, with hints about those that have ended or are stuck."""

from __future__ import annotations

from cloudo_kernel.models import LoopHealth
from cloudo_kernel.processes.loop import LoopState


def loop_health(state: LoopState, *, worker_id: str | None, pid: int, age_seconds: float = 0.0) -> LoopHealth:
    """Return the record of a loop whose `state` was reported `age_seconds` ago by the process `pid`."""
    idle_seconds = round(state.idle_seconds + max(0.0, age_seconds), 1)
    is_stuck = state.is_alive and idle_seconds > state.stuck_after_seconds
    hint = f"Restart the process {pid}."
    if not state.is_alive:
        hint += " Its log says why the loop died."
    return LoopHealth(
        name=state.name,
        worker_id=worker_id,
        pid=pid,
        alive=state.is_alive,
        stuck=is_stuck,
        idle_seconds=idle_seconds,
        error=state.error,
        hint=hint if is_stuck or not state.is_alive else None,
    )


def fault(loop: LoopHealth) -> str | None:
    """Return what is wrong with a loop that needs a restart, or None."""
    if not loop.alive:
        return f"the loop {loop.name} has died"
    return f"the loop {loop.name} is stuck" if loop.stuck else None
