"""Verbs for webhooks and their deliveries. `service.webhook_calls` handles the calls."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cloudo_kernel.errors import Conflict, ExecutionNotFound, MalformedRequest
from cloudo_kernel.models import (
    ChangeWebhook,
    CreatedWebhook,
    CreateWebhook,
    Delivery,
    Execution,
    Flow,
    JsonObject,
    Origin,
    Page,
    SignatureScheme,
    StartExecution,
    Webhook,
    WebhookPreset,
)
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.models.senders import defaults_of, issues_key, presets
from cloudo_kernel.models.webhooks import secret_bytes
from cloudo_kernel.service.base import id_cursor, page_limit
from cloudo_kernel.service.starts import StartVerbs, restored
from cloudo_kernel.store import KeptWebhook
from cloudo_kernel.webhooks import signatures

#: Minimum length of a signing secret in bytes.
_MIN_SECRET = 12


class WebhookVerbs(StartVerbs):
    """Create, read, list, change and delete webhooks. List and replay their deliveries."""

    def create_webhook(self, request: CreateWebhook) -> CreatedWebhook:
        """See `Api.create_webhook`."""
        self._ask_flow("create_webhook", request.flow_name)
        now, key = self._store.now, request.key
        new_key = _new_key(request.signature) if request.generate_key else None
        given = {name: value for name, value in request.given().items() if name != "key"}
        given = {**defaults_of(request.signature), **given}
        given["user_name"] = self._rights.acting_for(request.user_name, user_name=self._user_name)
        webhook = Webhook(**given, has_key=(new_key or key) is not None, created_at=now, modified_at=now)
        webhook, sealed = self._with_fixed_inputs(webhook)
        kept = self._kept(webhook, new_key or key)
        self._store.webhooks.insert(webhook, kept, sealed_inputs=sealed, user_name=self._user_name)
        return CreatedWebhook(**dict(webhook), key=new_key)

    def webhooks(self, *, flow_name: str | None = None, limit: int = 100, cursor: str | None = None) -> Page[Webhook]:
        """See `Api.webhooks`."""
        self._ask("webhooks")
        return self._store.webhooks.page(
            flow_name=flow_name, flows=self._rights.flows, limit=page_limit(limit), after=cursor
        )

    def webhook(self, name: str) -> Webhook:
        """See `Api.webhook`."""
        self._ask_webhook("webhook", name)
        return self._store.webhooks.with_last_delivery(name)

    def webhook_presets(self) -> tuple[WebhookPreset, ...]:
        """See `Api.webhook_presets`."""
        self._ask("webhook_presets")
        return presets()

    def change_webhook(self, name: str, request: ChangeWebhook) -> CreatedWebhook:
        """See `Api.change_webhook`."""
        self._ask_webhook("change_webhook", name)
        given, new_key = request.given(), None
        before = self._store.webhooks.get(name)
        if request.generate_key:
            new_key = given["key"] = _new_key(given.get("signature", before.webhook.signature))
        if not given:
            raise MalformedRequest("Changing a webhook needs at least one field.")
        fields = {field: value for field, value in given.items() if field != "key"}
        if "signature" in given:
            fields = {**_new_defaults(before.webhook, given["signature"]), **fields}
        # It then runs as the user who changed it. Only administrators may keep or choose another user.
        fields["user_name"] = self._rights.acting_for(
            request.user_name, user_name=self._user_name, before=before.webhook.user_name
        )
        changed = before.webhook.model_copy(update=fields)
        self._rights.check_flow(changed.flow_name)
        if given.keys() & {"flow_name", "inputs"}:
            changed, fields["sealed_inputs"] = self._with_fixed_inputs(changed, before)
            fields["inputs"] = changed.inputs
        if given.keys() & {"key", "signature", "signature_header", "signed_content", "timestamp_header"}:
            fields["kept_key"] = self._changed_key(before, changed, given)
        self._store.webhooks.change(name, fields, user_name=self._user_name)
        return CreatedWebhook(**dict(self._store.webhooks.with_last_delivery(name)), key=new_key)

    def delete_webhook(self, name: str) -> None:
        """See `Api.delete_webhook`."""
        self._ask_webhook("delete_webhook", name)
        self._store.webhooks.delete(name, user_name=self._user_name)

    def deliveries(self, name: str, *, limit: int = 100, cursor: str | None = None) -> Page[Delivery]:
        """See `Api.deliveries`."""
        self._ask_webhook("deliveries", name)
        self._store.webhooks.get(name)  # raises `WebhookNotFound`
        return self._store.webhooks.deliveries(name, limit=page_limit(limit), before=id_cursor(cursor))

    def replay_delivery(self, name: str, delivery_id: str) -> Execution:
        """See `Api.replay_delivery`."""
        self._ask_webhook("replay_delivery", name)
        webhook = self._store.webhooks.get(name).webhook
        past = self._store.webhooks.delivery(name, delivery_id)
        if past.execution_id is None:
            raise Conflict(f"The delivery {delivery_id} started nothing ({past.reason}): it cannot be replayed.")
        try:
            execution = self._store.executions.get(past.execution_id)
            hidden = self._store.executions.protected(past.execution_id).inputs
        except ExecutionNotFound as error:
            raise Conflict(
                f"The execution of the delivery {delivery_id} was deleted, and its inputs with it."
            ) from error
        acting = StartVerbs(self._store, self._catalog, user_name=webhook.user_name, trigger=Origin.WEBHOOK)
        request = StartExecution(flow_name=webhook.flow_name, inputs={**execution.input_value, **hidden})
        # Inputs that the flow protected then stay hidden, whichever flow the webhook starts now.
        new, _ = acting.prepare_start(request, webhook_name=name, hides=hidden.keys())
        delivery = Delivery(
            id=new_id(),
            webhook_name=name,
            received_at=self._store.now,
            source_ip=past.source_ip,
            execution_id=new.id,
            reason=f"a replay of {past.id}, by {self._user_name}",
        )
        [started] = self._store.webhooks.start_all([(new, delivery)])
        if isinstance(started, Exception):
            raise started
        return self._store.executions.get(new.id)

    def _with_fixed_inputs(self, webhook: Webhook, before: KeptWebhook | None = None) -> tuple[Webhook, str | None]:
        """Return the webhook with its shown fixed inputs, and its hidden ones sealed.

        Raises an error if the flow is missing or does not accept them.
        """
        hidden = {} if before is None else self._store.encryption.unseal_values(before.sealed_inputs)
        given = webhook.model_copy(update={"inputs": restored(webhook.inputs, hidden)})
        flow, inputs = self._check_flow(given, hidden)
        shown, hidden = self._split_inputs(flow, inputs, hides=hidden.keys())
        return webhook.model_copy(update={"inputs": shown}), self._store.encryption.seal_values(hidden)

    def _check_flow(self, webhook: Webhook, hides: Collection[str]) -> tuple[Flow, JsonObject]:
        """Return the flow, and the fixed inputs in canonical form.

        Raises an error if the flow does not accept them. The error does not show the values of `hides`.
        """
        flow = self._flow_source(webhook.flow_name).flow
        # The inputs of a call are not known yet, so none is required.
        as_given = {**flow.input_schema, "required": []}
        its = flow.model_copy(update={"input_schema": as_given})
        return flow, self._validated(its, webhook.inputs, self._trigger, hides)

    def _changed_key(self, before: KeptWebhook, changed: Webhook, given: JsonObject) -> str | None:
        """Return the stored form of the key of a changed webhook. Raises `MalformedRequest`."""
        if "key" in given:
            return self._kept(changed, given["key"])
        if before.kept_key is None:
            return self._kept(changed, None)
        was_signed, is_signed = before.webhook.signature is not None, changed.signature is not None
        if is_signed and not was_signed:
            raise MalformedRequest("A signature needs a key, with which calls are signed: give it, too.", field="key")
        if not was_signed:
            _check_signature(changed, None)
            return before.kept_key
        return self._kept(changed, self._store.encryption.decrypt(before.kept_key).decode())

    def _kept(self, webhook: Webhook, key: str | None) -> str | None:
        """Return the stored form of a key: its digest, or the sealed key if it signs. Raises `MalformedRequest`."""
        _check_signature(webhook, key)
        if key is None:
            return None
        return signatures.digest(key) if webhook.signature is None else self._store.encryption.encrypt(key.encode())


def _new_key(signature: SignatureScheme | None) -> str:
    """Return a new key. Raises `MalformedRequest` if the sender issues it."""
    if issues_key(signature):
        raise MalformedRequest(f"{signature} issues the key itself. Copy it from there.", field="generate_key")
    return signatures.new_key(signature)


def _new_defaults(before: Webhook, signature: SignatureScheme | None) -> JsonObject:
    """Return the new signature's defaults for the fields that still have those of the former one."""
    former = defaults_of(before.signature)
    return {field: value for field, value in defaults_of(signature).items() if getattr(before, field) == former[field]}


