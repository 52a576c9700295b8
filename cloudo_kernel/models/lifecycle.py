"""Which moves between the states of an execution are legal. Pure: it decides, the store acts."""

from __future__ import annotations

from collections.abc import Sequence

from cloudo_kernel.errors import IllegalTransition
from cloudo_kernel.models import Status

_ENDED = {Status.ENDED_SUCCESS, Status.ENDED_ERROR, Status.ENDED_CANCELLED}

#: To `PENDING` leads a new attempt; `PENDING` → `ENDED_ERROR` is a run that could not begin.
#: `PAUSED` → `ENDED_SUCCESS`: a run that was paused while one of its threads waited, and came to its end.
LEGAL: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.RUNNING, Status.PAUSED, Status.ENDED_CANCELLED, Status.ENDED_ERROR}),
    Status.RUNNING: frozenset({Status.PENDING, Status.WAITING, Status.PAUSED} | _ENDED),
    Status.WAITING: frozenset({Status.RUNNING, Status.PENDING, Status.PAUSED} | _ENDED),
    Status.PAUSED: frozenset({Status.PENDING, Status.WAITING} | _ENDED),
    **{ended: frozenset() for ended in _ENDED},
}


def origins(wanted: Status) -> tuple[Status, ...]:
    """Return the states from which `wanted` can be reached in one move."""
    return tuple(status for status, moves in LEGAL.items() if wanted in moves)


def check(execution_id: str, status: Status, wanted: Status, *, history: Sequence[str] = ()) -> None:
    """Raise `IllegalTransition` unless `status` → `wanted` is legal."""
    if wanted not in LEGAL[status]:
        raise IllegalTransition(execution_id, status, wanted, history)
