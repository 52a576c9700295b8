"""Store what durable executions wait for, and wake them. Waiting without a worker costs only database rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from cloudo_kernel.models import MessageState, Status
from cloudo_kernel.models.event_types import EXECUTION, EXECUTION_REQUEUED
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions.records import ENDED
from cloudo_kernel.store.sql.row_locks import lock_subjects
from cloudo_kernel.store.tables import calls, executions, messages, waits


@dataclass(frozen=True)
class Wake:
    """The conditions that wake a durable execution: the end of `number` subjects, its turn at a lock, or a time."""

    subjects: Sequence[str] = ()
    number: int = 0
    at: datetime | None = None
    #: The name of the lock that it is in line for; `number` is then 1.
    lock: str | None = None


# Built once, because the end of an execution uses it.
_WAITERS = select(waits.c.execution_id).where(waits.c.subject_id == bindparam("subject"))
_c = executions.c
# `concat` keeps SQLite from scanning all waiting executions by the state index; the one on `wake_at` finds the few.
_WAITS_ALONE = (_c.status.concat("") == Status.WAITING.value, func.coalesce(_c.worker_id, "") == "")
_ANY_OVERDUE = select(_c.id).where(_c.wake_at <= bindparam("now"), *_WAITS_ALONE).limit(1)
_OVERDUE = _ANY_OVERDUE.limit(None).with_for_update(skip_locked=True)
_NEXT = select(_c.wake_at).where(_c.wake_at.is_not(None), *_WAITS_ALONE).order_by(_c.wake_at).limit(1)


def register_wait(connection: Connection, execution_id: str, wake: Wake) -> None:
    """Store what wakes the execution. Subjects (executions and messages) that are over already count at once."""
    lock_subjects(connection, wake.subjects)
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
    """Delete what the execution waits for."""
    connection.execute(delete(waits).where(waits.c.execution_id == execution_id))
    values = {"wake_after": None, "wake_at": None}
    connection.execute(update(executions).where(executions.c.id == execution_id).values(**values))


def forget_all(connection: Connection, execution_id: str) -> None:
    """Delete what the execution waits for and its calls, because it has ended or starts again from the beginning."""
    forget(connection, execution_id)
    connection.execute(delete(calls).where(calls.c.execution_id == execution_id))


def wake(connection: Connection, subject_id: str, *, now: datetime) -> None:
    """Decrement the wait count of everything waiting on the subject.

    Requeue waiters that have no worker once it reaches zero.
    """
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
    """Note that an execution's turn at a lock has come, and requeue it if it waits without a worker.

    An execution with a worker checks the lock itself.
    """
    c = executions.c
    is_it = (c.id == execution_id, c.wake_after.is_not(None))
    if connection.execute(update(executions).where(*is_it).values(wake_after=0)).rowcount:
        waits_alone = select(c.id).where(*is_it, c.status == Status.WAITING.value, c.worker_id.is_(None))
        _requeue(connection, connection.execute(waits_alone).scalars().all(), now=now)


def wake_overdue(connection: Connection, *, now: datetime) -> None:
    """Requeue executions without a worker whose wake time has come."""
    _requeue(connection, connection.execute(_OVERDUE, {"now": now}).scalars().all(), now=now)


def is_any_overdue(connection: Connection, *, now: datetime) -> bool:
    """Return whether the wake time of an execution without a worker has come."""
    return connection.execute(_ANY_OVERDUE, {"now": now}).first() is not None


def next_wake(connection: Connection) -> datetime | None:
    """Return the earliest wake time of executions without a worker, or None."""
    moment: datetime | None = connection.execute(_NEXT).scalar()
    return moment


def _requeue(connection: Connection, ids: Sequence[str], *, now: datetime) -> None:
    for execution_id in ids:
        values = {"status": Status.PENDING, "message": None, "started_at": None, "scheduled_for": None}
        waits_alone = (_c.id == execution_id, _c.status == Status.WAITING.value, _c.worker_id.is_(None))
        if not connection.execute(update(executions).where(*waits_alone).values(**values)).rowcount:
            continue
        forget(connection, execution_id)
        record(
            connection,
            EXECUTION_REQUEUED,
            EXECUTION,
            execution_id,
            time=now,
            status=Status.PENDING,
            reason="its wait is over",
        )
