"""Whether an attempt is the current one of its execution. Each report of a run, and each call of a flow, asks."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, or_, select

from cloudo_kernel.errors import StaleAttempt
from cloudo_kernel.models import Status
from cloudo_kernel.store.tables import executions

#: The states in which an execution may have a worker, and processes.
LEASED: Final = (Status.RUNNING, Status.WAITING, Status.PAUSED)

_c = executions.c
#: Of `IS_LIVE`, whose statements are made once: making one takes SQLAlchemy several times as long as running it.
EXECUTION_ID: Final = "of_execution"
ATTEMPT: Final = "of_attempt"
IS_LIVE: Final = (
    _c.id == bindparam(EXECUTION_ID),
    _c.attempt == bindparam(ATTEMPT),
    or_(*(_c.status == status.value for status in LEASED)),
)
_LIVE = select(_c.id).where(*IS_LIVE)


def check_live(connection: Connection, execution_id: str, attempt: int) -> None:
    """Raise `StaleAttempt` unless the attempt is the current one and has not ended."""
    if connection.execute(_LIVE, {EXECUTION_ID: execution_id, ATTEMPT: attempt}).scalar() is None:
        raise StaleAttempt(execution_id, attempt)
