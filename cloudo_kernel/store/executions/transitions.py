"""The moves of one execution from state to state, each with its event, inside a transaction that others open.

Whoever reports about a run names its `attempt`; a report of another attempt than the current one raises
`StaleAttempt` and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, case, delete, exists, func, or_, select, update

from cloudo_kernel import settings
from cloudo_kernel.errors import StaleAttempt
from cloudo_kernel.models import ErrorDetail, ExecutionType, JsonObject, LogLine, Progress, Status, lifecycle, rfc3339
from cloudo_kernel.models.event_types import (
    EXECUTION,
    EXECUTION_CANCEL_REQUESTED,
    EXECUTION_RELEASED,
    EXECUTION_REQUEUED,
    OF_STATUS,
    PASSING,
)
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions import dependencies
from cloudo_kernel.store.executions.fencing import ATTEMPT, EXECUTION_ID, LEASED, change, changing
from cloudo_kernel.store.executions.log import append
from cloudo_kernel.store.executions.records import ENDED
from cloudo_kernel.store.executions.wakeups import forget, forget_all, wake
from cloudo_kernel.store.locks import release_all
from cloudo_kernel.store.messages import withdraw
from cloudo_kernel.store.schedules.counters import run_ended
from cloudo_kernel.store.schedules.follow_ups import note_end
from cloudo_kernel.store.settings import value_of
from cloudo_kernel.store.tables import calls, events, executions, lock_waiters, locks, waits
from cloudo_kernel.store.tables import dependencies as dependency_rows

#: The longest wait before a retry.
_MAX_DELAY_SECONDS = 86_400.0
PARENT_ENDED = "its parent ended"
#: The errors of runs that were cut off.
_DEATHS = ("KernelDied", "WorkerLost", "Timeout")
#: A durable execution that dies so often without a new call in between does not try again.
_MAX_DEATHS = 5


# Made once, as every run ends: making a statement takes SQLAlchemy several times as long as running it.
_c = executions.c
_UNSTOPPED = (_c.stop_reason.is_(None), *(_c.status != status for status in ENDED))
_children = executions.alias()
_ch, _d = _children.c, dependency_rows.c
#: What decides about what an end leads to, with whether there is anybody whom it concerns: hardly ever.
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
_HELD_CHILDREN = _CHILDREN.where(_c.is_held)
_FORGET_PASSING = delete(events).where(
    events.c.subject_id == bindparam("of"), or_(*(events.c.type == kind for kind in PASSING))
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    status: Status
    message: str | None = None
    error: ErrorDetail | None = None
    progress: Progress | None = None
    #: Path of the executed notebook; None if the run did not write it.
    notebook: str | None = None
    #: The server was stopped under it: no failure of its own, but tried again as one where a retry is left.
    is_interrupted: bool = False

    @property
    def is_death(self) -> bool:
        """Whether it was cut off, by no word of its own: what a durable execution survives."""
        return self.is_interrupted or (self.error is not None and self.error.name in _DEATHS)

    @property
    def reason(self) -> str:
        """Why it ended, on one line."""
        if self.error is None:
            return self.message or self.status
        return f"{self.error.name}: {self.error.value}".strip().split("\n", 1)[0][:500]


def requeue(connection: Connection, execution_id: str, attempt: int, *, now: datetime, **told: Any) -> None:
    """Give a run up: the execution is pending again, or paused if that was wanted. `told` goes into the event."""
    _give_up(connection, execution_id, attempt, {}, now=now, **told)


def end_run(connection: Connection, execution_id: str, attempt: int, outcome: Outcome, *, now: datetime) -> None:
    """End a run, and with it the execution, unless the run failed and has a retry left."""
    row = connection.execute(_ENDING, {EXECUTION_ID: execution_id}).one_or_none()
    if row is None or row.attempt != attempt or row.status not in LEASED:
        raise StaleAttempt(execution_id, attempt)
    if row.durable and row.stop_reason is None and outcome.is_death and _survive(connection, row, outcome, now=now):
        return
    has_failed = outcome.status is Status.ENDED_ERROR or outcome.is_interrupted
    if not has_failed or row.stop_reason is not None or row.failures >= row.retries:
        _end_all(connection, row, attempt, outcome, now=now)
        return
    seconds = min(row.retry_delay_seconds * 2**row.failures, _MAX_DELAY_SECONDS)
    _retry(connection, execution_id, attempt, outcome, seconds=seconds, now=now, is_durable=row.durable)


def end(
    connection: Connection,
    execution_id: str,
    attempt: int,
    outcome: Outcome,
    *,
    now: datetime,
    user_name: str | None = None,
) -> None:
    """End the execution; if not in success, its children and its input requests too.

    What was to run after it is released, or ends too.
    """
    row = connection.execute(_ENDING, {EXECUTION_ID: execution_id}).one_or_none()
    if row is None:  # ended by others, and deleted since
        raise StaleAttempt(execution_id, attempt)
    _end_all(connection, row, attempt, outcome, now=now, user_name=user_name)


def _end_all(
    connection: Connection,
    row: Row[*tuple[Any, ...]],
    attempt: int,
    outcome: Outcome,
    *,
    now: datetime,
    user_name: str | None = None,
) -> None:
    """End the execution of the row, and what cannot run after that."""
    _end(connection, row, attempt, outcome, now=now, user_name=user_name)
    # With PostgreSQL its schedule may have queued another one behind it since the row was read.
    is_followed = row.has_dependencies or (row.schedule_id is not None and connection.dialect.name != "sqlite")
    ended = [(row.id, outcome.status is Status.ENDED_SUCCESS)] if is_followed else []
    while ended:  # a long row of dependents must not become as many calls in each other
        on_id, is_success = ended.pop()
        for dependent in dependencies.end(connection, on_id):
            held = connection.execute(
                select(_c.is_held, _c.attempt, _c.schedule_id).where(_c.id == dependent)
            ).one_or_none()
            if held is None or not held.is_held:  # a run that waits looks for itself
                continue
            # Of a schedule each occurrence stands for itself: it only waits until the one before is out of the way.
            if not is_success and held.schedule_id is None:
                following = connection.execute(_ENDING, {EXECUTION_ID: dependent}).one()
                _end(connection, following, held.attempt, _after_failure(on_id), now=now)
                ended.append((dependent, False))
            elif not dependencies.has_any(connection, dependent):
                release(connection, dependent, now=now)


def _end(
    connection: Connection,
    row: Row[*tuple[Any, ...]],
    attempt: int,
    outcome: Outcome,
    *,
    now: datetime,
    user_name: str | None = None,
) -> None:
    minutes = row.retention_minutes
    if minutes is None:
        minutes = value_of(connection, settings.RETENTION, user_name=row.user_name)
    values: dict[str, Any] = {
        "status": outcome.status,
        "ended_at": now,
        "expires_at": now + timedelta(minutes=minutes),
        "worker_id": None,
        "wants_slot": False,
        "wants_pause": False,
        "is_held": False,
        **_found(outcome),
    }
    ending = changing(lifecycle.origins(outcome.status))
    if not connection.execute(ending, {EXECUTION_ID: row.id, ATTEMPT: attempt, **values}).rowcount:
        raise StaleAttempt(row.id, attempt)
    connection.execute(_FORGET_PASSING, {"of": row.id})
    if row.durable:
        forget_all(connection, row.id)
    if row.has_waiters:
        wake(connection, row.id, now=now)
    if row.schedule_id is not None:
        run_ended(connection, row.schedule_id, row.id, outcome.status, now=now)
    if row.follow_ups:
        note_end(connection, row, outcome.status, now=now)
    if row.has_locks:
        release_all(connection, row.id, now=now)
    error = outcome.error.name if outcome.error else None
    told = {"user_name": user_name, "message": outcome.message, "error": error}
    tell(connection, row.id, outcome.status, now=now, **told)
    is_success = outcome.status is Status.ENDED_SUCCESS
    # What it started and asked outlives a success: another execution may wait for it.
    if not is_success:
        withdraw(connection, row.id, now=now)
    if row.has_children:
        _stop_children(connection, row.id, now=now, only_held=is_success)


def release(connection: Connection, execution_id: str, *, now: datetime) -> None:
    """Let a held execution be claimed."""
    connection.execute(update(executions).where(executions.c.id == execution_id).values(is_held=False))
    record(connection, EXECUTION_RELEASED, EXECUTION, execution_id, time=now)


def fail_dependent(connection: Connection, execution_id: str, *, on_id: str, now: datetime) -> None:
    """End a held execution because one that it was to follow did not end in success."""
    c = executions.c
    attempt = connection.execute(select(c.attempt).where(c.id == execution_id)).scalar_one()
    end(connection, execution_id, attempt, _after_failure(on_id), now=now)


def stop(
    connection: Connection, execution: Row[*tuple[Any, ...]], *, reason: str, now: datetime, user_name: str | None
) -> bool:
    """End an execution that has no process, or ask its worker to; return whether it has ended."""
    # Of one worked on by hand the kernel is its user's: only the record ends.
    if execution.worker_id is None or execution.type == ExecutionType.INTERACTIVE:
        outcome = Outcome(status=Status.ENDED_CANCELLED, message=reason)
        end(connection, execution.id, execution.attempt, outcome, now=now, user_name=user_name)
        return True
    connection.execute(update(executions).where(executions.c.id == execution.id).values(stop_reason=reason))
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
    """Record the move to `status`, as an event of `kind` or of the one that belongs to the state."""
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


def _retry(
    connection: Connection,
    execution_id: str,
    attempt: int,
    outcome: Outcome,
    *,
    seconds: float,
    now: datetime,
    is_durable: bool,
) -> None:
    due = now + timedelta(seconds=seconds)
    values = {"failures": executions.c.failures + 1, "scheduled_for": due, **_found(outcome)}
    if is_durable:  # what it did counts no more
        forget_all(connection, execution_id)
        values |= {"output_value": {}, "sealed_outputs": None}
    error = outcome.error.name if outcome.error else None
    told = {"error": error, "message": outcome.message, "scheduled_for": rfc3339(due)}
    _give_up(connection, execution_id, attempt, values, now=now, **told)
    release_all(connection, execution_id, now=now)
    when = f"in {seconds:g} s" if seconds else "at once"
    how = "was interrupted" if outcome.is_interrupted else "failed"
    text = f"Attempt {attempt} {how} ({outcome.reason}); trying again {when}"
    append(connection, execution_id, [LogLine(time=now, level="warning", text=text)], now=now)
    withdraw(connection, execution_id, now=now)
    _stop_children(connection, execution_id, now=now)


def _survive(connection: Connection, row: Row[*tuple[Any, ...]], outcome: Outcome, *, now: datetime) -> bool:
    """Have a durable execution go on by a replay; False: it has died too often without getting anywhere."""
    c = executions.c
    if not outcome.is_interrupted:
        made = (
            connection.execute(select(func.max(calls.c.position)).where(calls.c.execution_id == row.id)).scalar() or 0
        )
        deaths = row.deaths + 1 if made <= row.died_at_call else 1
        if deaths >= _MAX_DEATHS:
            return False
        values = {"deaths": deaths, "died_at_call": made}
        connection.execute(update(executions).where(c.id == row.id).values(**values))
        text = f"Attempt {row.attempt} was cut off ({outcome.reason}); a replay goes on from there"
        append(connection, row.id, [LogLine(time=now, level="warning", text=text)], now=now)
    if not detach(connection, row.id, row.attempt):
        forget(connection, row.id)
        requeue(connection, row.id, row.attempt, now=now, reason=outcome.reason)
    return True


def detach(connection: Connection, execution_id: str, attempt: int) -> bool:
    """Have a durable execution wait without a worker; False: it does not wait, need not any more, or is to end."""
    c = executions.c
    is_waiting = or_(c.wake_after > 0, and_(c.wake_after.is_(None), c.wake_at.is_not(None)))
    values = {"worker_id": None, "wants_slot": False}
    # Whose end is wished for keeps its worker: nobody else would fulfil that.
    mine = (c.id == execution_id, c.attempt == attempt, c.status == Status.WAITING.value, c.stop_reason.is_(None))
    return connection.execute(update(executions).where(*mine, is_waiting).values(**values)).rowcount > 0


def _give_up(
    connection: Connection, execution_id: str, attempt: int, values: JsonObject, *, now: datetime, **told: Any
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
    tell(connection, execution_id, Status(row.status), now=now, kind=EXECUTION_REQUEUED, attempt=attempt, **told)


def _found(outcome: Outcome) -> JsonObject:
    """Return what the record keeps of a run's end; without a message of its own the last one stays."""
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


def _stop_children(connection: Connection, execution_id: str, *, now: datetime, only_held: bool = False) -> None:
    """End what the run started: nobody waits for it any more, and another attempt starts its own.

    After a success only what nobody let run: nobody will. What is to run after others goes on.
    """
    query = _HELD_CHILDREN if only_held else _CHILDREN
    for child in connection.execute(query, {"parent": execution_id}).all():
        if only_held and dependencies.has_any(connection, child.id):
            continue
        stop(connection, child, reason=PARENT_ENDED, now=now, user_name=None)
