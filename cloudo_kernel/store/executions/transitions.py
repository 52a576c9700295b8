"""Move executions from state to state, recording an event for each move, inside the caller's transaction.

Reports about a run name its `attempt`; a report of another attempt than the current one raises `StaleAttempt` and
changes nothing.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, case, delete, exists, func, or_, select, update

from cloudo_kernel import settings
from cloudo_kernel.errors import StaleAttempt
from cloudo_kernel.models import ErrorDetail, ExecutionType, JsonObject, LogLine, Status, lifecycle, rfc3339
from cloudo_kernel.models.event_types import (
    EXECUTION,
    EXECUTION_CANCEL_REQUESTED,
    EXECUTION_RELEASED,
    EXECUTION_REQUEUED,
    OF_STATUS,
    PASSING,
)
from cloudo_kernel.models.lifecycle import Attempt, Children, Decision, Next, Outcome
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions import dependencies
from cloudo_kernel.store.executions.fencing import ATTEMPT, EXECUTION_ID, LEASED, change, changing
from cloudo_kernel.store.executions.log import append
from cloudo_kernel.store.executions.records import ENDED
from cloudo_kernel.store.executions.wakeups import forget, forget_all, wake
from cloudo_kernel.store.locks import release_all
from cloudo_kernel.store.messages import withdraw
from cloudo_kernel.store.schedules.ends import run_ended
from cloudo_kernel.store.schedules.follow_ups import note_end
from cloudo_kernel.store.settings import value_of
from cloudo_kernel.store.sql.row_locks import has_many_writers, lock_execution
from cloudo_kernel.store.tables import calls, events, executions, lock_waiters, locks, waits
from cloudo_kernel.store.tables import dependencies as dependency_rows

PARENT_ENDED = "its parent ended"

# Built once, because every run ends: building takes SQLAlchemy several times as long as running.
_c = executions.c
_UNSTOPPED = (_c.stop_reason.is_(None), *(_c.status != status for status in ENDED))
_children = executions.alias()
_ch, _d = _children.c, dependency_rows.c
#: Everything that decides what an end leads to. The `has_…` columns are usually false, which saves later queries.
_ENDING = select(
    *(_c.id, _c.attempt, _c.status, _c.flow_name, _c.schedule_id, _c.created_at, _c.user_name, _c.reserved_for),
    *(_c.retention_minutes, _c.durable, _c.follow_ups, _c.stop_reason, _c.failures, _c.retries),
    *(_c.retry_delay_seconds, _c.deaths, _c.died_at_call),
    exists().where(waits.c.subject_id == _c.id).label("has_waiters"),
    or_(exists().where(locks.c.execution_id == _c.id), exists().where(lock_waiters.c.execution_id == _c.id)).label(
        "has_locks"
    ),
    exists().where(or_(_d.on_id == _c.id, _d.execution_id == _c.id)).label("has_dependencies"),
    exists().where(_ch.parent_id == _c.id, *(_ch.status != status for status in ENDED)).label("has_children"),
).where(_c.id == bindparam(EXECUTION_ID))
_CHILDREN = select(_c.id, _c.type, _c.attempt, _c.worker_id).where(_c.parent_id == bindparam("parent"), *_UNSTOPPED)
_CHILDREN = _CHILDREN.order_by(_c.id).with_for_update()
_HELD_CHILDREN = _CHILDREN.where(_c.is_held)
_FORGET_PASSING = delete(events).where(
    events.c.subject_id == bindparam("of"), or_(*(events.c.type == kind for kind in PASSING))
)


def requeue(connection: Connection, execution_id: str, attempt: int, *, now: datetime, **details: Any) -> None:
    """Give up a run: the execution becomes pending, or paused if that was requested. `details` goes into the event."""
    _give_up(connection, execution_id, attempt, {}, now=now, **details)


def end_run(connection: Connection, execution_id: str, attempt: int, outcome: Outcome | None, *, now: datetime) -> None:
    """End a run, and with it the execution unless it is retried, replayed or requeued. Raises `StaleAttempt`.

    Without an outcome, its worker was lost before the run had begun.
    """
    lock_execution(connection, execution_id)
    row = connection.execute(_ENDING, {EXECUTION_ID: execution_id}).one_or_none()
    if row is None or row.attempt != attempt or row.status not in LEASED:
        raise StaleAttempt(execution_id, attempt)
    is_death = row.durable and outcome is not None and outcome.is_death
    calls_made = _calls_made(connection, row.id) if is_death else 0
    decision = lifecycle.after_attempt(_attempt(row, calls_made), outcome, now=now)
    if decision.next is Next.END:
        _end_all(connection, row, attempt, decision, now=now)
    elif decision.next is Next.RETRY:
        _retry(connection, row, decision, now=now)
    elif decision.next is Next.REPLAY:
        _replay(connection, row, decision, now=now)
    else:
        requeue(connection, row.id, attempt, now=now, reason=decision.reason)


def _attempt(row: Row[*tuple[Any, ...]], calls_made: int) -> Attempt:
    return Attempt(
        number=row.attempt,
        is_stop_requested=row.stop_reason is not None,
        failures=row.failures,
        retries=row.retries,
        retry_delay=timedelta(seconds=row.retry_delay_seconds),
        durable=row.durable,
        calls=calls_made,
        deaths=row.deaths,
        died_at_call=row.died_at_call,
    )


def end(
    connection: Connection,
    execution_id: str,
    attempt: int,
    outcome: Outcome,
    *,
    now: datetime,
    user_name: str | None = None,
) -> None:
    """End the execution and, unless it succeeded, its children and input requests too.

    Held executions that depend on it are released, or end in error. Raises `StaleAttempt`.
    """
    lock_execution(connection, execution_id)
    row = connection.execute(_ENDING, {EXECUTION_ID: execution_id}).one_or_none()
    if row is None:  # ended elsewhere, and deleted since
        raise StaleAttempt(execution_id, attempt)
    decision = lifecycle.after_end(outcome, durable=row.durable)
    _end_all(connection, row, attempt, decision, now=now, user_name=user_name)


def _end_all(
    connection: Connection,
    row: Row[*tuple[Any, ...]],
    attempt: int,
    decision: Decision,
    *,
    now: datetime,
    user_name: str | None = None,
) -> None:
    """End the execution of the row, and release or end the held executions that depend on it."""
    _end(connection, row, attempt, decision, now=now, user_name=user_name)
    # With PostgreSQL, its schedule may have added a dependent since the row was read.
    is_followed = row.has_dependencies or (row.schedule_id is not None and has_many_writers(connection))
    is_success = decision.outcome is not None and decision.outcome.status is Status.ENDED_SUCCESS
    ended = [(row.id, is_success)] if is_followed else []
    while ended:  # not recursive, because a chain of dependents can be long
        on_id, is_success = ended.pop()
        for dependent in dependencies.end(connection, on_id):
            lock_execution(connection, dependent)
            held = connection.execute(
                select(_c.is_held, _c.attempt, _c.schedule_id).where(_c.id == dependent)
            ).one_or_none()
            if held is None or not held.is_held:  # a waiting run checks for itself
                continue
            # Occurrences of a schedule are independent: each waits for the end of the one before, whatever its outcome.
            if not is_success and held.schedule_id is None:
                following = connection.execute(_ENDING, {EXECUTION_ID: dependent}).one()
                failed = lifecycle.after_end(_after_failure(on_id), durable=following.durable)
                _end(connection, following, held.attempt, failed, now=now)
                ended.append((dependent, False))
            elif not dependencies.has_any(connection, dependent):
                release(connection, dependent, now=now)


def _end(
    connection: Connection,
    row: Row[*tuple[Any, ...]],
    attempt: int,
    decision: Decision,
    *,
    now: datetime,
    user_name: str | None = None,
) -> None:
    outcome = decision.outcome
    assert outcome is not None, "the end of an execution has an outcome"
    values = _values_of_end(connection, row, outcome, now=now)
    ending = changing(lifecycle.origins(outcome.status))
    if not connection.execute(ending, {EXECUTION_ID: row.id, ATTEMPT: attempt, **values}).rowcount:
        raise StaleAttempt(row.id, attempt)
    connection.execute(_FORGET_PASSING, {"of": row.id})
    if decision.forgets_calls:
        forget_all(connection, row.id)
    if decision.wakes_waiters and row.has_waiters:
        wake(connection, row.id, now=now)
    if row.schedule_id is not None:
        run_ended(connection, row.schedule_id, row.id, outcome.status, now=now)
    if row.follow_ups:
        note_end(connection, row, decision.occasions, now=now)
    if decision.releases_locks and row.has_locks:
        release_all(connection, row.id, now=now)
    error = outcome.error.name if outcome.error else None
    details = {"user_name": user_name, "message": outcome.message, "error": error}
    tell(connection, row.id, outcome.status, now=now, **details)
    if decision.withdraws_messages:
        withdraw(connection, row.id, now=now)
    if row.has_children:
        _stop_children(connection, row.id, decision.children, now=now)


def _values_of_end(
    connection: Connection, row: Row[*tuple[Any, ...]], outcome: Outcome, *, now: datetime
) -> dict[str, Any]:
    minutes = row.retention_minutes
    if minutes is None:
        minutes = value_of(connection, settings.RETENTION, user_name=row.user_name)
    return {
        "status": outcome.status,
        "ended_at": now,
        "expires_at": now + timedelta(minutes=minutes),
        "worker_id": None,
        "wants_slot": False,
        "wants_pause": False,
        "is_held": False,
        **_found(outcome),
    }


def release(connection: Connection, execution_id: str, *, now: datetime) -> None:
    """Release a held execution, so that workers can claim it."""
    is_held = (_c.id == execution_id, _c.status == Status.PENDING.value, _c.is_held)
    if connection.execute(update(executions).where(*is_held).values(is_held=False)).rowcount:
        record(connection, EXECUTION_RELEASED, EXECUTION, execution_id, time=now)


def fail_dependent(connection: Connection, execution_id: str, *, on_id: str, now: datetime) -> None:
    """End a held execution in error because `on_id`, on which it depends, did not end in success."""
    c = executions.c
    attempt = connection.execute(select(c.attempt).where(c.id == execution_id)).scalar_one()
    end(connection, execution_id, attempt, _after_failure(on_id), now=now)


def stop(
    connection: Connection, execution: Row[*tuple[Any, ...]], *, reason: str, now: datetime, user_name: str | None
) -> bool:
    """End an execution, or ask its worker to if it has processes; return whether it has ended."""
    # The kernel of an interactive execution belongs to its user: only the record ends.
    if execution.worker_id is None or execution.type == ExecutionType.INTERACTIVE:
        outcome = Outcome(status=Status.ENDED_CANCELLED, message=reason)
        end(connection, execution.id, execution.attempt, outcome, now=now, user_name=user_name)
        return True
    has_worker = (_c.id == execution.id, _c.attempt == execution.attempt, _c.worker_id == execution.worker_id)
    if not connection.execute(update(executions).where(*has_worker).values(stop_reason=reason)).rowcount:
        raise StaleAttempt(execution.id, execution.attempt)
    record(
        connection,
        EXECUTION_CANCEL_REQUESTED,
        EXECUTION,
        execution.id,
        time=now,
        user_name=user_name,
        reason=reason,
    )
    return False


def tell(
    connection: Connection,
    execution_id: str,
    status: Status,
    *,
    now: datetime,
    kind: str | None = None,
    user_name: str | None = None,
    **more: Any,
) -> None:
    """Record the move to `status` as an event of type `kind`, by default the type that belongs to the state."""
    record(
        connection,
        kind or OF_STATUS[status],
        EXECUTION,
        execution_id,
        time=now,
        user_name=user_name,
        status=status,
        **{name: value for name, value in more.items() if value is not None},
    )


def _retry(connection: Connection, row: Row[*tuple[Any, ...]], decision: Decision, *, now: datetime) -> None:
    outcome, due = decision.outcome, decision.due
    assert outcome is not None, "a retry follows a failure"
    assert due is not None, "a retry has a time"
    values = {"failures": executions.c.failures + 1, "scheduled_for": due, **_found(outcome)}
    if decision.forgets_calls:
        forget_all(connection, row.id)
        values |= {"output_value": {}, "sealed_outputs": None}
    error = outcome.error.name if outcome.error else None
    details = {"error": error, "message": outcome.message, "scheduled_for": rfc3339(due)}
    _give_up(connection, row.id, row.attempt, values, now=now, **details)
    if decision.releases_locks:
        release_all(connection, row.id, now=now)
    _warn(connection, row.id, decision.log, now=now)
    if decision.withdraws_messages:
        withdraw(connection, row.id, now=now)
    _stop_children(connection, row.id, decision.children, now=now)


def _replay(connection: Connection, row: Row[*tuple[Any, ...]], decision: Decision, *, now: datetime) -> None:
    """Let a durable execution go on by a replay: at once, or when what it waits for is over."""
    counted = {"deaths": decision.deaths, "died_at_call": decision.died_at_call}
    if counted != {"deaths": row.deaths, "died_at_call": row.died_at_call}:
        connection.execute(update(executions).where(executions.c.id == row.id).values(**counted))
    _warn(connection, row.id, decision.log, now=now)
    if not detach(connection, row.id, row.attempt):
        forget(connection, row.id)
        requeue(connection, row.id, row.attempt, now=now, reason=decision.reason)


def _warn(connection: Connection, execution_id: str, text: str | None, *, now: datetime) -> None:
    if text is not None:
        append(connection, execution_id, [LogLine(time=now, level="warning", text=text)], now=now)


def _calls_made(connection: Connection, execution_id: str) -> int:
    """Return the number of recorded calls of a durable execution."""
    last = select(func.max(calls.c.position)).where(calls.c.execution_id == execution_id)
    return int(connection.execute(last).scalar() or 0)


def detach(connection: Connection, execution_id: str, attempt: int) -> bool:
    """Let a durable execution wait without a worker.

    Return False if it is not waiting, its wait is over, or it has a stop request.
    """
    c = executions.c
    is_waiting = or_(c.wake_after > 0, and_(c.wake_after.is_(None), c.wake_at.is_not(None)))
    values = {"worker_id": None, "wants_slot": False}
    # An execution with a stop request keeps its worker, because only that worker applies the request.
    mine = (c.id == execution_id, c.attempt == attempt, c.status == Status.WAITING.value, c.stop_reason.is_(None))
    return connection.execute(update(executions).where(*mine, is_waiting).values(**values)).rowcount > 0


def _give_up(
    connection: Connection, execution_id: str, attempt: int, values: JsonObject, *, now: datetime, **details: Any
) -> None:
    c = executions.c
    is_paused = or_(c.status == Status.PAUSED.value, c.wants_pause)
    values = {
        "status": case((is_paused, Status.PAUSED.value), else_=Status.PENDING.value),
        "worker_id": None,
        "started_at": None,
        "wants_slot": False,
        "wants_pause": False,
        **values,
    }
    row = change(connection, execution_id, attempt, values, LEASED)
    dependencies.forget(connection, execution_id)
    tell(connection, execution_id, Status(row.status), now=now, kind=EXECUTION_REQUEUED, attempt=attempt, **details)


def _found(outcome: Outcome) -> JsonObject:
    """Return the column values that record the end of a run; without a new message the last one stays."""
    values: JsonObject = {"error": outcome.error.model_dump(mode="json") if outcome.error else None}
    if outcome.message is not None:
        values["message"] = outcome.message
    if outcome.progress is not None:
        values["progress"] = outcome.progress.model_dump()
    if outcome.notebook is not None:
        values["notebook"] = outcome.notebook
    return values


def _after_failure(on_id: str) -> Outcome:
    value = f"It was to run after {on_id}, which did not end in success."
    error = ErrorDetail(name="DependencyFailedError", value=value)
    return Outcome(status=Status.ENDED_ERROR, message=value, error=error)


def _stop_children(connection: Connection, execution_id: str, what: Children, *, now: datetime) -> None:
    """Stop the children of a run: it no longer waits for them, and another attempt starts its own."""
    if what is Children.KEEP:
        return
    query = _HELD_CHILDREN if what is Children.STOP_HELD else _CHILDREN
    for child in connection.execute(query, {"parent": execution_id}).all():
        if what is Children.STOP_HELD and dependencies.has_any(connection, child.id):
            continue
        with suppress(StaleAttempt):  # the end of another child, earlier in this loop, has ended it
            stop(connection, child, reason=PARENT_ENDED, now=now, user_name=None)
