"""Pending follow-ups of ended executions: one row for each flow to start and each address to call.

The transaction that ends the execution inserts the rows. A flow's row is deleted in the transaction that starts the
flow, a call's row when the call is accepted or given up. So nothing is lost if a process dies, and no flow is started
twice.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, func, insert, select, update

from cloudo_kernel.models import Execution, FollowUp, JsonObject, LogLine, Occasion, Status, event_types, rfc3339
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions.lists import brief, brief_record
from cloudo_kernel.store.executions.log import append
from cloudo_kernel.store.executions.new_execution import NewExecution
from cloudo_kernel.store.executions.records import insert_new
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import executions, follow_ups, sources

_f, _e = follow_ups.c, executions.c

#: Maximum number of flows to start that are read at once.
_MAX_AT_ONCE = 100

_IS_OPEN_CALL = and_(_f.is_call, _f.worker_id.is_(None))
#: True: for any worker. False: reserved for one private worker.
_IS_FOR = {True: _f.reserved_for.is_(None), False: _f.reserved_for == bindparam("worker")}
# Built once: workers query after every commit, and SQLAlchemy takes longer to build a statement than to run it.
_FLOWS = {
    is_for_all: select(_f.id).where(~_f.is_call, is_mine).order_by(_f.due_at).limit(_MAX_AT_ONCE)
    for is_for_all, is_mine in _IS_FOR.items()
}
_NEXT_CALL = {
    is_for_all: select(func.min(_f.due_at)).where(_IS_OPEN_CALL, is_mine) for is_for_all, is_mine in _IS_FOR.items()
}

_TARGET: TypeAdapter[FollowUp] = TypeAdapter(FollowUp)


@dataclass(frozen=True)
class Due:
    """A follow-up of an ended execution."""

    id: str
    occasion: Occasion
    target: FollowUp
    #: As in lists: without log, traceback and large values.
    execution: Execution
    #: How many executions are above the ended one.
    depth: int
    #: For a call: the number of attempts, including this one.
    attempts: int


class FollowUps:
    """Reads and settles follow-ups. A private worker handles those reserved for it, all others handle the rest."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._add_source = database.insert()(sources).on_conflict_do_nothing()

    def due_flows(self, *, reserved_for: str | None) -> tuple[Due, ...]:
        """Return up to 100 flows to start now, oldest first."""
        with self._database.read() as connection:
            ids = list(connection.execute(_FLOWS[reserved_for is None], {"worker": reserved_for}).scalars())
            if not ids:
                return ()
            rows = connection.execute(_full().where(_f.id.in_(ids)).order_by(_f.due_at))
            return tuple(_due(row) for row in rows)

    def start(self, due: Due, new: NewExecution) -> bool:
        """Add the execution of a follow-up; False if another worker was quicker."""
        with self._database.write() as connection:
            is_first = _take(connection, due)
            if is_first:
                insert_new(connection, [new], self._add_source, now=self._database.clock())
        return is_first

    def give_up(self, due: Due, complaint: str) -> None:
        """Drop a follow-up, and write to the log of the ended execution why its flow cannot be started."""
        with self._database.write() as connection:
            if _take(connection, due):
                _log_error(connection, due, complaint, now=self._database.clock())

    def next_notification(self, *, reserved_for: str | None) -> datetime | None:
        """Return when the next unclaimed call is due."""
        with self._database.read() as connection:
            query, about = _NEXT_CALL[reserved_for is None], {"worker": reserved_for}
            moment: datetime | None = connection.execute(query, about).scalar()
        return moment

    def claim_notifications(self, worker_id: str, *, most: int, reserved_for: str | None) -> tuple[Due, ...]:
        """Claim up to `most` due calls, oldest first. No other worker makes them while this worker lives."""
        now = self._database.clock()
        is_due = and_(_IS_OPEN_CALL, _IS_FOR[reserved_for is None], _f.due_at <= now)
        chosen = select(_f.id).where(is_due).order_by(_f.due_at).limit(most).with_for_update(skip_locked=True)
        with self._database.write() as connection:
            ids = list(connection.execute(chosen, {"worker": reserved_for}).scalars())
            if not ids:
                return ()
            values = {"worker_id": worker_id, "attempts": _f.attempts + 1}
            connection.execute(update(follow_ups).where(_f.id.in_(ids)).values(**values))
            rows = connection.execute(_full().where(_f.id.in_(ids)).order_by(_f.due_at)).all()
        return tuple(_due(row) for row in rows)

    def put_back(self, ids: Collection[str], worker_id: str, *, delay_seconds: float) -> None:
        """Release claimed calls whose outcome is unknown; any worker may make them after the delay."""
        again = self._database.clock() + timedelta(seconds=delay_seconds)
        is_meant = and_(_f.worker_id == worker_id, _f.id.in_(ids))
        with self._database.write() as connection:
            connection.execute(update(follow_ups).where(is_meant).values(worker_id=None, due_at=again))

    def settle_notification(
        self, due: Due, *, place: str, reason: str | None = None, delay_seconds: float | None = None
    ) -> None:
        """Record the outcome of a call.

        With a `reason` the call has failed, and is retried after `delay_seconds`, or never if that is None.
        `place` is the part of the address that history may show.
        """
        now = self._database.clock()
        details: JsonObject = {"id": due.id, "occasion": due.occasion, "to": place, "attempt": due.attempts}
        kind = event_types.NOTIFICATION_SENT if reason is None else event_types.NOTIFICATION_FAILED
        with self._database.write() as connection:
            if reason is not None and delay_seconds is not None:
                again = now + timedelta(seconds=delay_seconds)
                values = {"due_at": again, "worker_id": None}
                is_mine = connection.execute(update(follow_ups).where(_is(due)).values(**values)).rowcount > 0
                details |= {"reason": reason, "next_attempt": rfc3339(again)}
            else:
                is_mine = _take(connection, due)
                details |= {} if reason is None else {"reason": reason, "next_attempt": None}
            if not is_mine:  # given to another worker meanwhile, or deleted with its execution
                return
            if reason is not None and delay_seconds is None:
                text = f"{place} ({due.occasion}) could not be called: {reason}"
                _log_error(connection, due, text, now=now)
            record(connection, kind, event_types.EXECUTION, due.execution.id, time=now, **details)


