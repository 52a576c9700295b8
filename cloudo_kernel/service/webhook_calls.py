"""Handles calls of webhooks: checks the caller, starts the flow and returns the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial

from pydantic import ValidationError

from cloudo_kernel.errors import (
    CloudoError,
    FlowBroken,
    FlowNotFound,
    MalformedRequest,
    MethodNotAllowed,
    PermissionDenied,
    TooLarge,
    Unavailable,
    WebhookNotFound,
)
from cloudo_kernel.models import Delivery, Execution, Origin, StartExecution, Webhook, WebhookResponse
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.models.senders import SENDERS
from cloudo_kernel.service.starts import StartVerbs
from cloudo_kernel.store import KeptWebhook, NewExecution, Store
from cloudo_kernel.webhooks import signatures
from cloudo_kernel.webhooks.request import DeliveryRequest
from cloudo_kernel.workspace.catalog import Catalog

#: The reason recorded for a repeated delivery.
_REPEATED = "a repetition of an earlier delivery"

#: A dummy record. Building it for an unknown webhook takes the time that a known one takes.
_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_STAND_IN = Webhook(name="", flow_name="", user_name="", created_at=_MOMENT, modified_at=_MOMENT).model_dump_json()
_CHALLENGED = "the sender's challenge was answered"
_MAX_CHALLENGE = 1000

#: Maximum size of a flow's answer.
_RESPONSE_BYTES = 16 * 1024 * 1024

#: Called with a webhook and the caller's IP address. Raises `TooManyCalls`.
RateCheck = Callable[[Webhook, str], None]


@dataclass(frozen=True)
class Received:
    """An accepted call. Its execution exists."""

    webhook: Webhook
    delivery: Delivery
    execution_id: str
    #: The new execution. None if an earlier delivery started it.
    new: NewExecution | None
    #: Whether to answer at once, without waiting for the end.
    is_async: bool


@dataclass(frozen=True)
class _Prepared:
    """A call that has passed all checks, and the execution to start."""

    webhook: Webhook
    new: NewExecution
    delivery: Delivery
    is_async: bool


@dataclass(frozen=True)
class Answered:
    """A call that only checks the address. It gets an answer and starts nothing."""

    response: WebhookResponse
    reason: str


@dataclass(frozen=True)
class Note:
    """A call that started nothing, to be recorded among the webhook's deliveries."""

    call: DeliveryRequest
    received_at: datetime
    status_code: int
    reason: CloudoError | str


class _Known:
    """Cache webhooks and their secrets for one batch of calls, which saves 39 % of the time of 32."""

    def __init__(self, store: Store) -> None:
        self.find = cache(partial(_found, store))
        self.decrypt = cache(store.encryption.decrypt)


