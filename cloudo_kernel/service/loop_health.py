"""Turns the states of background loops into records, with hints about those that have ended or are stuck."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cloudo_kernel.models import Health, LoopHealth
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


def with_server_loops(
    health: Health, of_worker: Iterable[LoopState], others: Iterable[LoopState], *, worker_id: str | None, pid: int
) -> Health:
    """Add the loops of a server, `pid`: those of its worker, whose reported states they replace, and the others.

    A loop that is dead or stuck, or a failing dispatcher, makes the server unavailable.
    """
    own = [loop_health(state, worker_id=worker_id, pid=pid) for state in of_worker]
    own += [loop_health(state, worker_id=None, pid=pid) for state in others]
    faults = [text for loop in own if (text := fault(loop))]
    broken = sorted(loop.name for loop in own if fault(loop))
    failing = sorted(loop.name for loop in own if loop.error is not None and loop.name not in broken)
    details: dict[str, Any] = {
        "failing_loops": tuple(broken + failing),
        "loops": (*own, *(loop for loop in health.loops if loop.worker_id != worker_id)),
    }
    if faults:
        details |= {"status": "unavailable", "reason": f"{faults[0]}: restart the server"}
    elif "dispatcher" in failing and health.reason is None:
        details |= {"status": "unavailable", "reason": "the loop dispatcher is failing: executions do not start"}
    return health.model_copy(update=details)
