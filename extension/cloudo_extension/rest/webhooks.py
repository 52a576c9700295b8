"""REST for webhooks and their deliveries. `webhook_endpoint` receives the calls."""

from __future__ import annotations

from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import PageQuery, Query, operation, routes_of
from cloudo_kernel.models import (
    ChangeWebhook,
    CreatedWebhook,
    CreateWebhook,
    Delivery,
    Execution,
    Page,
    Webhook,
    WebhookPreset,
)


class WebhookQuery(Query):
    """Filters of the list of webhooks."""

    flow_name: str | None = None


class Webhooks(Handler):
    """`/webhook`."""

    @operation("webhooks", reply=Page[Webhook], query=(WebhookQuery, PageQuery))
    async def get(self) -> None:
        """List webhooks by name."""
        await self.answer(self.api.webhooks, flow_name=self.asked(WebhookQuery).flow_name, **self.page())

    @operation(
        "create_webhook",
        reply=CreatedWebhook,
        status=201,
        body=CreateWebhook,
        example={"name": "deploy", "flow_name": "examples/greeting", "inputs": {"name": "Ada"}},
    )
    async def post(self) -> None:
        """Create a webhook."""
        self.set_header("Cache-Control", "no-store")
        await self.answer_created("webhook", self.api.create_webhook, await self.sent(CreateWebhook), key="name")


class Presets(Handler):
    """`/webhook/preset`."""

    @operation("webhook_presets", reply=Page[WebhookPreset], query=(PageQuery,))
    async def get(self) -> None:
        """List the senders whose signatures Cloudo knows."""
        await self.answer_page(lambda: sorted(self.api.webhook_presets(), key=lambda one: one.name), "name")


class OneWebhook(Handler):
    """`/webhook/<name>`."""

    @operation("webhook", reply=Webhook)
    async def get(self, name: str) -> None:
        """Return one webhook."""
        await self.answer(self.api.webhook, name)

    @operation(
        "change_webhook", reply=CreatedWebhook, is_conditional=True, body=ChangeWebhook, example={"rate_limit": 60}
    )
    async def patch(self, name: str) -> None:
        """Change the webhook."""
        self.set_header("Cache-Control", "no-store")
        await self.answer(
            self.unless_changed(self.api.webhook, self.api.change_webhook), name, await self.sent(ChangeWebhook)
        )

    @operation("delete_webhook", status=204, is_conditional=True)
    async def delete(self, name: str) -> None:
        """Delete the webhook. Its executions remain."""
        await self.backend.call(self.unless_changed(self.api.webhook, self.api.delete_webhook), name)
        await self.finish_empty()


class Deliveries(Handler):
    """`/webhook/<name>/delivery`."""

    @operation("deliveries", reply=Page[Delivery], query=(PageQuery,))
    async def get(self, name: str) -> None:
        """List the calls of the webhook, newest first."""
        await self.answer(self.api.deliveries, name, **self.page())


class Replay(Handler):
    """`/webhook/<name>/delivery/<id>/replay`."""

    @operation("replay_delivery", reply=Execution, status=201)
    async def post(self, name: str, delivery_id: str) -> None:
        """Start the delivery's execution again."""
        await self.answer_created("execution", self.api.replay_delivery, name, delivery_id)


routes = routes_of(Webhooks, Presets, OneWebhook, Deliveries, Replay)
