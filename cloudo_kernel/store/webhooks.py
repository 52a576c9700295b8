"""Webhooks, their deliveries, and the responses of flows to the callers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from cloudo_kernel import settings
from cloudo_kernel.errors import DeliveryNotFound, Unavailable, WebhookExists, WebhookNotFound
from cloudo_kernel.models import Delivery, LastDelivery, Page, Webhook, WebhookResponse, event_types
from cloudo_kernel.security.encryption import Encryption
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions.fencing import LEASED, change
from cloudo_kernel.store.executions.lists import briefs_of
from cloudo_kernel.store.executions.new_execution import NewExecution, refused
from cloudo_kernel.store.executions.records import insert_new
from cloudo_kernel.store.settings import value_of
from cloudo_kernel.store.sql.bulk_statement import BulkStatement
from cloudo_kernel.store.sql.database import Database, Patterns
from cloudo_kernel.store.tables import deliveries, sources, webhook_responses, webhooks

_w, _d, _r = webhooks.c, deliveries.c, webhook_responses.c

# Built once for all calls: SQLAlchemy takes several times as long to build a statement as to run it.
_ONE = select(webhooks).where(_w.name == bindparam("called"))
_ADD_DELIVERY = insert(deliveries)
_REPLIED = update(deliveries).where(_d.id == bindparam("of")).values(status_code=bindparam("replied"))
_FIRST = select(_d.execution_id).where(_d.webhook_name == bindparam("called"), _d.delivery_id == bindparam("delivered"))
_newest = deliveries.alias()
_is_newest = (
    _d.id
    == select(_newest.c.id)
    .where(_newest.c.webhook_name == _w.name)
    .order_by(_newest.c.id.desc())
    .limit(1)
    .correlate(webhooks)
    .scalar_subquery()
)
#: Webhooks with their newest delivery.
_WITH_LAST = select(webhooks, _d.received_at, _d.status_code, _d.reason, _d.id.label("last_id")).outerjoin_from(
    webhooks, deliveries, _is_newest
)
_DELIVERY_COLUMNS = tuple(deliveries.c.keys())
_RESPONSE = select(webhook_responses).where(_r.execution_id == bindparam("of"))

#: Deliveries are kept at least this long, as senders may repeat one, however short the retention of executions is.
_MIN_RETENTION = timedelta(hours=24)


@dataclass(frozen=True)
class KeptWebhook:
    """A webhook with its stored key, as a call needs it."""

    webhook: Webhook
    kept_key: str | None
    #: The unmasked fixed inputs, sealed.
    sealed_inputs: str | None


class Webhooks:
    """Reads and writes webhooks and deliveries."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database = database
        self._encryption = encryption
        self._add_source = database.insert()(sources).on_conflict_do_nothing()
        self._claim = BulkStatement(database.insert()(deliveries).on_conflict_do_nothing())

    def insert(
        self, webhook: Webhook, kept_key: str | None, *, user_name: str, sealed_inputs: str | None = None
    ) -> None:
        """Add a webhook that `user_name` creates. Raises `WebhookExists`."""
        row = {name: getattr(webhook, name) for name in Webhook.model_fields if name in webhooks.c}
        row |= {"kept_key": kept_key, "sealed_inputs": sealed_inputs}
        add = self._database.insert()(webhooks).values(row).on_conflict_do_nothing()
        with self._database.write() as connection:
            if connection.execute(add.returning(_w.name)).scalar() is None:
                raise WebhookExists(webhook.name)
            about = {"time": webhook.created_at, "user_name": user_name, "flow_name": webhook.flow_name}
            about |= _for_whom(webhook.user_name, user_name)
            record(connection, event_types.WEBHOOK_CREATED, event_types.WEBHOOK, webhook.name, **about)

    def find(self, name: str) -> KeptWebhook | None:
        """Return a webhook with its stored key, or None if it does not exist."""
        with self._database.read() as connection:
            row = connection.execute(_ONE, {"called": name}).one_or_none()
        return None if row is None else KeptWebhook(_record(row), row.kept_key, row.sealed_inputs)

    def get(self, name: str) -> KeptWebhook:
        """Return a webhook with its stored key. Raises `WebhookNotFound`."""
        found = self.find(name)
        if found is None:
            raise WebhookNotFound(name)
        return found

    def with_last_delivery(self, name: str) -> Webhook:
        """Return a webhook with its newest delivery. Raises `WebhookNotFound`."""
        with self._database.read() as connection:
            row = connection.execute(_WITH_LAST.where(_w.name == name)).one_or_none()
        if row is None:
            raise WebhookNotFound(name)
        return _with_last(row)

    def page(self, *, flow_name: str | None, limit: int, after: str | None, flows: Patterns = None) -> Page[Webhook]:
        """Return webhooks of flows that match the patterns, by name. The cursor is the name of the last one."""
        is_meant = self._database.fits(_w.flow_name, flows)
        query = _WITH_LAST.where(is_meant).order_by(_w.name).limit(limit + 1)
        if flow_name is not None:
            query = query.where(_w.flow_name == flow_name)
        if after is not None:
            query = query.where(_w.name > after)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        items = tuple(_with_last(row) for row in rows[:limit])
        return Page[Webhook](items=items, next=items[-1].name if len(rows) > limit else None)

    def change(self, name: str, values: Mapping[str, Any], *, user_name: str) -> None:
        """Change columns of a webhook. Raises `WebhookNotFound`."""
        now = self._database.clock()
        changed = update(webhooks).where(_w.name == name).values(**values, modified_at=now)
        with self._database.write() as connection:
            if not connection.execute(changed).rowcount:
                raise WebhookNotFound(name)
            fields = sorted({"key" if field == "kept_key" else field for field in values} - {"sealed_inputs"})
            about = {"time": now, "user_name": user_name, "fields": fields}
            about |= _for_whom(values.get("user_name", user_name), user_name)
            record(connection, event_types.WEBHOOK_CHANGED, event_types.WEBHOOK, name, **about)

    def rename_flow(self, old: str, new: str) -> None:
        """Move the webhooks of a flow to its new name."""
        with self._database.write() as connection:
            connection.execute(update(webhooks).where(_w.flow_name == old).values(flow_name=new))

    def delete(self, name: str, *, user_name: str) -> None:
        """Delete a webhook and its deliveries; its executions stay. Raises `WebhookNotFound`."""
        with self._database.write() as connection:
            if not connection.execute(delete(webhooks).where(_w.name == name)).rowcount:
                raise WebhookNotFound(name)
            connection.execute(delete(deliveries).where(_d.webhook_name == name))
            now = self._database.clock()
            record(connection, event_types.WEBHOOK_DELETED, event_types.WEBHOOK, name, time=now, user_name=user_name)

    # Deliveries

    def start_all(self, starts: Sequence[tuple[NewExecution, Delivery]]) -> list[str | Exception]:
        """Add executions and the deliveries that start them, in one transaction; return the outcome of each.

        The outcome is the execution's id, or an error. If the sender's id was used before, nothing is added, and the id
        is that of the first delivery's execution.
        Raises `Unavailable` if nothing can be added.
        """
        try:
            with self._database.write() as connection:
                return self._start_all(connection, starts)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 -- a value that the database rejects fails only its own call
            if len(starts) == 1:
                return [error]
            return [outcome for start in starts for outcome in self.start_all([start])]

    def _start_all(
        self, connection: Connection, starts: Sequence[tuple[NewExecution, Delivery]]
    ) -> list[str | Exception]:
        if not starts:
            return []
        claimed = self._claimed(connection, [delivery for _, delivery in starts])
        fresh = [new for new, delivery in starts if delivery.id in claimed]
        refusals = refused(connection, fresh)
        if refusals:  # their deliveries started nothing, so the sender may retry
            given_back = [delivery.id for new, delivery in starts if new.id in refusals]
            connection.execute(delete(deliveries).where(_d.id.in_(given_back)))
        started = [new for new in fresh if new.id not in refusals]
        insert_new(connection, started, self._add_source, now=self._database.clock())

        def outcome(new: NewExecution, delivery: Delivery) -> str | Exception:
            if new.id in refusals:
                return refusals[new.id]
            if delivery.id in claimed:
                return new.id
            first = {"called": delivery.webhook_name, "delivered": delivery.delivery_id}
            return str(connection.execute(_FIRST, first).scalar_one())

        return [outcome(new, delivery) for new, delivery in starts]

    def _claimed(self, connection: Connection, given: Sequence[Delivery]) -> set[str]:
        """Add deliveries, and return the ids of those whose sender's id was not used before: nearly always all."""
        ids = {delivery.id for delivery in given}
        if self._claim.run(connection, [_row(delivery) for delivery in given]) == len(ids):
            return ids
        return set(connection.execute(select(_d.id).where(_d.id.in_(ids))).scalars())

    def note(self, *given: Delivery) -> None:
        """Add deliveries that started nothing."""
        with self._database.write() as connection:
            connection.execute(_ADD_DELIVERY, [_row(delivery) for delivery in given])

    def note_reply(self, delivery_id: str, status_code: int) -> None:
        """Record the status code of the reply to a call."""
        with self._database.write() as connection:
            connection.execute(_REPLIED, {"of": delivery_id, "replied": status_code})

    def deliveries(self, name: str, *, limit: int, before: str | None) -> Page[Delivery]:
        """Return the deliveries of a webhook, newest first; the cursor is the id of the last one."""
        query = select(deliveries).where(_d.webhook_name == name).order_by(_d.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(_d.id < before)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            started = briefs_of(connection, (row.execution_id for row in rows))
        items = tuple(
            Delivery.model_validate({**row._mapping, "execution": started.get(row.execution_id)})
            for row in rows[:limit]
        )
        return Page[Delivery](items=items, next=items[-1].id if len(rows) > limit else None)

    def delivery(self, name: str, delivery_id: str) -> Delivery:
        """Return one delivery. Raises `DeliveryNotFound`."""
        with self._database.read() as connection:
            row = connection.execute(
                select(deliveries).where(_d.webhook_name == name, _d.id == delivery_id)
            ).one_or_none()
        if row is None:
            raise DeliveryNotFound(delivery_id)
        return Delivery.model_validate(dict(row._mapping))

    def delete_expired(self, *, limit: int = 500) -> None:
        """Delete deliveries past the retention of executions."""
        with self._database.read() as connection:
            minutes = value_of(connection, settings.RETENTION)
        before = self._database.clock() - max(timedelta(minutes=minutes), _MIN_RETENTION)
        old = select(_d.id).where(_d.received_at < before).order_by(_d.received_at).limit(limit)
        while True:
            with self._database.read() as connection:
                ids = list(connection.execute(old).scalars())
            if not ids:
                return
            with self._database.write() as connection:
                connection.execute(delete(deliveries).where(_d.id.in_(ids)))

    # Responses of flows

    def respond(self, execution_id: str, attempt: int, response: WebhookResponse, *, is_secret: bool = False) -> None:
        """Store the response of a running flow to the call that started it. A later response replaces it."""
        content = self._encryption.encrypt(response.content).encode() if is_secret else response.content
        row = {"execution_id": execution_id, **dict(response), "content": content, "is_sealed": is_secret}
        upsert = self._database.insert()(webhook_responses).values(row)
        with self._database.write() as connection:
            change(connection, execution_id, attempt, {"attempt": attempt}, LEASED)  # raises if the attempt is over
            connection.execute(upsert.on_conflict_do_update(index_elements=["execution_id"], set_=row))

    def response(self, execution_id: str) -> WebhookResponse | None:
        """Return the response of a flow to the call that started it, if any."""
        with self._database.read() as connection:
            row = connection.execute(_RESPONSE, {"of": execution_id}).one_or_none()
        if row is None:
            return None
        content = self._encryption.decrypt(row.content.decode()) if row.is_sealed else row.content
        return WebhookResponse(status=row.status, content_type=row.content_type, content=content)


def _for_whom(user_name: str, writer: str) -> dict[str, str]:
    """Return the event entry for a webhook that runs for another user than its writer."""
    return {} if user_name == writer else {"runs_for": user_name}


def _record(row: Row[Any]) -> Webhook:
    return Webhook.model_validate({**row._mapping, "has_key": row.kept_key is not None})


def _with_last(row: Row[Any]) -> Webhook:
    last = None if row.last_id is None else LastDelivery.model_validate(row, from_attributes=True)
    return _record(row).model_copy(update={"last_delivery": last})


def _row(delivery: Delivery) -> dict[str, Any]:
    return {name: getattr(delivery, name) for name in _DELIVERY_COLUMNS}
