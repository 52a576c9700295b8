"""Create, read, answer, close and delete messages. The package `forms` defines and validates forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

from cloudo_kernel import settings
from cloudo_kernel.errors import MessageClosed, MessageNotFound, StaleAttempt
from cloudo_kernel.forms.form import Form
from cloudo_kernel.models import JsonObject, Message, MessageLevel, MessageState, Page, rfc3339
from cloudo_kernel.models.event_types import (
    MESSAGE,
    MESSAGE_ANSWERED,
    MESSAGE_CREATED,
    MESSAGE_DELETED,
    MESSAGE_EXPIRED,
    MESSAGE_WITHDRAWN,
)
from cloudo_kernel.security.encryption import Encryption
from cloudo_kernel.store.events import event_row, record, record_all
from cloudo_kernel.store.executions.lists import LIST_VALUE_BYTES
from cloudo_kernel.store.executions.records import ENDED
from cloudo_kernel.store.executions.wakeups import wake
from cloudo_kernel.store.settings import value_of
from cloudo_kernel.store.sql.database import Database, Patterns
from cloudo_kernel.store.sql.row_locks import has_many_writers, lock_execution
from cloudo_kernel.store.tables import executions, messages

#: A century: longer spans would exceed the range of dates, and make no difference.
_MAX_LIFETIME = timedelta(days=36_500)


_author = executions.alias()
_is_author = _author.c.id == messages.c.execution_id
_NAME = _author.c.name.label("execution_name")
_WHOLE = select(messages, _NAME).outerjoin_from(messages, _author, _is_author)


@dataclass(frozen=True, kw_only=True)
class NewMessage:
    """A message to insert. The body is a validated form."""

    id: str
    subject: str
    body: JsonObject | None
    level: MessageLevel
    execution_id: str | None
    user_name: str
    #: None for the value of the setting, 0 for no limit.
    timeout_seconds: float | None = None


class Messages:
    """Reads and writes messages."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database = database
        self._encryption = encryption

    def insert(self, new: NewMessage) -> Message:
        """Add a message. Raises `StaleAttempt` if the execution that creates it has ended."""
        now = self._database.clock()
        with self._database.write() as connection:
            name = _check_alive(connection, new.execution_id)
            row = {name: value for name, value in vars(new).items() if name != "timeout_seconds"}
            asks = new.body is not None and Form(new.body).asks
            row |= {"created_at": now, "state": MessageState.OPEN if asks else MessageState.INFO}
            row["expires_at"] = _expiry(connection, new, now) if asks else None
            row["delete_after"] = None if asks else now + _retention(connection, new.level, new.user_name)
            connection.execute(insert(messages).values(**row))
            about = {"level": new.level, "execution_id": new.execution_id, "state": row["state"]}
            record(connection, MESSAGE_CREATED, MESSAGE, new.id, time=now, user_name=new.user_name, **about)
        return Message.model_validate({**row, "execution_name": name})

    def get(self, message_id: str) -> Message:
        """Return a message with protected values masked. Raises `MessageNotFound`."""
        return _record(self._row(message_id), self._database.clock())

    def revealed(self, message_id: str) -> Message:
        """Return a message with its protected values, for the flow that reads it. Raises `MessageNotFound`."""
        row = self._row(message_id)
        message = _record(row, self._database.clock())
        if row.protected is None:
            return message
        protected = self._encryption.unseal_values(row.protected)
        return message.model_copy(update={"response": {**(message.response or {}), **protected}})

    def is_open(self, message_id: str) -> bool:
        """Return whether the message waits for an answer; False if it was deleted."""
        query = select(messages.c.id).where(messages.c.id == message_id, _is_open(self._database.clock()))
        with self._database.read() as connection:
            return connection.execute(query).scalar() is not None

    def page(
        self,
        *,
        unanswered: bool,
        execution_id: str | None,
        limit: int,
        before: str | None,
        states: Sequence[MessageState] = (),
        flows: Patterns = None,
    ) -> Page[Message]:
        """Return messages of flows that match the patterns, newest first. The cursor is the id of the last one."""
        now, c = self._database.clock(), messages.c
        query = _brief().order_by(c.id.desc()).limit(limit + 1)
        if unanswered:
            query = query.where(_is_open(now))
        if states:
            query = query.where(or_(*(_is_in(state, now) for state in states)))
        if execution_id is not None:
            query = query.where(c.execution_id == execution_id)
        if flows is not None:
            is_author = executions.c.id == c.execution_id
            query = query.where(exists().where(is_author, self._database.fits(executions.c.flow_name, flows)))
        if before is not None:
            query = query.where(c.id < before)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        items = tuple(_brief_record(row, now) for row in rows[:limit])
        return Page[Message](items=items, next=items[-1].id if len(rows) > limit else None)

    def answer(
        self, message_id: str, response: JsonObject, *, masks: Mapping[str, Any] = MappingProxyType({}), user_name: str
    ) -> Message:
        """Record the answer; only the first one counts. Raises `MessageClosed`, `MessageNotFound`.

        `masks` has what everyone sees in the place of protected answers, by their keys.
        """
        now, c = self._database.clock(), messages.c
        secret = {key: response[key] for key in masks if key in response}
        values: dict[str, Any] = {
            "state": MessageState.ANSWERED,
            "response": {**response, **{key: masks[key] for key in secret}},
            "protected": self._encryption.seal_values(secret),
            "answered_by": user_name,
            "answered_at": now,
        }
        with self._database.write() as connection:
            _lock_author(connection, message_id)
            is_open = (c.id == message_id, _is_open(now))
            answered = update(messages).where(*is_open).values(**values).returning(c.level, c.user_name)
            row = connection.execute(answered).one_or_none()
            if row is not None:
                after = now + _retention(connection, row.level, row.user_name)
                connection.execute(update(messages).where(c.id == message_id).values(delete_after=after))
                record(connection, MESSAGE_ANSWERED, MESSAGE, message_id, time=now, user_name=user_name)
                wake(connection, message_id, now=now)
        message = self.get(message_id)
        if row is None:
            raise MessageClosed(message_id, why_closed(message))
        return message

    def expire(self) -> None:
        """Record the expiry of overdue requests."""
        now, c = self._database.clock(), messages.c
        is_over = and_(c.state == MessageState.OPEN.value, c.expires_at <= now)
        with self._database.read() as connection:
            if connection.execute(select(c.id).where(is_over).limit(1)).scalar() is None:
                return
        with self._database.write() as connection:
            _close(connection, is_over, MessageState.EXPIRED, MESSAGE_EXPIRED, now=now)

    def delete(self, message_id: str, *, user_name: str) -> None:
        """Delete a message. Raises `MessageNotFound`."""
        with self._database.write() as connection:
            _lock_author(connection, message_id)
            if not connection.execute(delete(messages).where(messages.c.id == message_id)).rowcount:
                raise MessageNotFound(message_id)
            now = self._database.clock()
            record(connection, MESSAGE_DELETED, MESSAGE, message_id, time=now, user_name=user_name)
            wake(connection, message_id, now=now)

    def delete_expired(self, *, limit: int = 500) -> None:
        """Delete messages past their retention, unless the execution that created them may still read them."""
        now, c = self._database.clock(), messages.c
        lives = exists().where(executions.c.id == c.execution_id, executions.c.status.not_in(ENDED))
        is_old = and_(c.delete_after <= now, ~lives)
        query = select(c.id).where(is_old).limit(limit)
        while True:
            with self._database.read() as connection:
                ids = list(connection.execute(query).scalars())
            if not ids:
                return
            with self._database.write() as connection:
                gone = connection.execute(delete(messages).where(c.id.in_(ids)).returning(c.id)).scalars()
                record_all(connection, [event_row(MESSAGE_DELETED, MESSAGE, one, time=now) for one in gone])

    def _row(self, message_id: str) -> Row[Any]:
        with self._database.read() as connection:
            row = connection.execute(_WHOLE.where(messages.c.id == message_id)).one_or_none()
        if row is None:
            raise MessageNotFound(message_id)
        return row


