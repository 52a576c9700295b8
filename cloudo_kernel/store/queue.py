"""The store as queue: claims, leases and every move of an execution from one state to another.

A move and its event are one transaction. Whoever reports about a run names its `attempt`;
a report of another attempt than the current one raises `StaleAttempt` and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, or_, select, update

from cloudo_kernel import lifecycle, settings
from cloudo_kernel.errors import ExecutionNotFound, IllegalTransition, StaleAttempt
from cloudo_kernel.events import (
    EXECUTION,
    EXECUTION_CANCEL_REQUESTED,
    EXECUTION_CHANGED,
    EXECUTION_PROGRESSED,
    EXECUTION_RESUMED,
    PASSING,
    WORKER,
    WORKER_LOST,
    WORKER_STOPPED,
)
from cloudo_kernel.models import ErrorDetail, Execution, JsonObject, Progress, Status
from cloudo_kernel.store.database import Database
from cloudo_kernel.store.events import history, record, tell
from cloudo_kernel.store.executions import ENDED, to_record
from cloudo_kernel.store.settings import value_of
from cloudo_kernel.tables import events, executions, sources, workers

_LEASED = (Status.RUNNING.value, Status.WAITING.value)


@dataclass(frozen=True)
class Claim:
    """An execution that a worker may run now."""

    id: str
    attempt: int
    timeout_seconds: float | None
    kernel: str


@dataclass(frozen=True)
class Assignment:
    """All that is needed to run a claimed execution."""

    execution: Execution
    source: str
    kernel: str
    folder: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    status: Status
    message: str | None = None
    error: ErrorDetail | None = None
    progress: Progress | None = None


class Queue:
    """Moves executions through their life."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, worker_id: str, *, free: int, private: bool = False) -> tuple[Claim, ...]:
        """Take up to `free` executions, oldest first, as far as the whole store has slots.

        A private worker takes only what is reserved for it, any other only what is reserved for nobody. A worker that
        has lost its lease gets nothing: nobody would notice if it died.
        """
        now, c = self._database.clock(), executions.c
        with self._database.write() as connection:
            room = min(free, _free_slots(connection))
            if room <= 0 or not _is_registered(connection, worker_id):
                return ()
            due = (
                select(c.id)
                .where(
                    c.status == Status.PENDING,
                    or_(c.scheduled_for.is_(None), c.scheduled_for <= now),
                    c.reserved_for == worker_id if private else c.reserved_for.is_(None),
                )
                .order_by(c.created_at, c.id)
                .limit(room)
            )
            claimed = connection.execute(
                update(executions)
                .where(c.id.in_(due.scalar_subquery()))
                .values(
                    status=Status.RUNNING,
                    worker_id=worker_id,
                    attempt=c.attempt + 1,
                    started_at=None,
                    wants_slot=False,
                )
                .returning(c.id, c.attempt, c.timeout_seconds, c.kernel, c.created_at)
            ).all()
            claimed = sorted(claimed, key=lambda row: (row.created_at, row.id))
            for row in claimed:
                tell(connection, row.id, Status.RUNNING, now, attempt=row.attempt, worker_id=worker_id)
        return tuple(Claim(row.id, row.attempt, row.timeout_seconds, row.kernel) for row in claimed)

    def next_due(self) -> datetime | None:
        """Return the earliest future `scheduled_for` of a pending execution."""
        query = select(func.min(executions.c.scheduled_for)).where(
            executions.c.status == Status.PENDING, executions.c.scheduled_for > self._database.clock()
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def begin(self, execution_id: str, attempt: int, *, notebook: str) -> Assignment:
        """Note that the run really starts now, and return what it needs."""
        now = self._database.clock()
        with self._database.write() as connection:
            row = self._change(
                connection,
                execution_id,
                attempt,
                {"started_at": now, "notebook": notebook},
                (Status.RUNNING,),
            )
            source = connection.execute(
                select(sources.c.text).where(sources.c.sha256 == row.source_sha256)
            ).scalar_one()
            record(connection, EXECUTION_CHANGED, EXECUTION, execution_id, time=now, started=True)
        return Assignment(to_record(row), source, row.kernel, row.folder)

    def progress(self, execution_id: str, attempt: int, progress: Progress) -> None:
        """Record how far the run is."""
        values = progress.model_dump()
        with self._database.write() as connection:
            self._change(connection, execution_id, attempt, {"progress": values}, (Status.RUNNING, Status.WAITING))
            record(
                connection,
                EXECUTION_PROGRESSED,
                EXECUTION,
                execution_id,
                time=self._database.clock(),
                **values,
            )

    def save(self, execution_id: str, attempt: int, fields: JsonObject) -> None:
        """Change fields that a running flow may change: `name`, `message`, `output_value`."""
        with self._database.write() as connection:
            self._change(connection, execution_id, attempt, fields, (Status.RUNNING, Status.WAITING))
            record(
                connection,
                EXECUTION_CHANGED,
                EXECUTION,
                execution_id,
                time=self._database.clock(),
                fields=sorted(fields),
            )

    def wait(self, execution_id: str, attempt: int, *, message: str) -> None:
        """Give the slot back while the run waits."""
        now = self._database.clock()
        with self._database.write() as connection:
            values = {"status": Status.WAITING, "message": message, "wants_slot": False}
            self._change(connection, execution_id, attempt, values, (Status.RUNNING,))
            tell(connection, execution_id, Status.WAITING, now, message=message)

    def resume(self, execution_id: str, attempt: int) -> bool:
        """Take a slot again after a wait, ahead of new work; False: there is none now, ask again."""
        now = self._database.clock()
        with self._database.write() as connection:
            has_slot = _free_slots(connection, counting_wanted=False) > 0
            values = (
                {"status": Status.RUNNING, "message": None, "wants_slot": False} if has_slot else {"wants_slot": True}
            )
            self._change(connection, execution_id, attempt, values, (Status.WAITING,))
            if has_slot:
                record(connection, EXECUTION_RESUMED, EXECUTION, execution_id, time=now)
        return has_slot

    def finish(self, execution_id: str, attempt: int, outcome: Outcome) -> None:
        """End the run."""
        with self._database.write() as connection:
            self._end(connection, executions.c.attempt == attempt, execution_id, attempt, outcome)

    def requeue(self, execution_id: str, attempt: int, *, reason: str) -> None:
        """Put a run that could not begin back into the queue."""
        now = self._database.clock()
        with self._database.write() as connection:
            values = {"status": Status.PENDING, "worker_id": None, "started_at": None}
            self._change(connection, execution_id, attempt, values, (Status.RUNNING,))
            tell(connection, execution_id, Status.PENDING, now, reason=reason)

    def cancel(self, execution_id: str, *, user_name: str, reason: str) -> bool:
        """End an execution that holds no process, or ask its worker to; True when it has ended with this call."""
        now, c = self._database.clock(), executions.c
        with self._database.write() as connection:
            row = connection.execute(select(executions).where(c.id == execution_id)).one_or_none()
            if row is None:
                raise ExecutionNotFound(execution_id)
            lifecycle.check(
                execution_id,
                Status(row.status),
                Status.ENDED_CANCELLED,
                history=history(connection, execution_id),
            )
            if row.status in _LEASED:
                connection.execute(update(executions).where(c.id == execution_id).values(stop_reason=reason))
                record(
                    connection,
                    EXECUTION_CANCEL_REQUESTED,
                    EXECUTION,
                    execution_id,
                    time=now,
                    user_name=user_name,
                    reason=reason,
                )
                return False
            outcome = Outcome(status=Status.ENDED_CANCELLED, message=reason)
            self._end(connection, c.attempt == row.attempt, execution_id, row.attempt, outcome, user_name=user_name)
            return True

    def to_stop(self, worker_id: str) -> dict[str, str]:
        """Return the worker's executions that somebody wants to end, with the reason."""
        c = executions.c
        query = select(c.id, c.stop_reason).where(
            c.worker_id == worker_id, c.status.in_(_LEASED), c.stop_reason.is_not(None)
        )
        with self._database.read() as connection:
            return {row.id: row.stop_reason for row in connection.execute(query)}

    def has_reserved(self, worker_id: str) -> bool:
        """Return whether anything that is reserved for the worker has not ended."""
        c = executions.c
        query = select(c.id).where(c.reserved_for == worker_id, c.status.not_in(ENDED)).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).scalar() is not None

    def counts(self) -> dict[str, int]:
        """Return how many executions there are in each state that is not an end."""
        query = (
            select(executions.c.status, func.count().label("number"))
            .where(executions.c.status.not_in(ENDED))
            .group_by(executions.c.status)
        )
        with self._database.read() as connection:
            return {row.status: row.number for row in connection.execute(query)}

    def check_current(self, execution_id: str, attempt: int) -> None:
        """Raise `StaleAttempt` unless the attempt is the current one and has not ended."""
        c = executions.c
        query = select(c.id).where(c.id == execution_id, c.attempt == attempt, c.status.in_(_LEASED))
        with self._database.read() as connection:
            if connection.execute(query).scalar() is None:
                raise StaleAttempt(execution_id, attempt)

    def release(
        self, worker_id: str, *, lost: bool, heir: str | None = None, heartbeat: int | None = None
    ) -> tuple[str, ...]:
        """Take a worker's registration and leases away, and return the executions that this touched.

        Given a `heartbeat`, only if it still stands there: the worker may have come back since somebody looked.

        A run that had not really begun is `PENDING` again; one that had ends: `WorkerLost`, or cancelled where
        somebody had asked for that. What was reserved for the worker is then for its heir, or else for anybody.
        """
        now, c = self._database.clock(), executions.c
        with self._database.write() as connection:
            is_meant = workers.c.id == worker_id
            if heartbeat is not None:
                is_meant &= workers.c.heartbeat == heartbeat
            removed = connection.execute(delete(workers).where(is_meant)).rowcount
            if heartbeat is not None and not removed:
                return ()
            if removed:
                record(connection, WORKER_LOST if lost else WORKER_STOPPED, WORKER, worker_id, time=now)
            connection.execute(
                update(executions)
                .where(c.reserved_for == worker_id, c.status == Status.PENDING)
                .values(reserved_for=heir)
            )
            held = connection.execute(
                select(c.id, c.attempt, c.started_at, c.stop_reason, c.reserved_for).where(
                    c.worker_id == worker_id, c.status.in_(_LEASED)
                )
            ).all()
            for row in held:
                self._release_one(connection, row, heir, now)
        return tuple(row.id for row in held)

    def _release_one(
        self, connection: Connection, held: Row[*tuple[Any, ...]], heir: str | None, now: datetime
    ) -> None:
        is_current = executions.c.attempt == held.attempt
        if held.stop_reason is not None:
            outcome = Outcome(status=Status.ENDED_CANCELLED, message=held.stop_reason)
            self._end(connection, is_current, held.id, held.attempt, outcome)
        elif held.started_at is None:
            values: dict[str, Any] = {"status": Status.PENDING, "worker_id": None}
            if held.reserved_for is not None:
                values["reserved_for"] = heir
            self._change(connection, held.id, held.attempt, values, (Status.RUNNING,))
            tell(connection, held.id, Status.PENDING, now, reason="its worker was lost before it had begun")
        else:
            error = ErrorDetail(name="WorkerLost", value="The worker that ran it died, or lost its lease.")
            outcome = Outcome(status=Status.ENDED_ERROR, message="worker lost", error=error)
            self._end(connection, is_current, held.id, held.attempt, outcome)

    def _change(
        self,
        connection: Connection,
        execution_id: str,
        attempt: int,
        values: JsonObject,
        expected: Sequence[Status],
    ) -> Any:
        """Update the row of a live attempt and return it. Raises `StaleAttempt`, `IllegalTransition`."""
        c = executions.c
        row = connection.execute(
            update(executions)
            .where(c.id == execution_id, c.attempt == attempt, c.status.in_(expected))
            .values(**values)
            .returning(executions)
        ).one_or_none()
        if row is not None:
            return row
        current = connection.execute(select(c.attempt, c.status).where(c.id == execution_id)).one_or_none()
        if current is None or current.attempt != attempt or current.status in ENDED:
            raise StaleAttempt(execution_id, attempt)
        wanted = values.get("status", current.status)
        raise IllegalTransition(execution_id, current.status, wanted, history(connection, execution_id))

    def _end(
        self,
        connection: Connection,
        is_current: ColumnElement[bool],
        execution_id: str,
        attempt: int,
        outcome: Outcome,
        *,
        user_name: str | None = None,
    ) -> None:
        now, c = self._database.clock(), executions.c
        row = connection.execute(select(c.retention_minutes).where(c.id == execution_id)).one_or_none()
        if row is None:  # ended by others, and deleted since
            raise StaleAttempt(execution_id, attempt)
        minutes = row.retention_minutes
        if minutes is None:
            minutes = value_of(connection, settings.RETENTION)
        values: dict[str, Any] = {
            "status": outcome.status,
            "ended_at": now,
            "expires_at": now + timedelta(minutes=minutes),
            "worker_id": None,
            "wants_slot": False,
            "error": outcome.error.model_dump(mode="json") if outcome.error else None,
        }
        if outcome.message is not None:
            values["message"] = outcome.message
        if outcome.progress is not None:
            values["progress"] = outcome.progress.model_dump()
        origins = [status.value for status in lifecycle.origins(outcome.status)]
        ended = connection.execute(
            update(executions).where(c.id == execution_id, is_current, c.status.in_(origins)).values(**values)
        )
        if not ended.rowcount:
            raise StaleAttempt(execution_id, attempt)
        connection.execute(delete(events).where(events.c.subject_id == execution_id, events.c.type.in_(PASSING)))
        tell(
            connection,
            execution_id,
            outcome.status,
            now,
            user_name=user_name,
            message=outcome.message,
            error=outcome.error.name if outcome.error else None,
        )


def _free_slots(connection: Connection, *, counting_wanted: bool = True) -> int:
    """Return how many more may run in the whole store; those that want their slot back come first."""
    c = executions.c
    taken = c.status == Status.RUNNING
    if counting_wanted:
        taken = or_(taken, (c.status == Status.WAITING) & c.wants_slot)
    running = connection.execute(select(func.count()).where(taken)).scalar_one()
    return int(value_of(connection, settings.MAX_RUNNING)) - running


def _is_registered(connection: Connection, worker_id: str) -> bool:
    return connection.execute(select(workers.c.id).where(workers.c.id == worker_id)).scalar() is not None
