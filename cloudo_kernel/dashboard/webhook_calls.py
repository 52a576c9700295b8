"""What the page may ask about webhooks and their deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from cloudo_kernel.api import PAGE_LIMIT, Api
from cloudo_kernel.dashboard import rows, webhook_rows
from cloudo_kernel.dashboard.attempts import parsed, tried
from cloudo_kernel.errors import ExecutionNotFound
from cloudo_kernel.models import ChangeWebhook, CreateWebhook, Delivery, Execution, JsonObject
from cloudo_kernel.webhooks.signatures import new_key

#: The verbs; see `calls.VERBS`.
VERBS: Final = frozenset(
    {
        "webhooks",
        "last_deliveries",
        "webhook",
        "deliveries",
        "create_webhook",
        "change_webhook",
        "enable_webhooks",
        "disable_webhooks",
        "delete_webhooks",
        "replay_delivery",
        "flow_names",
    }
)


class WebhookCalls:
    """Answers the page about webhooks with what `api` says. A key is in the one reply to whoever had it made up."""

    _api: Api

    def webhooks(self, *, limit: int = 100, cursor: str | None = None) -> JsonObject:
        """Return a page of webhooks by name; `last_deliveries` has when they were called last."""
        page = self._api.webhooks(limit=min(limit, PAGE_LIMIT), cursor=cursor)
        return {"rows": [webhook_rows.webhook_row(one) for one in page.items], "next": page.next}

    def last_deliveries(self, *, names: Sequence[str]) -> list[JsonObject]:
        """Return the newest delivery of each of these webhooks, or null; each gives that or its error."""

        def last(name: str) -> JsonObject | None:
            newest = self._api.deliveries(name, limit=1).items
            return webhook_rows.delivery_row(newest[0]) if newest else None

        return [tried(last, name) for name in names]

    def webhook(self, *, name: str) -> JsonObject:
        """Return one webhook in full."""
        return webhook_rows.webhook_whole(self._api.webhook(name))

    def deliveries(self, *, name: str, limit: int = 25, cursor: str | None = None) -> JsonObject:
        """Return a page of deliveries, newest first, with the executions that they started."""
        page = self._api.deliveries(name, limit=min(limit, PAGE_LIMIT), cursor=cursor)
        return {
            "rows": [webhook_rows.delivery_row(one, self._started_by(one)) for one in page.items],
            "next": page.next,
        }

    def create_webhook(self, *, request: JsonObject, makes_key: bool) -> JsonObject:
        """Make a webhook; with `makes_key` its key is made up, and in this reply only."""
        made_up = {"key": new_key(request.get("signature"))} if makes_key else {}
        made = self._api.create_webhook(parsed(CreateWebhook, request | made_up))
        return webhook_rows.webhook_whole(made) | made_up

    def change_webhook(self, *, name: str, request: JsonObject, makes_key: bool) -> JsonObject:
        """Change a webhook; with `makes_key` it gets a new key, which is in this reply only."""
        made_up: JsonObject = {}
        if makes_key:
            signature = request["signature"] if "signature" in request else self._api.webhook(name).signature
            made_up = {"key": new_key(signature)}
        changed = self._api.change_webhook(name, parsed(ChangeWebhook, request | made_up))
        return webhook_rows.webhook_whole(changed) | made_up

    def enable_webhooks(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Take calls of these webhooks again; each gives its row or its error."""
        return [tried(lambda one: self._switched(one, enabled=True), name) for name in ids]

    def disable_webhooks(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Take no calls of these webhooks; each gives its row or its error."""
        return [tried(lambda one: self._switched(one, enabled=False), name) for name in ids]

    def delete_webhooks(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Delete webhooks; each gives null or its error."""
        return [tried(self._api.delete_webhook, name) for name in ids]

    def replay_delivery(self, *, name: str, delivery_id: str) -> JsonObject:
        """Start again what a delivery started, and return the row of the execution."""
        return rows.execution_row(self._api.replay_delivery(name, delivery_id))

    def flow_names(self) -> list[str]:
        """Return the names of the flows that can be run, for a form to offer."""
        return [flow.name for flow in self._api.flows() if flow.broken is None]

    def _switched(self, name: str, *, enabled: bool) -> JsonObject:
        return webhook_rows.webhook_row(self._api.change_webhook(name, ChangeWebhook(enabled=enabled)))

    def _started_by(self, delivery: Delivery) -> Execution | None:
        if delivery.execution_id is not None:
            with suppress(ExecutionNotFound):
                return self._api.execution(delivery.execution_id)
        return None