class WebhookDeliveries:
    """Handle the calls of webhooks. Anyone can call, so none of these methods is an `Api` verb."""

    def __init__(self, store: Store, catalog: Catalog, check_rate: RateCheck) -> None:
        self._store = store
        self._catalog = catalog
        self._check_rate = check_rate

    def find(self, name: str) -> KeptWebhook | None:
        """Return a webhook, or None. Callers must not learn whether it exists."""
        return self._store.webhooks.find(name)

    def receive_all(self, calls: Sequence[DeliveryRequest]) -> list[Received | Answered | Exception]:
        """Start the flows of these calls and return the outcome of each. A repeated delivery starts nothing.

        The outcome can be an error: `WebhookNotFound`, also for callers who must not know of the webhook,
        `SignatureInvalid`, `MethodNotAllowed`, `TooLarge`, `TooManyCalls`, `ContentTypeRefused`, `MalformedRequest`,
        `InputsInvalid`, or `Unavailable` when the flow cannot be started.
        """
        known = _Known(self._store)
        with self._catalog.at_one_moment():
            prepared = [self._prepared(call, known) for call in calls]
        fitting = [one for one in prepared if isinstance(one, _Prepared)]
        started = iter(self._store.webhooks.start_all([(one.new, one.delivery) for one in fitting]))
        return [self._received(one, next(started)) if isinstance(one, _Prepared) else one for one in prepared]

    def _prepared(self, call: DeliveryRequest, known: _Known) -> _Prepared | Answered | Exception:
        try:
            return self._prepare(call, known)
        except Exception as error:  # noqa: BLE001 -- it is raised later, where the caller waits
            return error

    def _prepare(self, call: DeliveryRequest, known: _Known) -> _Prepared | Answered:
        kept = known.find(call.webhook_name)
        key = self._shown_key(kept, call)
        if kept is None or not kept.webhook.enabled or not call.is_from(kept.webhook.allowed_networks):
            raise WebhookNotFound(call.webhook_name)
        webhook = kept.webhook
        if call.is_too_large or len(call.body) > webhook.max_body_bytes:
            raise TooLarge(f"This webhook accepts bodies of up to {webhook.max_body_bytes} bytes.")
        if answer := _unsigned_answer(webhook, call):
            self._check_rate(webhook, call.source_ip)
            return answer
        self._check_signature(kept, call, known)
        if call.method not in webhook.allowed_methods:
            raise MethodNotAllowed(call.method, webhook.allowed_methods)
        self._check_rate(webhook, call.source_ip)
        if answer := _signed_answer(webhook, call):
            return answer
        return self._start(kept, call, key)

    def _start(self, kept: KeptWebhook, call: DeliveryRequest, key: str | None) -> _Prepared:
        webhook, is_async = kept.webhook, call.wants_no_wait
        hidden = self._store.encryption.unseal_values(kept.sealed_inputs)
        given = call.inputs(key_header=webhook.key_header, key=key, raw=webhook.raw)
        inputs = {**webhook.inputs, **hidden, **given}
        acting = StartVerbs(self._store, self._catalog, user_name=webhook.user_name, trigger=Origin.WEBHOOK)
        request = StartExecution(flow_name=webhook.flow_name, inputs=inputs)
        try:
            new, _ = acting.prepare_start(request, webhook_name=webhook.name, hides=hidden.keys())
        except (FlowNotFound, FlowBroken, PermissionDenied) as error:  # not the caller's fault or business
            raise Unavailable("This webhook cannot start its flow now. Try again later.") from error
        sender_id = None if webhook.delivery_id is None else call.sender_id(webhook.delivery_id)
        more = {"status_code": 202 if is_async else None, "execution_id": new.id, "delivery_id": sender_id}
        return _Prepared(webhook, new, self._delivery(call, **more), is_async)

    def _received(self, one: _Prepared, started: str | Exception) -> Received | Exception:
        if isinstance(started, Exception):
            return started
        if started == one.new.id:
            return Received(one.webhook, one.delivery, started, one.new, one.is_async)
        update = {"execution_id": started, "delivery_id": None, "reason": _REPEATED}
        delivery = one.delivery.model_copy(update=update)
        self._store.webhooks.note(delivery)
        return Received(one.webhook, delivery, started, None, one.is_async)

    def note_all(self, notes: Sequence[Note]) -> None:
        """Add calls that started nothing to the deliveries of their webhooks in one commit. Skip unknown webhooks."""
        known = _Known(self._store)
        deliveries = []
        for note in notes:
            if (kept := known.find(note.call.webhook_name)) is not None:
                more = {"status_code": note.status_code, "reason": _told(note, kept.webhook)[:500]}
                deliveries.append(self._delivery(note.call, received_at=note.received_at, **more))
        if deliveries:
            self._store.webhooks.note(*deliveries)

    def note_reply(self, received: Received, status_code: int) -> None:
        """Add the status of the answer to the delivery of a call."""
        self._store.webhooks.note_reply(received.delivery.id, status_code)

    def execution(self, execution_id: str) -> Execution:
        """Return an execution that a call started. Raises `ExecutionNotFound`."""
        return self._store.executions.get(execution_id)

    def response(self, execution_id: str) -> WebhookResponse | None:
        """Return the answer that the flow has set, None if it has set none."""
        return self._store.webhooks.response(execution_id)

    def _shown_key(self, kept: KeptWebhook | None, call: DeliveryRequest) -> str | None:
        """Return the valid key of a call, None if it needs none. Raises `WebhookNotFound`.

        An unknown webhook takes the same work as a wrong key.
        """
        if kept is not None and (kept.webhook.signature is not None or kept.kept_key is None):
            return None
        header, wanted = "X-Cloudo-Key", signatures.NOBODY
        if kept is not None and kept.kept_key is not None:
            header, wanted = kept.webhook.key_header, kept.kept_key
        fitting = [key for key in call.shown_keys(header) if signatures.is_key(key, wanted)]
        if not fitting:
            raise WebhookNotFound(call.webhook_name)
        return fitting[0]

    def _check_signature(self, kept: KeptWebhook, call: DeliveryRequest, known: _Known) -> None:
        """Raise `SignatureInvalid` if the webhook takes signed calls and the signature is invalid."""
        if kept.webhook.signature is not None and kept.kept_key is not None:
            key = known.decrypt(kept.kept_key).decode()
            signatures.check_signature(kept.webhook, key, call, now=self._store.now)

    def _delivery(self, call: DeliveryRequest, **more: object) -> Delivery:
        values = {"id": new_id(), "webhook_name": call.webhook_name, "source_ip": call.source_ip}
        return Delivery.model_validate({**values, "received_at": self._store.now, **more})


