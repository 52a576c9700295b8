"""Queue executions: count slots, hand out pending executions to workers, and take them back from lost workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)

from cloudo_kernel import settings
from cloudo_kernel.errors import StaleAttempt
from cloudo_kernel.models import EngineTier, ExecutionType, Status
from cloudo_kernel.models.event_types import WORKER, WORKER_LOST, WORKER_STOPPED
from cloudo_kernel.models.lifecycle import outcome_of_lost
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions.fencing import LEASED, is_live
from cloudo_kernel.store.executions.records import ENDED
from cloudo_kernel.store.executions.requirements import next_for
from cloudo_kernel.store.executions.transitions import end_run, tell
from cloudo_kernel.store.executions.wakeups import is_any_overdue, next_wake, wake_overdue
from cloudo_kernel.store.schedules.follow_ups import release_claims
from cloudo_kernel.store.settings import value_of
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.sql.row_locks import lock_execution, lock_slots
from cloudo_kernel.store.tables import executions, follow_ups, workers

_UNENDED = (Status.PENDING, *LEASED)

# Built once, because each check of the queue uses them, and each commit leads to a check.
_MAY_CLAIM = select(workers.c.id).where(workers.c.id == bindparam("worker"), ~workers.c.draining)
_MAY_CLAIM = _MAY_CLAIM.with_for_update(read=True, key_share=True)
_NEXT_SCHEDULED = (
    select(executions.c.scheduled_for)
    # `concat` keeps SQLite from scanning the queue by the state index; the index on `scheduled_for` finds the first.
    .where(executions.c.status.concat("") == Status.PENDING.value, ~executions.c.is_held)
    .where(executions.c.scheduled_for > bindparam("now"))
    .order_by(executions.c.scheduled_for)
    .limit(1)
)
# List the states by name: excluding the ended ones would scan every execution in the store.
_COUNTS = (
    select(executions.c.status, func.count().label("number"))
    .where(executions.c.status.in_([status.value for status in _UNENDED]))
    .group_by(executions.c.status)
)
_c = executions.c
#: Executions that may begin now: unreserved ones (False), or those reserved for a private worker (True).
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
    is_private: select(_c.id, _c.flow_name, _c.max_running, _c.rank, _c.created_at)
    .where(is_due, _c.requires == bindparam("requires"))
    .order_by(_c.rank, _c.created_at, _c.id)
    .limit(bindparam("most"))
    for is_private, is_due in _IS_DUE.items()
}
#: The same, without those that another transaction is about to change.
_NEXT_FREE = {is_private: query.with_for_update(skip_locked=True) for is_private, query in _NEXT.items()}
_TAKE = (
    update(executions)
    .where(_c.id == bindparam("of"), _c.status == Status.PENDING.value)
    .values(status=Status.RUNNING.value, worker_id=bindparam("worker"), attempt=_c.attempt + 1, started_at=None)
    .returning(_c.id, _c.attempt, _c.timeout_seconds, _c.kernel, _c.engine, _c.durable, _c.flow_name)
)
#: Take a claim over where its run starts: only one process can, and it is then known that the run may have begun.
_TAKE_OVER = (
    update(executions)
    .where(_c.id == bindparam("of"), _c.attempt == bindparam("number"), _c.status == Status.RUNNING.value)
    .where(_c.started_at.is_(None))
    .values(started_at=bindparam("now"))
    .returning(_c.id, _c.attempt, _c.timeout_seconds, _c.kernel, _c.engine, _c.durable, _c.flow_name)
)
_LEASES = select(_c.id, _c.attempt, _c.status, _c.worker_id, _c.stop_reason).where(
    _c.id.in_(bindparam("ids", expanding=True)), or_(*(_c.status == one.value for one in LEASED))
)
_RESERVED = (
    select(_c.id).where(_c.status == Status.PENDING.value, ~_c.is_held, _c.reserved_for == bindparam("worker")).limit(1)
)
_count = select(_c.flow_name, _c.max_running, _c.status, func.count().label("number"))
_groups = (_c.flow_name, _c.max_running, _c.status)
# Two selects, each with its own index, so that 10,000 waiting executions that want no slot yet are not read.
_HOLD_OR_WANT = union_all(
    _count.where(_c.status == Status.RUNNING.value, _c.type != ExecutionType.INTERACTIVE.value).group_by(*_groups),
    _count.where(_c.wants_slot, _c.status == Status.WAITING.value).group_by(*_groups),
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


@dataclass(frozen=True)
class Held:
    """An execution that a worker holds, as the store has it."""

    id: str
    attempt: int
    status: Status
    #: None for a durable execution that waits without processes.
    worker_id: str | None
    stop_reason: str | None


class Slots:
    """The slots as one transaction sees them. Scripts belong to no flow, and count under the name None."""

    def __init__(self, connection: Connection) -> None:
        rows = connection.execute(_HOLD_OR_WANT).all()
        self._most = int(value_of(connection, settings.MAX_RUNNING))
        self._running: Counter[str | None] = Counter()
        for row in rows:
            if row.status == Status.RUNNING:
                self._running[row.flow_name] += row.number
        #: Running, or wanting a slot back within the limit of their flow; these come before new work.
        self._ahead = self._running.copy()
        for row in rows:
            if row.status == Status.WAITING:
                left = row.number if row.max_running is None else row.max_running - self._ahead[row.flow_name]
                self._ahead[row.flow_name] += max(0, min(row.number, left))

    @property
    def free_for_new_work(self) -> int:
        """The number of new executions that may be claimed, after those that come before new work."""
        return self._most - self._ahead.total()

    def has_room_again(self, flow_name: str | None, max_running: int | None) -> bool:
        """Return whether an execution that wants its slot back can have it now."""
        is_flow_full = max_running is not None and self._running[flow_name] >= max_running
        return self._running.total() < self._most and not is_flow_full

    def take(self, flow_name: str | None, max_running: int | None) -> bool:
        """Take a slot for new work of the flow; return False if the flow is full."""
        if max_running is not None and self._ahead[flow_name] >= max_running:
            return False
        self._ahead[flow_name] += 1
        return True

    def flow_has_room(self) -> ColumnElement[bool]:
        """Return the condition that an execution's flow is not full."""
        c = executions.c
        of_flow = {name: number for name, number in self._ahead.items() if name is not None}
        running = case(of_flow, value=c.flow_name, else_=0) if of_flow else literal(0)
        return or_(c.max_running.is_(None), c.max_running > running)


