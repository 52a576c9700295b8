"""Insert, read, list and delete executions. `transitions` changes their state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    Connection,
    Insert,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    or_,
    select,
    update,
)

from cloudo_kernel.errors import ExecutionNotEnded, ExecutionNotFound, IdempotencyConflict, Unavailable
from cloudo_kernel.models import (
    Execution,
    ExecutionFilter,
    ExecutionOrder,
    JsonObject,
    Page,
    RunOptions,
    Status,
)
from cloudo_kernel.models.event_types import EXECUTION, EXECUTION_CREATED, EXECUTION_DELETED, EXECUTION_STARTED
from cloudo_kernel.security.encryption import Encryption
from cloudo_kernel.store.events import event_row, record, record_all
from cloudo_kernel.store.executions import results, tags
from cloudo_kernel.store.executions.lists import MAX_BY_DURATION, brief, brief_records, by_duration, listed, ordered
from cloudo_kernel.store.executions.log import last_lines, shorten
from cloudo_kernel.store.executions.new_execution import (
    IdempotencyKey,
    Inserted,
    NewExecution,
    Protected,
    Start,
    refused,
)
from cloudo_kernel.store.executions.requirements import explained
from cloudo_kernel.store.executions.text_index import TextIndex
from cloudo_kernel.store.sql.bulk_statement import BulkStatement
from cloudo_kernel.store.sql.database import Database, Patterns
from cloudo_kernel.store.sql.row_locks import lock_execution
from cloudo_kernel.store.tables import (
    executions,
    follow_ups,
    idempotency_keys,
    log_lines,
    schedules,
    sources,
    webhook_responses,
)

#: How long an idempotency key is valid.
IDEMPOTENCY_PERIOD = timedelta(hours=24)

#: Progress of an execution that has not begun. All share one object, so that it is serialized once for many rows.
_NO_PROGRESS: JsonObject = {"done": 0, "total": 0}

ENDED = [status.value for status in Status if status.is_ended]

# Built once, because every start or run uses them: building takes SQLAlchemy several times as long as running.
_IS_IT = executions.c.id == bindparam("of")
_ONE = select(executions).where(_IS_IT)
_STATUS = select(executions.c.status).where(_IS_IT)
_SEALED = select(executions.c.sealed_inputs, executions.c.sealed_outputs).where(_IS_IT)
_INSERT = insert(executions)
_INSERT_MANY = BulkStatement(_INSERT)
_FORGET_KEY = delete(idempotency_keys).where(
    idempotency_keys.c.user_name == bindparam("of_user"), idempotency_keys.c.key == bindparam("of_key")
)


def to_record(row: Row[Any], **more: Any) -> Execution:
    """Build a record from a row of `executions`."""
    return Execution.model_validate({**row._mapping, **more})


class Executions:
    """Read and write executions."""

    def __init__(self, database: Database, encryption: Encryption, texts: TextIndex) -> None:
        self._database = database
        self._encryption = encryption
        self._texts = texts
        add_key = database.insert()(idempotency_keys).on_conflict_do_nothing()
        self._add_key = add_key.returning(idempotency_keys.c.key)
        self._add_source = database.insert()(sources).on_conflict_do_nothing()

    def insert(self, new: NewExecution, *, idempotency: IdempotencyKey | None = None) -> Execution:
        """Add a `PENDING` execution, or return the existing one if the idempotency key is known.

        Raises `IdempotencyConflict`, `TooManyUnended`.
        """
        [outcome] = self.insert_all([(new, idempotency)])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome.execution

    def insert_all(self, starts: Sequence[Start]) -> list[Inserted | Exception]:
        """Add `PENDING` executions in one transaction, and return the result or the error of each.

        If the transaction fails, each execution is added in its own. Raises `Unavailable` if the store cannot be used.
        """
        try:
            with self._database.write() as connection:
                return self._insert_all(connection, starts)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 -- a value that the database rejects must fail its own start only
            if len(starts) == 1:
                return [error]
            return [outcome for start in starts for outcome in self.insert_all([start])]

    def _insert_all(self, connection: Connection, starts: Sequence[Start]) -> list[Inserted | Exception]:
        now = self._database.clock()
        firsts = [self._first_of(connection, new, key, now) if key else None for new, key in starts]
        fresh = [new for (new, _), first in zip(starts, firsts, strict=True) if first is None]
        refusals = refused(connection, fresh)
        for new, key in starts:
            if key is not None and new.id in refusals:  # it created nothing, so the caller may retry
                connection.execute(_FORGET_KEY, {"of_user": new.user_name, "of_key": key.key})
        rows = insert_new(connection, [new for new in fresh if new.id not in refusals], self._add_source, now=now)

        def outcome(new: NewExecution, first: str | IdempotencyConflict | None) -> Inserted | Exception:
            if isinstance(first, Exception):
                return first
            execution_id = new.id if first is None else first
            if execution_id in refusals:
                return refusals[execution_id]
            if first is None:
                return Inserted(Execution.model_validate(rows[new.id] | {"log": ()}), is_new=True)
            return Inserted(_get(connection, first), is_new=False)

        return [outcome(new, first) for (new, _), first in zip(starts, firsts, strict=True)]

    def first_of(self, user_name: str, key: str) -> tuple[str, str] | None:
        """Return the execution id that belongs to a user's idempotency key, and the digest of the first request."""
        kept = idempotency_keys.c
        is_mine = and_(kept.user_name == user_name, kept.key == key)
        is_kept = kept.created_at >= self._database.clock() - IDEMPOTENCY_PERIOD
        with self._database.read() as connection:
            row = connection.execute(select(kept.execution_id, kept.body_sha256).where(is_mine, is_kept)).one_or_none()
        return None if row is None else (row.execution_id, row.body_sha256)

    def open(self, new: NewExecution, *, worker_id: str) -> Execution:
        """Add an interactive execution, which is already running its first attempt."""
        now = self._database.clock()
        made = {"status": Status.RUNNING, "attempt": 1, "started_at": now, "worker_id": worker_id}
        row = _row(new, now) | made
        details: JsonObject = {"status": Status.RUNNING, "attempt": 1, "worker_id": worker_id}
        started = event_row(EXECUTION_STARTED, EXECUTION, new.id, time=now, user_name=new.user_name, **details)
        with self._database.write() as connection:
            connection.execute(self._add_source, {"sha256": new.source_sha256, "text": new.source_text})
            connection.execute(_INSERT, row)
            tags.add(connection, {new.id: new.tags})
            record_all(connection, [_created(new, now), started])
        return Execution.model_validate(row | {"log": ()})

    def get(self, execution_id: str) -> Execution:
        """Return the whole record, with protected values masked. Raises `ExecutionNotFound`."""
        with self._database.read() as connection:
            return explained(connection, [_get(connection, execution_id)], now=self._database.clock())[0]

    def without_log(self, execution_id: str) -> Execution:
        """Return the record without its log, for callers that ask often. Raises `ExecutionNotFound`."""
        with self._database.read() as connection:
            row = connection.execute(_ONE, {"of": execution_id}).one_or_none()
        if row is None:
            raise ExecutionNotFound(execution_id)
        return to_record(row)

    def protected(self, execution_id: str) -> Protected:
        """Return the values that the record masks, for the flow itself and for retries. Raises `ExecutionNotFound`."""
        with self._database.read() as connection:
            row = connection.execute(_SEALED, {"of": execution_id}).one_or_none()
        if row is None:
            raise ExecutionNotFound(execution_id)
        return Protected(
            self._encryption.unseal_values(row.sealed_inputs), self._encryption.unseal_values(row.sealed_outputs)
        )

    def revealed(self, execution_id: str) -> Execution:
        """Return the whole record with protected values unmasked, for the flow itself. Raises `ExecutionNotFound`."""
        execution, protected = self.get(execution_id), self.protected(execution_id)
        return protected.revealed(execution)

    def status(self, execution_id: str) -> Status:
        """Return the status only. Raises `ExecutionNotFound`."""
        with self._database.read() as connection:
            status = connection.execute(_STATUS, {"of": execution_id}).scalar()
        if status is None:
            raise ExecutionNotFound(execution_id)
        return Status(status)

    def time_limit(self, execution_id: str) -> float | None:
        """Return the time limit for a run of the execution in seconds, or None if there is no limit."""
        query = select(executions.c.timeout_seconds).where(executions.c.id == execution_id)
        with self._database.read() as connection:
            limit: float | None = connection.execute(query).scalar()
        return limit

    def run_options(self, execution_id: str) -> RunOptions:
        """Return the run options of the execution. Raises `ExecutionNotFound`."""
        query = select(executions.c.run_options).where(executions.c.id == execution_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise ExecutionNotFound(execution_id)
        return RunOptions.model_validate(row.run_options or {})

    def source(self, execution_id: str) -> str:
        """Return the source that the execution runs. Raises `ExecutionNotFound`."""
        query = select(sources.c.text).join(executions).where(executions.c.id == execution_id)
        with self._database.read() as connection:
            source = connection.execute(query).scalar()
        if source is None:
            raise ExecutionNotFound(execution_id)
        return str(source)

    def text(self, source_sha256: str) -> str:
        """Return a source by its digest; the caller holds an object that still uses it, such as a schedule."""
        with self._database.read() as connection:
            return str(connection.execute(select(sources.c.text).where(sources.c.sha256 == source_sha256)).scalar_one())

    def page(
        self,
        where: ExecutionFilter,
        *,
        limit: int,
        before: str | None,
        flows: Patterns = None,
        order: ExecutionOrder = ExecutionOrder.NEWEST,
    ) -> Page[Execution]:
        """Return executions of flows that match the patterns, in order; the cursor is the id of the last one.

        `before` is the cursor: the id of the execution before the page.
        """
        fits = None if flows is None else partial(self._database.fits, patterns=flows)
        with self._database.read() as connection:
            look = partial(ordered, connection, where, fits=fits, texts=self._texts)
            if order in (ExecutionOrder.LONGEST, ExecutionOrder.SHORTEST):
                newest = look(beyond=None, limit=MAX_BY_DURATION, order=ExecutionOrder.NEWEST)
                now = self._database.clock()
                found = by_duration(connection, newest, beyond=before, limit=limit + 1, now=now, order=order)
            else:
                found = look(beyond=before, limit=limit + 1, order=order)
            places = {execution_id: place for place, execution_id in enumerate(found[:limit])}
            rows = brief_records(connection.execute(listed().where(executions.c.id.in_(places))))
            rows = explained(connection, rows, now=self._database.clock())
        items = tuple(sorted(rows, key=lambda row: places[row.id]))
        return Page[Execution](items=items, next=items[-1].id if len(found) > limit else None)

    def ids(self, where: ExecutionFilter, *, limit: int, flows: Patterns = None) -> tuple[str, ...]:
        """Return the ids of up to `limit` executions of flows that match the patterns, newest first."""
        fits = None if flows is None else partial(self._database.fits, patterns=flows)
        newest = ExecutionOrder.NEWEST
        with self._database.read() as connection:
            found = ordered(connection, where, fits=fits, beyond=None, limit=limit, texts=self._texts, order=newest)
        return tuple(found)

    def unended_children(self, execution_id: str) -> tuple[str, ...]:
        """Return the ids of the children that have not ended."""
        query = select(executions.c.id).where(executions.c.parent_id == execution_id, executions.c.status.not_in(ENDED))
        with self._database.read() as connection:
            return tuple(connection.execute(query).scalars())

    def delete(self, execution_id: str, *, user_name: str | None) -> None:
        """Delete an ended execution with its log and its results. Its children become those of its parent.

        Raises `ExecutionNotFound`, `ExecutionNotEnded`.
        """
        shorten(self._database, execution_id)
        with self._database.write() as connection:
            lock_execution(connection, execution_id)
            row = connection.execute(
                select(
                    executions.c.status, executions.c.name, executions.c.source_sha256, executions.c.parent_id
                ).where(executions.c.id == execution_id)
            ).one_or_none()
            if row is None:
                raise ExecutionNotFound(execution_id)
            if row.status not in ENDED:
                raise ExecutionNotEnded(execution_id, row.status)
            connection.execute(delete(log_lines).where(log_lines.c.execution_id == execution_id))
            connection.execute(delete(webhook_responses).where(webhook_responses.c.execution_id == execution_id))
            connection.execute(delete(follow_ups).where(follow_ups.c.execution_id == execution_id))
            tags.forget(connection, execution_id)
            results.forget(connection, execution_id)
            connection.execute(delete(executions).where(executions.c.id == execution_id))
            is_child = executions.c.parent_id == execution_id
            connection.execute(update(executions).where(is_child).values(parent_id=row.parent_id))
            forget_source(connection, row.source_sha256)
            about: JsonObject = {"time": self._database.clock(), "user_name": user_name, "name": row.name}
            record(connection, EXECUTION_DELETED, EXECUTION, execution_id, **about)

    def expired(self, *, limit: int = 100) -> tuple[Execution, ...]:
        """Return up to `limit` ended executions past their retention, earliest expiry first."""
        query = (
            brief()
            .where(
                executions.c.expires_at <= self._database.clock(),
                executions.c.status.in_(ENDED),
                ~exists().where(follow_ups.c.execution_id == executions.c.id),  # keep it while follow-ups are open
            )
            .order_by(executions.c.expires_at)
            .limit(limit)
        )
        with self._database.read() as connection:
            return brief_records(connection.execute(query))

    def forget_idempotency_keys(self) -> None:
        """Delete idempotency keys older than 24 hours."""
        before = self._database.clock() - IDEMPOTENCY_PERIOD
        with self._database.write() as connection:
            connection.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < before))

    def _first_of(
        self, connection: Connection, new: NewExecution, idempotency: IdempotencyKey, now: datetime
    ) -> str | IdempotencyConflict | None:
        """Claim the key for `new` and return None; if it is taken, return its execution's id or a conflict."""
        table, oldest = idempotency_keys, now - IDEMPOTENCY_PERIOD
        is_mine = and_(table.c.user_name == new.user_name, table.c.key == idempotency.key)
        claim = {**vars(idempotency), "user_name": new.user_name, "execution_id": new.id, "created_at": now}
        # Again if the key was too old, or is gone: with PostgreSQL others may use and forget it meanwhile.
        while connection.execute(self._add_key, claim).first() is None:
            row = connection.execute(select(table).where(is_mine, table.c.created_at >= oldest)).one_or_none()
            if row is None:
                connection.execute(delete(table).where(is_mine, table.c.created_at < oldest))
            elif row.body_sha256 != idempotency.body_sha256:
                return IdempotencyConflict(idempotency.key)
            else:
                return str(row.execution_id)
        return None


