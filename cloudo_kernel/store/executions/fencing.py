"""Check that a report belongs to the current attempt of an execution, and update the execution's row.

Each report of a run and each call of a flow does this. The statements are built once: a run needs many, and SQLAlchemy
takes several times as long to build one as to run it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from sqlalchemy import ClauseElement, Connection, Update, bindparam, or_, select, update

from cloudo_kernel.errors import ExecutionNotFound, IllegalTransition, StaleAttempt
from cloudo_kernel.models import JsonObject, Status
from cloudo_kernel.models.event_types import PASSING
from cloudo_kernel.store.tables import events, executions

#: The states in which an execution may have a worker and processes.
LEASED: Final = (Status.RUNNING, Status.WAITING, Status.PAUSED)

_c = executions.c
#: The parameters of `IS_LIVE`.
EXECUTION_ID: Final = "of_execution"
ATTEMPT: Final = "of_attempt"
IS_LIVE: Final = (
    _c.id == bindparam(EXECUTION_ID),
    _c.attempt == bindparam(ATTEMPT),
    or_(*(_c.status == status.value for status in LEASED)),
)
_LIVE = select(_c.id).where(*IS_LIVE)
_LOCKED_LIVE = _LIVE.with_for_update()  # nothing in SQLite, which has one writer
_CURRENT = select(_c.attempt, _c.status).where(_c.id == bindparam(EXECUTION_ID))
_HISTORY = (
    select(events.c.type)
    .where(events.c.subject_id == bindparam(EXECUTION_ID), *(events.c.type != kind for kind in PASSING))
    .order_by(events.c.id)
    .limit(20)
)


def check_live(connection: Connection, execution_id: str, attempt: int) -> None:
    """Raise `StaleAttempt` unless the attempt is the current one; it cannot end before the transaction does."""
    if connection.execute(_LOCKED_LIVE, {EXECUTION_ID: execution_id, ATTEMPT: attempt}).scalar() is None:
        raise StaleAttempt(execution_id, attempt)


def is_live(connection: Connection, execution_id: str, attempt: int) -> bool:
    """Return whether the attempt is the current one and has not ended, in a read transaction."""
    return connection.execute(_LIVE, {EXECUTION_ID: execution_id, ATTEMPT: attempt}).scalar() is not None


@cache
def changing(expected: tuple[Status, ...]) -> Update:
    """Return the statement that updates the row of an attempt in one of the `expected` states.

    The parameters given at execution decide which columns it sets.
    """
    is_expected = or_(*(_c.status == status.value for status in expected))
    return update(executions).where(_c.id == bindparam(EXECUTION_ID), _c.attempt == bindparam(ATTEMPT), is_expected)


@cache
def _changing_and_returning(expected: tuple[Status, ...]) -> Update:
    return changing(expected).returning(executions)


def change(
    connection: Connection, execution_id: str, attempt: int, values: JsonObject, expected: tuple[Status, ...]
) -> Any:
    """Update the row of a live attempt in one of the `expected` states, and return it.

    Raises `StaleAttempt`, `IllegalTransition`.
    """
    computed = {name: value for name, value in values.items() if isinstance(value, ClauseElement)}
    given = {name: value for name, value in values.items() if name not in computed}
    statement = _changing_and_returning(expected)
    if computed:
        statement = statement.values(**computed)
    row = connection.execute(statement, {EXECUTION_ID: execution_id, ATTEMPT: attempt, **given}).one_or_none()
    if row is not None:
        return row
    current = connection.execute(_CURRENT, {EXECUTION_ID: execution_id}).one_or_none()
    if current is None or current.attempt != attempt or Status(current.status).is_ended:
        raise StaleAttempt(execution_id, attempt)
    wanted = values.get("status", current.status)
    raise IllegalTransition(execution_id, current.status, wanted, history(connection, execution_id))


def move(connection: Connection, execution_id: str, values: JsonObject, expected: tuple[Status, ...]) -> None:
    """Update the row of an execution in one of the `expected` states, whatever its attempt.

    Raises `IllegalTransition` if its state has changed since the caller read it, and `ExecutionNotFound`.
    """
    is_expected = _c.status.in_([status.value for status in expected])
    statement = update(executions).where(_c.id == execution_id, is_expected).values(**values)
    if not connection.execute(statement).rowcount:
        current = connection.execute(_CURRENT, {EXECUTION_ID: execution_id}).one_or_none()
        if current is None:
            raise ExecutionNotFound(execution_id)
        status = current.status
        raise IllegalTransition(execution_id, status, values.get("status", status), history(connection, execution_id))


def history(connection: Connection, execution_id: str) -> list[str]:
    """Return the types of the execution's first 20 events, without progress and log events."""
    return list(connection.execute(_HISTORY, {EXECUTION_ID: execution_id}).scalars())