class Queue:
    """Hand out pending executions, and take them back from lost workers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def has_any_for(self, worker_id: str) -> bool:
        """Return whether any pending execution is reserved for this private worker, due now or later."""
        with self._database.read() as connection:
            return connection.execute(_RESERVED, {"worker": worker_id}).first() is not None

    def claim(
        self, worker_id: str, *, free: int, private: bool = False, labels: Collection[str] = ()
    ) -> tuple[Claim, ...]:
        """Claim up to `free` executions that require only `labels`, within the slots of the store and of each flow.

        Higher priorities come first, then older executions. Executions of a full flow stay in the queue, and do not
        block those behind them. A private worker claims only executions reserved for it, others only unreserved ones.
        A worker that has lost its lease gets nothing, because its death would go unnoticed, nor does one that drains.
        Nor does one of a paused queue, unless it is private.
        """
        now = self._database.clock()
        about = {"now": now, "worker": worker_id}
        with self._database.read() as connection:
            if not _has_work(connection, about, free, labels, is_private=private):
                return ()
            if not private and value_of(connection, settings.QUEUE_PAUSED):
                return ()
        claims: list[Claim | None] = []
        with self._database.write() as connection:
            if not _may_claim(connection, worker_id):
                return ()
            lock_slots(connection)
            wake_overdue(connection, now=now)
            slots, query = Slots(connection), _NEXT_FREE[private]
            limit = min(free, slots.free_for_new_work)
            while limit > 0:
                found = next_for(connection, query, {**about, "most": limit}, labels)
                # From round two on, the first row always fits; later ones fit unless earlier ones fill their flow.
                ids = [row.id for row in found if slots.take(row.flow_name, row.max_running)]
                claims += [_take(connection, one, worker_id, now) for one in ids]
                if len(found) < limit or len(ids) == limit:
                    break
                limit -= len(ids)
                query = _NEXT_FREE[private].where(slots.flow_has_room())
        return tuple(claim for claim in claims if claim is not None)

    def claim_of(self, execution_id: str, attempt: int) -> Claim:
        """Return the claim of an attempt to the process that starts its run, when another one has claimed it.

        Raises `StaleAttempt` if the attempt is not the current one, and at every call but the first: a message system
        may deliver it twice. From then on the run counts as begun.
        """
        about = {"of": execution_id, "number": attempt, "now": self._database.clock()}
        with self._database.write() as connection:
            row = connection.execute(_TAKE_OVER, about).one_or_none()
        if row is None:
            raise StaleAttempt(execution_id, attempt)
        return _claim(row)

    def held(self, execution_ids: Collection[str]) -> dict[str, Held]:
        """Return those of the executions that may have a worker and processes."""
        with self._database.read() as connection:
            rows = connection.execute(_LEASES, {"ids": list(execution_ids)}).all()
        return {row.id: Held(**{**row._mapping, "status": Status(row.status)}) for row in rows}

    def next_due(self) -> datetime | None:
        """Return the earliest time at which a scheduled execution may run, or a waiting one must be woken."""
        with self._database.read() as connection:
            scheduled = connection.execute(_NEXT_SCHEDULED, {"now": self._database.clock()}).scalar()
            moments = (scheduled, next_wake(connection))
        return min((moment for moment in moments if moment is not None), default=None)

    def running_of(self, worker_id: str) -> int:
        """Return the number of slots that the worker's executions hold; waiting and paused ones hold none."""
        c = executions.c
        query = select(func.count()).where(c.worker_id == worker_id, c.status == Status.RUNNING)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def holds_any(self, worker_id: str) -> bool:
        """Return whether the worker holds an execution, running, waiting or paused."""
        c = executions.c
        query = select(c.id).where(c.worker_id == worker_id, c.status.in_(LEASED)).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).scalar() is not None

    def running_by_worker(self) -> dict[str, tuple[str, ...]]:
        """Return the ids of the running executions of each worker."""
        c = executions.c
        query = select(c.worker_id, c.id).where(c.status == Status.RUNNING, c.worker_id.is_not(None)).order_by(c.id)
        found: dict[str, tuple[str, ...]] = {}
        with self._database.read() as connection:
            for worker_id, execution_id in connection.execute(query):
                found[worker_id] = (*found.get(worker_id, ()), execution_id)
        return found

    def has_reserved(self, worker_id: str) -> bool:
        """Return whether an execution reserved for the worker has not ended, or a follow-up reserved for it is due."""
        c, f = executions.c, follow_ups.c
        unended = select(c.id).where(c.reserved_for == worker_id, c.status.not_in(ENDED)).limit(1)
        # Leave retries of failed calls, which are due later, to other workers: they may take days.
        unfollowed = select(f.id).where(f.reserved_for == worker_id, f.due_at <= self._database.clock()).limit(1)
        with self._database.read() as connection:
            return any(connection.execute(query).scalar() is not None for query in (unended, unfollowed))

    def counts(self) -> dict[str, int]:
        """Return the number of executions in each state that is not an end; states without any are left out."""
        with self._database.read() as connection:
            return {row.status: row.number for row in connection.execute(_COUNTS)}

    def check_current(self, execution_id: str, attempt: int) -> None:
        """Raise `StaleAttempt` unless the attempt is the current one and has not ended."""
        with self._database.read() as connection:
            if not is_live(connection, execution_id, attempt):
                raise StaleAttempt(execution_id, attempt)

    def release(
        self, worker_id: str, *, lost: bool, successor: str | None = None, heartbeat: int | None = None
    ) -> tuple[str, ...]:
        """Remove a worker and its leases, and return the ids of the executions it held.

        With `heartbeat`, do so only if that is still the worker's heartbeat: it may have recovered since it was read.

        A run with a stop request is cancelled. A run that had not begun is requeued. Any other run fails with
        `WorkerLost`, and is retried or replayed where possible. An interactive execution ends in success.
        Executions and follow-ups reserved for the worker are then reserved for `successor`, or unreserved without one.
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
        """Release executions that a living worker holds but does not run, and return their ids.

        They remain when a claim or the report of an end failed without telling whether it was committed.
        """
        with self._database.write() as connection:
            return _release_held(connection, worker_id, self._database.clock(), but=running)


def _has_work(
    connection: Connection, about: dict[str, Any], free: int, labels: Collection[str], *, is_private: bool
) -> bool:
    """Return whether there is anything to claim or wake; most checks find nothing, which saves a write transaction."""
    if is_any_overdue(connection, now=about["now"]):
        return True
    if free <= 0 or (slots := Slots(connection)).free_for_new_work <= 0:
        return False
    query, one = _NEXT[is_private], {**about, "most": 1}
    found = next_for(connection, query, one, labels)
    if not found or slots.take(found[0].flow_name, found[0].max_running):
        return bool(found)
    return bool(next_for(connection, query.where(slots.flow_has_room()), one, labels))


def _take(connection: Connection, execution_id: str, worker_id: str, now: datetime) -> Claim | None:
    """Move the execution to `RUNNING` and return its claim, or None if another worker was faster."""
    row = connection.execute(_TAKE, {"of": execution_id, "worker": worker_id}).one_or_none()
    if row is None:
        return None
    claim = _claim(row)
    tell(connection, claim.id, Status.RUNNING, now=now, attempt=claim.attempt, worker_id=worker_id)
    return claim


def _claim(row: Row[Any]) -> Claim:
    return Claim(**{**row._mapping, "engine": EngineTier(row.engine)})


def _release_held(
    connection: Connection, worker_id: str, now: datetime, *, but: Collection[str] = ()
) -> tuple[str, ...]:
    c = executions.c
    query = select(c.id, c.type, c.attempt, c.started_at, c.stop_reason)
    is_held = c.worker_id == worker_id, c.status.in_(LEASED)
    held = [one for one in connection.execute(select(c.id).where(*is_held)).scalars() if one not in but]
    for execution_id in held:
        lock_execution(connection, execution_id)
        row = connection.execute(query.where(c.id == execution_id, *is_held)).one_or_none()
        if row is None:  # its own report has ended it, or the end of its parent earlier in this loop
            continue
        kind, has_begun = ExecutionType(row.type), row.started_at is not None
        outcome = outcome_of_lost(kind, has_begun=has_begun, stop_reason=row.stop_reason)
        end_run(connection, row.id, row.attempt, outcome, now=now)
    return tuple(held)


def _may_claim(connection: Connection, worker_id: str) -> bool:
    return connection.execute(_MAY_CLAIM, {"worker": worker_id}).scalar() is not None