def _check_signature(webhook: Webhook, key: str | None) -> None:
    """Raise `MalformedRequest` if the fields of the signature, or the key, do not match its scheme."""
    scheme = webhook.signature
    is_named = scheme is SignatureScheme.HMAC_SHA256
    if is_named != (webhook.signature_header is not None):
        needs = "needs signature_header, the name of its header" if is_named else "has no signature_header"
        raise MalformedRequest(f"The signature {scheme} {needs}.", field="signature_header")
    extras: dict[str, Any] = {"timestamp_header": None, "signed_content": "{body}"}
    for field, usual in extras.items():
        if not is_named and getattr(webhook, field) != usual:
            raise MalformedRequest(f"{field} is only for the signature hmac-sha256.", field=field)
    if webhook.timestamp_header is not None and "{timestamp}" not in webhook.signed_content:
        raise MalformedRequest("timestamp_header needs {timestamp} in signed_content.", field="signed_content")
    if scheme is None:
        return
    if key is None:
        raise MalformedRequest("A signature needs a key, with which calls are signed.", field="key")
    try:
        secret = secret_bytes(key, scheme)
    except ValueError as error:
        raise MalformedRequest(f"key {error}.", field="key") from error
    if len(secret) < _MIN_SECRET:
        raise MalformedRequest(f"key needs a secret of at least {_MIN_SECRET} bytes.", field="key")
