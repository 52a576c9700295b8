"""The phases of one run in its worker, and the table of its transitions.

Pure: `advance` looks the event up in one table and names the actions. `run_supervisor` carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from cloudo_kernel.store import Outcome

#: Maximum attempts of a run that dies before it begins.
_START_ATTEMPTS = 5


class Phase(Enum):
    """How far a run is."""

    #: Its processes start; no runner has asked for the assignment yet.
    STARTING = auto()
    #: A runner has the assignment, and no cell has begun.
    ASSIGNED = auto()
    #: A cell has begun, and so may have had effects.
    RUNNING = auto()
    #: The kernel died before any cell began, so that new processes may replace the dead ones.
    DIED_EARLY = auto()
    #: The runner has reported how the run ended.
    FOUND = auto()
    #: Its outcome was set from outside before any cell began.
    STOPPED_EARLY = auto()
    #: Its outcome was set from outside after a cell began, or after the runner reported an end.
    STOPPED = auto()
    #: It waits without processes, so that no end is reported.
    DETACHED = auto()
    #: Its processes are gone, and its end is being reported.
    OVER = auto()


class Event(Enum):
    """An event of a run, sent by its runner, its kernel, its timers or its worker."""

    BEGIN = auto()
    DECLINE = auto()
    KERNEL_STARTED = auto()
    CELL = auto()
    #: The runner reports an end; the second one says that the kernel died.
    FIND = auto()
    FIND_DEAD_KERNEL = auto()
    #: The kernel's end of the channel is closed in every process that had it.
    HANG_UP = auto()
    #: A durable run gives up its processes.
    DETACH = auto()
    #: Its outcome is set from outside; the second one because the worker stops.
    STOP = auto()
    LEAVE = auto()
    #: The worker could not start it, or could not go on with it.
    OBSTACLE = auto()
    #: New processes replace dead ones.
    BEGIN_ANEW = auto()
    FINISH = auto()


class Action(Enum):
    """An action of the supervisor after an event."""

    END_WAITS = auto()
    WAKE_WAITS = auto()
    FORGET_SLOT = auto()
    END_PROCESSES = auto()
    STOP_RETRIES = auto()
    FORGET_PROCESSES = auto()


class ImpossibleEvent(AssertionError):
    """The event cannot occur in this phase."""


@dataclass(frozen=True)
class Step:
    """The next phase and the actions. With `is_kept`, the fields that come with the event become part of the state."""

    phase: Phase
    actions: tuple[Action, ...] = ()
    is_kept: bool = True


P, E, A = Phase, Event, Action
_STOP, _LEAVE = (A.END_WAITS,), (A.STOP_RETRIES, A.END_WAITS)
_UNTIL_FINISHED = tuple(phase for phase in Phase if phase is not P.OVER)

#: Phase and event → the transition. A pair that is not listed cannot occur.
TABLE: dict[tuple[Phase, Event], Step] = {
    (P.STARTING, E.BEGIN): Step(P.ASSIGNED),
    (P.STOPPED_EARLY, E.BEGIN): Step(P.STOPPED_EARLY),
    **{(phase, E.DECLINE): Step(phase) for phase in (P.ASSIGNED, P.STOPPED_EARLY)},
    **{(phase, E.KERNEL_STARTED): Step(phase) for phase in (P.ASSIGNED, P.STOPPED_EARLY)},
    # A runner that was stopped may reach its next cell before the interrupt reaches it.
    (P.ASSIGNED, E.CELL): Step(P.RUNNING),
    (P.RUNNING, E.CELL): Step(P.RUNNING),
    (P.STOPPED_EARLY, E.CELL): Step(P.STOPPED),
    (P.STOPPED, E.CELL): Step(P.STOPPED),
    (P.ASSIGNED, E.FIND_DEAD_KERNEL): Step(P.DIED_EARLY),
    **{(phase, E.FIND_DEAD_KERNEL): Step(P.FOUND) for phase in (P.RUNNING, P.FOUND)},
    **{(phase, E.FIND): Step(P.FOUND) for phase in (P.ASSIGNED, P.RUNNING, P.FOUND, P.DIED_EARLY)},
    **{
        (phase, find): Step(P.STOPPED)
        for phase in (P.STOPPED_EARLY, P.STOPPED)
        for find in (E.FIND, E.FIND_DEAD_KERNEL)
    },
    **{(phase, E.HANG_UP): Step(phase, (A.WAKE_WAITS,)) for phase in Phase},
    # The flow may still wait on its thread when the runner has found its kernel dead. Before the first cell, the files
    # that IPython runs at its start may wait.
    **{
        (phase, E.DETACH): Step(P.DETACHED, (A.END_PROCESSES,))
        for phase in (P.ASSIGNED, P.RUNNING, P.FOUND, P.STOPPED_EARLY, P.STOPPED)
    },
    (P.OVER, E.DETACH): Step(P.OVER, (A.END_PROCESSES,)),
    # Calls that were in the channel when the processes were killed.
    **{(P.DETACHED, event): Step(P.DETACHED) for event in (E.CELL, E.FIND, E.FIND_DEAD_KERNEL)},
    **{(phase, E.STOP): Step(P.STOPPED_EARLY, _STOP) for phase in (P.STARTING, P.ASSIGNED)},
    **{(phase, E.STOP): Step(P.STOPPED, _STOP) for phase in (P.RUNNING, P.FOUND, P.DIED_EARLY)},
    **{(phase, E.LEAVE): Step(P.STOPPED_EARLY, _LEAVE) for phase in (P.STARTING, P.ASSIGNED)},
    **{(phase, E.LEAVE): Step(P.STOPPED, _LEAVE) for phase in (P.RUNNING, P.FOUND, P.DIED_EARLY)},
    # The first outcome counts.
    **{(phase, E.STOP): Step(phase, is_kept=False) for phase in (P.STOPPED_EARLY, P.STOPPED, P.DETACHED, P.OVER)},
    **{
        (phase, E.LEAVE): Step(phase, (A.STOP_RETRIES,), is_kept=False)
        for phase in (P.STOPPED_EARLY, P.STOPPED, P.DETACHED, P.OVER)
    },
    **{(phase, E.OBSTACLE): Step(phase) for phase in _UNTIL_FINISHED},
    **{
        (phase, E.BEGIN_ANEW): Step(P.STARTING, (A.FORGET_PROCESSES,))
        for phase in (P.STARTING, P.ASSIGNED, P.DIED_EARLY)
    },
    **{(phase, E.FINISH): Step(P.OVER, (A.END_WAITS, A.FORGET_SLOT)) for phase in _UNTIL_FINISHED},
}


@dataclass(frozen=True)
class RunState:
    """The state of a run, and what came with its events."""

    phase: Phase = Phase.STARTING
    #: The outcome that the runner reported.
    found: Outcome | None = None
    #: The outcome that was set from outside.
    given: Outcome | None = None
    #: Why this worker could not start it, or could not go on.
    obstacle: str | None = None
    #: Process group of the kernel, once it runs.
    kernel_group: int | None = None
    #: Whether the kernel has closed its end of the channel; most probably it died.
    has_kernel_hung_up: bool = False
    #: Whether the flow would notice that its process was forked from a zygote.
    is_declined: bool = False

    def reason_to_requeue(self, attempt: int) -> str | None:
        """Return why the run is requeued when its processes are gone, or None if its end is reported."""
        if self.phase is Phase.STOPPED_EARLY:
            return self.given.reason if self.given is not None and self.given.is_interrupted else None
        if self.phase not in (Phase.STARTING, Phase.ASSIGNED):
            return None
        if self.obstacle is not None:
            return f"it could not be started: {self.obstacle}"
        return "its process died before it had begun" if attempt < _START_ATTEMPTS else None


def advance(state: RunState, event: Event, **given: Any) -> tuple[RunState, tuple[Action, ...]]:
    """Return the state after an event, and the actions. `given` are fields of the state that come with the event.

    Raises `ImpossibleEvent`.
    """
    step = TABLE.get((state.phase, event))
    if step is None:
        raise ImpossibleEvent(f"{event.name} cannot occur in the phase {state.phase.name}.")
    return replace(state, phase=step.phase, **(given if step.is_kept else {})), step.actions
