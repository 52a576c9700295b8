"""What durable executions wait for, and who wakes them. An execution that waits without a worker costs rows only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from cloudo_kernel.models import MessageState, Status
from cloudo_kernel.models.event_types import EXECUTION, EXECUTION_REQUEUED
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions.records import ENDED
from cloudo_kernel.store.tables import calls, executions, messages, waits


@dataclass(frozen=True)
class Wake:
    """What wakes a durable execution: the end of `number` of the subjects, its turn at a lock, or a moment."""

    subjects: Sequence[str] = ()
    number: int = 0
    at: datetime | None = None
    #: The name of a lock for which it stands in line; `number` is 1 then.
    lock: str | None = None


# Made once: every end of an execution asks.
_WAITERS = select(waits.c.execution_id).where(waits.c.subject_id == bindparam("subject"))
_c = executions.c
# Not the bare state, along whose index SQLite would look at all who wait; that of the moments leads to the few.
_FORSAKEN = (_c.status.concat("") == Status.WAITING.value, func.coalesce(_c.worker_id, "") == "")
_OVERDUE = select(_c.id).where(_c.wake_at <= bindparam("now"), *_FORSAKEN)
_ANY_OVERDUE = _OVERDUE.limit(1)
_NEXT = select(_c.wake_at).where(_c.wake_at.is_not(None), *_FORSAKEN).order_by(_c.wake_at).limit(1)


def register_wait(connection: Connection, execution_id: str, wake: Wake) -> None:
    """Note what wakes the execution, executions and messages; those that are over by now count at once."""
    forget(connection, execution_id)
    unended = select(executions.c.id).where(executions.c.id.in_(wake.subjects), executions.c.status.not_in(ENDED))
    unanswered = select(messages.c.id).where(messages.c.id.in_(wake.subjects), messages.c.state == MessageState.OPEN)
    open_ = list(connection.execute(unended.union_all(unanswered)).scalars()) if wake.subjects else []
    if open_:
        connection.execute(insert(waits), [{"execution_id": execution_id, "subject_id": one} for one in open_])
    over = len(wake.subjects) - len(open_)
    number = max(0, wake.number - over) if wake.number else None
    values = {"wake_after": number, "wake_at": wake.at}
    connection.execute(update(executions).where(executions.c.id == execution_id).values(**values))


def forget(connection: Connection, execution_id: str) -> None:
    """Forget what the execution waited for."""
    connection.execute(delete(waits).where(waits.c.execution_id == execution_id))
    values = {"wake_after": None, "wake_at": None}
    connection.execute(update(executions).where(executions.c.id == execution_id).values(**values))


def forget_all(connection: Connection, execution_id: str) -> None:
    """Forget the calls of an execution, too: it has ended, or begins anew."""
    forget(connection, execution_id)
    connection.execute(delete(calls).where(calls.c.execution_id == execution_id))


def wake(connection: Connection, subject_id: str, *, now: datetime) -> None:
    """Tell those who wait for the subject that it is over; who has no worker is pending then, if that was the last."""
    c = executions.c
    waiters = connection.execute(_WAITERS, {"subject": subject_id}).scalars().all()
    if not waiters:
        return
    connection.execute(delete(waits).where(waits.c.subject_id == subject_id))
    connection.execute(update(executions).where(c.id.in_(waiters)).values(wake_after=c.wake_after - 1))
    done = select(c.id).where(
        c.id.in_(waiters), c.wake_after <= 0, c.status == Status.WAITING.value, c.worker_id.is_(None)
    )
    _requeue(connection, connection.execute(done).scalars().all(), now=now)


def wake_lock_waiter(connection: Connection, execution_id: str, *, now: datetime) -> None:
    """Wake an execution whose turn it is at a lock, if it waits without a worker; with one it looks for itself."""
    c = executions.c
    is_it = (c.id == execution_id, c.wake_after.is_not(None))
    if connection.execute(update(executions).where(*is_it).values(wake_after=0)).rowcount:
        waits_alone = select(c.id).where(*is_it, c.status == Status.WAITING.value, c.worker_id.is_(None))
        _requeue(connection, connection.execute(waits_alone).scalars().all(), now=now)


def wake_overdue(connection: Connection, *, now: datetime) -> None:
    """Make those pending whose moment has come."""
    _requeue(connection, connection.execute(_OVERDUE, {"now": now}).scalars().all(), now=now)


def is_any_overdue(connection: Connection, *, now: datetime) -> bool:
    """Tell whether the moment of anybody has come."""
    return connection.execute(_ANY_OVERDUE, {"now": now}).first() is not None


def next_wake(connection: Connection) -> datetime | None:
    """Return the earliest moment at which one without a worker is to be woken."""
    moment: datetime | None = connection.execute(_NEXT).scalar()
    return moment


def _requeue(connection: Connection, ids: Sequence[str], *, now: datetime) -> None:
    for execution_id in ids:
        forget(connection, execution_id)
        values = {"status": Status.PENDING, "message": None, "started_at": None, "scheduled_for": None}
        connection.execute(update(executions).where(executions.c.id == execution_id).values(**values))
        record(
            connection,
            EXECUTION_REQUEUED,
            EXECUTION,
            execution_id,
            time=now,
            status=Status.PENDING,
            reason="what it waited for is there",
        )