def insert_new(
    connection: Connection, new: Sequence[NewExecution], add_source: Insert, *, now: datetime
) -> dict[str, JsonObject]:
    """Add executions with their sources and events; return their rows by id."""
    rows = {one.id: _row(one, now) for one in new}
    if rows:
        texts = {one.source_sha256: one.source_text for one in new}
        connection.execute(add_source, [{"sha256": sha256, "text": text} for sha256, text in texts.items()])
        # Leave out columns without values: SQLAlchemy spends time on each value, and most columns have no values.
        values = tuple(rows.values())
        used = tuple(name for name in values[0] if any(row[name] is not None for row in values))
        _INSERT_MANY.run(connection, values, used)
        tags.add(connection, {one.id: one.tags for one in new})
        record_all(connection, [_created(one, now) for one in new])
    return rows


def forget_source(connection: Connection, sha256: str | None) -> None:
    """Delete a source unless an execution or a schedule still uses it."""
    is_used = or_(
        exists().where(executions.c.source_sha256 == sha256), exists().where(schedules.c.source_sha256 == sha256)
    )
    connection.execute(delete(sources).where(sources.c.sha256 == sha256, ~is_used))


def _row(new: NewExecution, now: datetime) -> dict[str, Any]:
    row = {**vars(new), "status": Status.PENDING, "created_at": now, "progress": _NO_PROGRESS}
    del row["source_text"]
    return row


def _created(new: NewExecution, now: datetime) -> JsonObject:
    return event_row(
        EXECUTION_CREATED,
        EXECUTION,
        new.id,
        time=now,
        user_name=new.user_name,
        name=new.name,
        flow_name=new.flow_name,
        trigger=new.trigger,
        parent_id=new.parent_id,
        schedule_id=new.schedule_id,
    )


def _get(connection: Connection, execution_id: str) -> Execution:
    row = connection.execute(_ONE, {"of": execution_id}).one_or_none()
    if row is None:
        raise ExecutionNotFound(execution_id)
    return to_record(row, log=last_lines(connection, execution_id))