def withdraw(connection: Connection, execution_id: str, *, now: datetime) -> None:
    """Withdraw the open requests of an execution, in the transaction that ends its run."""
    c = messages.c
    is_meant = and_(c.execution_id == execution_id, c.state == MessageState.OPEN.value)
    _close(connection, is_meant, MessageState.WITHDRAWN, MESSAGE_WITHDRAWN, now=now)


def why_closed(message: Message) -> str:
    """Return why a message accepts no answer."""
    match message.state:
        case MessageState.ANSWERED:
            return f"{message.answered_by} answered it at {rfc3339(message.answered_at or message.created_at)}"
        case MessageState.EXPIRED:
            return f"it expired at {rfc3339(message.expires_at or message.created_at)}"
        case MessageState.WITHDRAWN:
            return "it was withdrawn when the execution that asked had ended"
    return "it asks for nothing"


def _check_alive(connection: Connection, execution_id: str | None) -> str | None:
    """Return the name of the execution that creates a message. Raises `StaleAttempt` if it has ended."""
    if execution_id is None:
        return None
    c = executions.c
    query = select(c.status, c.attempt, c.name).where(c.id == execution_id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None or row.status in ENDED:
        raise StaleAttempt(execution_id, 0 if row is None else row.attempt)
    return str(row.name)


def _lock_author(connection: Connection, message_id: str) -> None:
    """Lock the execution that asks, as its end does before it withdraws its messages."""
    if has_many_writers(connection):
        query = select(messages.c.execution_id).where(messages.c.id == message_id)
        if (author := connection.execute(query).scalar()) is not None:
            lock_execution(connection, author)


def _close(
    connection: Connection, is_meant: ColumnElement[bool], state: MessageState, event_type: str, *, now: datetime
) -> None:
    """Move requests out of `OPEN` without an answer, each with its event."""
    c = messages.c
    query = select(c.id, c.level, c.execution_id, c.user_name).where(is_meant).order_by(c.execution_id, c.id)
    for row in connection.execute(query).all():
        if row.execution_id is not None:
            lock_execution(connection, row.execution_id)
        values = {"state": state, "delete_after": now + _retention(connection, row.level, row.user_name)}
        is_open = (c.id == row.id, c.state == MessageState.OPEN.value)
        if not connection.execute(update(messages).where(*is_open).values(**values)).rowcount:
            continue
        record(connection, event_type, MESSAGE, row.id, time=now, execution_id=row.execution_id)
        wake(connection, row.id, now=now)


def _expiry(connection: Connection, new: NewMessage, now: datetime) -> datetime | None:
    seconds = new.timeout_seconds
    if seconds is None:
        seconds = value_of(connection, settings.INPUT_TIMEOUT, user_name=new.user_name) * 60
    return now + _span(seconds) if seconds > 0 else None


def _retention(connection: Connection, level: str, user_name: str) -> timedelta:
    name = settings.MESSAGE_RETENTION.format(level)
    return _span(value_of(connection, name, user_name=user_name) * 60)


def _span(seconds: float) -> timedelta:
    return timedelta(seconds=min(seconds, _MAX_LIFETIME.total_seconds()))


def _is_open(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a request waits for an answer. An overdue one does not, recorded or not."""
    c = messages.c
    return and_(c.state == MessageState.OPEN.value, or_(c.expires_at.is_(None), c.expires_at > now))


def _is_in(state: MessageState, now: datetime) -> ColumnElement[bool]:
    """Return the condition that a message is in a state. An overdue one has expired, recorded or not."""
    c = messages.c
    if state is MessageState.OPEN:
        return _is_open(now)
    if state is MessageState.EXPIRED:
        return or_(c.state == state.value, and_(c.state == MessageState.OPEN.value, c.expires_at <= now))
    return c.state == state.value


def _state(state: str, expires_at: datetime | None, now: datetime) -> MessageState:
    is_over = state == MessageState.OPEN and expires_at is not None and expires_at <= now
    return MessageState.EXPIRED if is_over else MessageState(state)


def _record(row: Row[Any], now: datetime) -> Message:
    return Message.model_validate({**row._mapping, "state": _state(row.state, row.expires_at, now)})


def _brief() -> Select[Any]:
    """Select messages without forms and answers that are too large for a list."""
    columns: list[Any] = [column for column in messages.c if column.name not in {"body", "response", "protected"}]
    for name in ("body", "response"):
        size = func.length(cast(messages.c[name], Text))
        columns.append(size.label(f"{name}_size"))
        columns.append(case((size <= LIST_VALUE_BYTES, messages.c[name]), else_=null()).label(name))
    return select(*columns, _NAME).outerjoin_from(messages, _author, _is_author)


def _brief_record(row: Row[Any], now: datetime) -> Message:
    values = dict(row._mapping)
    for name in ("body", "response"):
        size = values[f"{name}_size"]
        if size is not None and size > LIST_VALUE_BYTES:
            values[name] = {"left_out": f"{size} bytes; read the message itself"}
    return Message.model_validate({**values, "state": _state(row.state, row.expires_at, now)})
