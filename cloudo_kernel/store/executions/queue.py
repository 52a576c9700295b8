"""The store as queue: who may run now, and which worker holds what."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, or_, select, update

from cloudo_kernel.models import EngineTier, ErrorDetail, ExecutionType, Status
from cloudo_kernel.models.event_types import WORKER, WORKER_LOST, WORKER_STOPPED
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions.fencing import LEASED, check_live
from cloudo_kernel.store.executions.records import ENDED
from cloudo_kernel.store.executions.slots import Slots
from cloudo_kernel.store.executions.transitions import Outcome, end, end_run, requeue, tell
from cloudo_kernel.store.executions.wakeups import is_any_overdue, next_wake, wake_overdue
from cloudo_kernel.store.schedules.follow_ups import release_claims
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import executions, follow_ups, workers

_UNENDED = (Status.PENDING, *LEASED)

# Made once, as each look at the queue asks, and each commit leads to a look.
_REGISTERED = select(workers.c.id).where(workers.c.id == bindparam("worker"))
_NEXT_SCHEDULED = (
    select(executions.c.scheduled_for)
    # Not the bare state, along whose index SQLite would look at the whole queue; that of the times leads to the first.
    .where(executions.c.status.concat("") == Status.PENDING.value, ~executions.c.is_held)
    .where(executions.c.scheduled_for > bindparam("now"))
    .order_by(executions.c.scheduled_for)
    .limit(1)
)
# The states by name: "none that is an end" would go through all executions that there ever were.
_COUNTS = (
    select(executions.c.status, func.count().label("number"))
    .where(executions.c.status.in_([status.value for status in _UNENDED]))
    .group_by(executions.c.status)
)
_c = executions.c
#: What may begin now, of those that are reserved for nobody, or for a private worker.
_IS_DUE = {
    is_private: and_(
        _c.status == Status.PENDING.value,
        or_(_c.scheduled_for.is_(None), _c.scheduled_for <= bindparam("now")),
        ~_c.is_held,
        _c.reserved_for == bindparam("worker") if is_private else _c.reserved_for.is_(None),
    )
    for is_private in (False, True)
}
_NEXT = {
    is_private: select(_c.id, _c.flow_name, _c.max_running)
    .where(is_due)
    .order_by(_c.rank, _c.created_at, _c.id)
    .limit(bindparam("most"))
    for is_private, is_due in _IS_DUE.items()
}
_TAKE = (
    update(executions)
    .where(_c.id == bindparam("of"), _c.status == Status.PENDING.value)
    .values(status=Status.RUNNING.value, worker_id=bindparam("worker"), attempt=_c.attempt + 1, started_at=None)
    .returning(_c.id, _c.attempt, _c.timeout_seconds, _c.kernel, _c.engine, _c.durable, _c.flow_name)
)


_RESERVED = (
    select(_c.id).where(_c.status == Status.PENDING.value, ~_c.is_held, _c.reserved_for == bindparam("worker")).limit(1)
)


@dataclass(frozen=True)
class Claim:
    """An execution that a worker may run now."""

    id: str
    attempt: int
    timeout_seconds: float | None
    kernel: str
    engine: EngineTier
    durable: bool
    #: None for a script.
    flow_name: str | None = None


class Queue:
    """Hands out what is pending, and takes it back from workers that are gone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def has_any_for(self, worker_id: str) -> bool:
        """Tell whether something is pending that this private worker alone may run, now or later."""
        with self._database.read() as connection:
            return connection.execute(_RESERVED, {"worker": worker_id}).first() is not None

    def claim(self, worker_id: str, *, free: int, private: bool = False) -> tuple[Claim, ...]:
        """Take up to `free` executions, as far as the whole store and their flows have slots.

        Higher priorities come first, then the oldest. What cannot run because its flow is full stays, and blocks
        nobody behind it. A private worker takes only what is reserved for it, any other only what is reserved for
        nobody. A worker that has lost its lease gets nothing: nobody would notice if it died.
        """
        now = self._database.clock()
        about = {"now": now, "worker": worker_id}
        with self._database.read() as connection:
            if not _may_give(connection, about, free, is_private=private):
                return ()
        claims: list[Claim | None] = []
        with self._database.write() as connection:
            if not _is_registered(connection, worker_id):
                return ()
            wake_overdue(connection, now=now)
            slots, query = Slots(connection), _NEXT[private]
            limit = min(free, slots.free_for_new_work)
            while limit > 0:
                found = connection.execute(query, {**about, "most": limit}).all()
                # From the second time on the first one fits always; others unless their flow is full by those before.
                ids = [row.id for row in found if slots.take(row.flow_name, row.max_running)]
                claims += [_take(connection, one, worker_id, now) for one in ids]
                if len(found) < limit or len(ids) == limit:
                    break
                limit -= len(ids)
                query = _NEXT[private].where(slots.flow_has_room())
        return tuple(claim for claim in claims if claim is not None)

    def next_due(self) -> datetime | None:
        """Return the earliest future moment at which a pending execution may run, or a waiting one is to be woken."""
        with self._database.read() as connection:
            scheduled = connection.execute(_NEXT_SCHEDULED, {"now": self._database.clock()}).scalar()
            moments = (scheduled, next_wake(connection))
        return min((moment for moment in moments if moment is not None), default=None)

    def running_of(self, worker_id: str) -> int:
        """Return how many slots the worker's executions hold; those that wait or are paused hold none."""
        c = executions.c
        query = select(func.count()).where(c.worker_id == worker_id, c.status == Status.RUNNING)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def has_reserved(self, worker_id: str) -> bool:
        """Return whether anything that is reserved for the worker has not ended, or not been followed yet."""
        c, f = executions.c, follow_ups.c
        unended = select(c.id).where(c.reserved_for == worker_id, c.status.not_in(ENDED)).limit(1)
        # A call that has failed once is left to whoever comes next: it may take days.
        unfollowed = select(f.id).where(f.reserved_for == worker_id, f.due_at <= self._database.clock()).limit(1)
        with self._database.read() as connection:
            return any(connection.execute(query).scalar() is not None for query in (unended, unfollowed))

    def counts(self) -> dict[str, int]:
        """Return how many executions there are in each state that is not an end."""
        with self._database.read() as connection:
            return {row.status: row.number for row in connection.execute(_COUNTS)}

    def check_current(self, execution_id: str, attempt: int) -> None:
        """Raise `StaleAttempt` unless the attempt is the current one and has not ended."""
        with self._database.read() as connection:
            check_live(connection, execution_id, attempt)

    def release(
        self, worker_id: str, *, lost: bool, successor: str | None = None, heartbeat: int | None = None
    ) -> tuple[str, ...]:
        """Take a worker's registration and leases away, and return the executions that this touched.

        Given a `heartbeat`, only if it still stands there: the worker may have come back since somebody looked.

        A run that had not really begun is `PENDING` again; one that had ends: `WorkerLost`, which is a new attempt
        where a retry is left, or cancelled where somebody had asked for that. What was reserved for the worker is
        then for its heir, or else for anybody.
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
                .where(c.reserved_for == worker_id, c.status.in_(_UNENDED))
                .values(reserved_for=successor)
            )
            release_claims(connection, worker_id, successor=successor)
            return _release_held(connection, worker_id, now)

    def release_strays(self, worker_id: str, running: Collection[str]) -> tuple[str, ...]:
        """Release what is held for a living worker but does not run there, and return it.

        That is left when a claim or the report of an end failed in a way that does not tell whether it was kept.
        """
        with self._database.write() as connection:
            return _release_held(connection, worker_id, self._database.clock(), but=running)


def _may_give(connection: Connection, about: dict[str, Any], free: int, *, is_private: bool) -> bool:
    """Tell whether there is anything to hand out, or to be woken; most looks find nothing, and need not write."""
    if is_any_overdue(connection, now=about["now"]):
        return True
    if free <= 0 or (slots := Slots(connection)).free_for_new_work <= 0:
        return False
    query, one = _NEXT[is_private], {**about, "most": 1}
    found = connection.execute(query, one).first()
    if found is None or slots.take(found.flow_name, found.max_running):
        return found is not None
    return connection.execute(query.where(slots.flow_has_room()), one).first() is not None


def _take(connection: Connection, execution_id: str, worker_id: str, now: datetime) -> Claim | None:
    """Move it to `RUNNING`, and return its claim; None: another worker was quicker."""
    row = connection.execute(_TAKE, {"of": execution_id, "worker": worker_id}).one_or_none()
    if row is None:
        return None
    claim = Claim(**{**row._mapping, "engine": EngineTier(row.engine)})
    tell(connection, claim.id, Status.RUNNING, now=now, attempt=claim.attempt, worker_id=worker_id)
    return claim


def _release_held(
    connection: Connection, worker_id: str, now: datetime, *, but: Collection[str] = ()
) -> tuple[str, ...]:
    c = executions.c
    query = select(c.id, c.type, c.attempt, c.started_at, c.stop_reason)
    is_held = c.worker_id == worker_id, c.status.in_(LEASED)
    held = [row for row in connection.execute(query.where(*is_held)).all() if row.id not in but]
    for row in held:
        _release_one(connection, row, now)
    return tuple(row.id for row in held)


def _release_one(connection: Connection, held: Row[*tuple[Any, ...]], now: datetime) -> None:
    if held.stop_reason is not None:
        outcome = Outcome(status=Status.ENDED_CANCELLED, message=held.stop_reason)
        end(connection, held.id, held.attempt, outcome, now=now)
    elif held.type == ExecutionType.INTERACTIVE:
        end(connection, held.id, held.attempt, Outcome(status=Status.ENDED_SUCCESS), now=now)
    elif held.started_at is None:
        requeue(connection, held.id, held.attempt, now=now, reason="its worker was lost before it had begun")
    else:
        error = ErrorDetail(name="WorkerLost", value="The worker that ran it died, or lost its lease.")
        outcome = Outcome(status=Status.ENDED_ERROR, message="worker lost", error=error)
        end_run(connection, held.id, held.attempt, outcome, now=now)


def _is_registered(connection: Connection, worker_id: str) -> bool:
    return connection.execute(_REGISTERED, {"worker": worker_id}).scalar() is not None