def _found(store: Store, name: str) -> KeptWebhook | None:
    """Return a webhook. For an unknown one, build a dummy record, so that it takes as long as a known one."""
    kept = store.webhooks.find(name)
    if kept is None:
        Webhook.model_validate(json.loads(_STAND_IN))
    return kept


def _unsigned_answer(webhook: Webhook, call: DeliveryRequest) -> Answered | None:
    """Return the answer to a sender that checks the address before it signs anything."""
    if call.method == "HEAD":
        return Answered(WebhookResponse(content_type="text/plain"), "HEAD: a check of the address")
    if (challenge := call.challenge(webhook)) is None:
        return None
    content = challenge[:_MAX_CHALLENGE].encode()
    return Answered(WebhookResponse(content_type="text/plain; charset=utf-8", content=content), _CHALLENGED)


def _signed_answer(webhook: Webhook, call: DeliveryRequest) -> Answered | None:
    """Return the answer to a signed challenge, as Slack sends it."""
    sender = None if webhook.signature is None else SENDERS.get(webhook.signature)
    wanted = sender and sender.challenge_type
    body = call.content.get("json") if wanted else None
    if not isinstance(body, dict) or body.get("type") != wanted or not isinstance(body.get("challenge"), str):
        return None
    content = json.dumps({"challenge": body["challenge"][:_MAX_CHALLENGE]}).encode()
    return Answered(WebhookResponse(content_type="application/json", content=content), _CHALLENGED)


def _told(note: Note, webhook: Webhook) -> str:
    error = note.reason
    if isinstance(error, WebhookNotFound):
        return _why_hidden(webhook, note.call)
    return str(error.__cause__ if isinstance(error, Unavailable) and error.__cause__ else error)


def _why_hidden(webhook: Webhook, call: DeliveryRequest) -> str:
    if not webhook.enabled:
        return "the webhook is not enabled"
    if not call.is_from(webhook.allowed_networks):
        return "its network is not allowed"
    return "the key was missing or wrong"


def checked_response(content: bytes, *, status: int, content_type: str) -> WebhookResponse:
    """Return the checked answer of a flow to its call. Raises `MalformedRequest`, which names the invalid field."""
    if isinstance(status, int) and 300 <= status <= 399:
        raise MalformedRequest("A flow cannot answer with a redirection.", field="status")
    if status in (204, 205) and content:
        raise MalformedRequest(f"An answer with the status {status} has no body.", field="body")
    if len(content) > _RESPONSE_BYTES:
        raise MalformedRequest(f"An answer has up to {_RESPONSE_BYTES} bytes.", field="body")
    try:
        return WebhookResponse(status=status, content_type=content_type, content=content)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        fits = {"status": "a status from 200 to 599", "content_type": "a type such as text/html; charset=utf-8"}
        raise MalformedRequest(f"{field} takes {fits.get(field, 'something else')}.", field=field) from error
