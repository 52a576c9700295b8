"""Webhooks and their deliveries as the page shows them; no key is among what it gets."""

from __future__ import annotations

from cloudo_kernel.dashboard.rows import NAME, cut, value_rows
from cloudo_kernel.models import Delivery, Execution, JsonObject, Webhook

_OF_ROW = {"name", "flow_name", "user_name", "has_key", "signature", "key_header", "enabled", "allowed_methods"}
#: What the form of a webhook shows as it is.
_OPTIONS = {
    "signature_header",
    "signed_content",
    "timestamp_header",
    "allowed_networks",
    "max_body_bytes",
    "rate_limit",
    "sync_timeout_seconds",
    "inputs",
    "reply",
}


def webhook_row(webhook: Webhook) -> JsonObject:
    """Return what a list shows of a webhook, and the head of its own view."""
    # Its name takes the place of an id: so the page can treat all lists alike.
    return webhook.model_dump(mode="json", include=_OF_ROW) | {"id": webhook.name}


def webhook_whole(webhook: Webhook) -> JsonObject:
    """Return all that the view of one webhook shows, but for its deliveries."""
    return {
        "row": webhook_row(webhook),
        "options": webhook.model_dump(mode="json", include=_OPTIONS),
        "inputs": value_rows(webhook.inputs),
        **webhook.model_dump(mode="json", include={"created_at", "modified_at"}),
    }


def delivery_row(delivery: Delivery, execution: Execution | None = None) -> JsonObject:
    """Return one delivery, and how the execution is that it started, as far as that is still kept."""
    include = {"id", "received_at", "source_ip", "status_code", "execution_id"}
    return delivery.model_dump(mode="json", include=include) | {
        "reason": delivery.reason and cut(delivery.reason, NAME),
        "sender_id": delivery.delivery_id and cut(delivery.delivery_id, NAME),
        "execution": execution and {"name": cut(execution.name, NAME), "status": execution.status},
    }
