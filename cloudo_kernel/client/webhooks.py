"""The verbs about webhooks, over HTTP."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from cloudo_kernel.client.base import Base, json_body, part
from cloudo_kernel.models import ChangeWebhook, CreateWebhook, Delivery, Execution, Page, Webhook


class WebhookVerbs(Base):
    """Create, read, list, change and delete webhooks; list and replay their deliveries."""

    def create_webhook(self, request: CreateWebhook) -> Webhook:
        """See `Api.create_webhook`."""
        return self._record(Webhook, self._send("POST", "webhook", **_body(request)))

    def webhooks(self, *, flow_name: str | None = None, limit: int = 100, cursor: str | None = None) -> Page[Webhook]:
        """See `Api.webhooks`."""
        return self._get(Page[Webhook], "webhook", flow_name=flow_name, limit=limit, cursor=cursor)

    def webhook(self, name: str) -> Webhook:
        """See `Api.webhook`."""
        return self._get(Webhook, _path(name))

    def change_webhook(self, name: str, request: ChangeWebhook) -> Webhook:
        """See `Api.change_webhook`."""
        return self._record(Webhook, self._send("PATCH", _path(name), **_body(request)))

    def delete_webhook(self, name: str) -> None:
        """See `Api.delete_webhook`."""
        self._send("DELETE", _path(name))

    def deliveries(self, name: str, *, limit: int = 100, cursor: str | None = None) -> Page[Delivery]:
        """See `Api.deliveries`."""
        return self._get(Page[Delivery], _path(name, "delivery"), limit=limit, cursor=cursor)

    def replay_delivery(self, name: str, delivery_id: str) -> Execution:
        """See `Api.replay_delivery`."""
        return self._record(Execution, self._send("POST", _path(name, "delivery", part(delivery_id), "replay")))


def _body(request: BaseModel) -> dict[str, Any]:
    return json_body(request.model_dump(mode="json", exclude_unset=True))


def _path(name: str, *parts: str) -> str:
    return "/".join(("webhook", part(name), *parts))