def note_end(connection: Connection, row: Row[Any], occasions: Collection[Occasion], *, now: datetime) -> None:
    """Insert the follow-ups of an execution, in the transaction that ends it; `row` is the execution's.

    The end is one of `occasions`, and a recovery only if the previous execution had failed.
    """
    wanted: JsonObject = row.follow_ups
    is_recovery = Occasion.ON_RECOVERY in occasions and Occasion.ON_RECOVERY in wanted and _had_failed(connection, row)
    occasions = [one for one in occasions if one is not Occasion.ON_RECOVERY or is_recovery]
    new = [
        {
            "id": new_id(),
            "execution_id": row.id,
            "occasion": occasion.value,
            "target": target,
            "is_call": "url" in target,
            "due_at": now,
            "reserved_for": row.reserved_for,
        }
        for occasion in occasions
        for target in wanted.get(occasion, ())
    ]
    if new:
        connection.execute(insert(follow_ups), new)


def release_claims(connection: Connection, worker_id: str, *, successor: str | None) -> None:
    """Release a worker's claimed calls, and reserve what was reserved for it for `successor`, None for any worker."""
    connection.execute(update(follow_ups).where(_f.worker_id == worker_id).values(worker_id=None))
    connection.execute(update(follow_ups).where(_f.reserved_for == worker_id).values(reserved_for=successor))


def _had_failed(connection: Connection, row: Row[Any]) -> bool:
    """Return whether the previous execution failed: of the same schedule if there is one, else of the same flow."""
    if row.flow_name is None:
        return False
    is_related = _e.flow_name == row.flow_name if row.schedule_id is None else _e.schedule_id == row.schedule_id
    has_run = _e.status.in_((Status.ENDED_SUCCESS.value, Status.ENDED_ERROR.value))
    query = select(_e.status).where(is_related, has_run, _e.id < row.id).order_by(_e.id.desc()).limit(1)
    return connection.execute(query).scalar() == Status.ENDED_ERROR


def _full() -> Any:
    mine = (_f.id.label("of"), _f.occasion, _f.target, _f.attempts.label("calls"), _e.depth)
    return brief().add_columns(*mine).join(follow_ups, _f.execution_id == _e.id)


def _due(row: Row[Any]) -> Due:
    target = _TARGET.validate_python(row.target)
    return Due(row.of, Occasion(row.occasion), target, brief_record(dict(row._mapping)), row.depth, row.calls)


def _is(due: Due) -> ColumnElement[bool]:
    """Return the condition that the row is still at the same attempt."""
    return and_(_f.id == due.id, _f.attempts == due.attempts)


def _take(connection: Connection, due: Due) -> bool:
    return connection.execute(delete(follow_ups).where(_is(due))).rowcount > 0


def _log_error(connection: Connection, due: Due, text: str, *, now: datetime) -> None:
    append(connection, due.execution.id, [LogLine(time=now, level="error", text=text)], now=now)
