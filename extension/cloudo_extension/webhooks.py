"""REST for webhooks: make, list, change, delete, see what became of their calls. The calls are in `webhook_calls`."""

from __future__ import annotations

from typing import ClassVar

from cloudo_extension.base import API, Handler
from cloudo_kernel.models import ChangeWebhook, CreateWebhook

_PAGE = frozenset({"limit", "cursor"})


class Webhooks(Handler):
    """`/webhook`."""

    query_of: ClassVar = {"GET": _PAGE | {"flow_name"}}

    async def get(self) -> None:
        """List webhooks by name."""
        await self.answer(self.api.webhooks, flow_name=self.query("flow_name"), **self.page_of())

    async def post(self) -> None:
        """Make a webhook."""
        made = await self.engine.call(self.api.create_webhook, self.parse(CreateWebhook, self.body()))
        self.set_header("Location", self.at("webhook", made.name))
        self.set_status(201)
        await self.answer(lambda: made)


class OneWebhook(Handler):
    """`/webhook/<name>`."""

    async def get(self, name: str) -> None:
        """Return one webhook."""
        await self.answer(self.api.webhook, name)

    async def patch(self, name: str) -> None:
        """Change the webhook in place."""
        await self.answer(self.api.change_webhook, name, self.parse(ChangeWebhook, self.body()))

    async def delete(self, name: str) -> None:
        """Delete the webhook; its executions stay."""
        await self.engine.call(self.api.delete_webhook, name)
        await self.finish_empty()


class Deliveries(Handler):
    """`/webhook/<name>/delivery`."""

    query_of: ClassVar = {"GET": _PAGE}

    async def get(self, name: str) -> None:
        """List the calls of the webhook, newest first."""
        await self.answer(self.api.deliveries, name, **self.page_of())


class Replay(Handler):
    """`/webhook/<name>/delivery/<id>/replay`."""

    async def post(self, name: str, delivery_id: str) -> None:
        """Start again what the delivery started."""
        started = await self.engine.call(self.api.replay_delivery, name, delivery_id)
        self.set_header("Location", self.at("execution", started.id))
        self.set_status(201)
        await self.answer(lambda: started)


routes = [
    (rf"{API}/webhook", Webhooks),
    (rf"{API}/webhook/([^/]+)", OneWebhook),
    (rf"{API}/webhook/([^/]+)/delivery", Deliveries),
    (rf"{API}/webhook/([^/]+)/delivery/([^/]+)/replay", Replay),
]
