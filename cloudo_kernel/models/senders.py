"""The signatures of known senders of webhooks, and the defaults for their webhooks. `webhooks.signatures` uses them.

Each entry follows the public documentation of its sender.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cloudo_kernel.models.webhooks import SECRET_PREFIX, SYNC_SECONDS, SignatureScheme, WebhookPreset


@dataclass(frozen=True)
class Sender:
    """The format of the deliveries of one sender."""

    #: The header with the signatures.
    header: str
    #: The signed text, of `{body}`, `{timestamp}`, `{id}`, `{method}` and `{url}`.
    content: str = "{body}"
    #: The header with the time. By default the time is the part `t` or `ts` of the signatures' header.
    timestamp: str | None = None
    #: The name of a signature in the header, such as `v1` of `v1=5257a8…`; None for any name, or no name.
    part: str | None = None
    #: The separators between name and signature, and between the parts of the header.
    assign: str = "="
    separator: str = ","
    #: The header holds the key itself.
    is_plain: bool = False
    #: The place of the sender's id of a delivery; see `Webhook.delivery_id`.
    delivery_id: str | None = None
    #: The query parameter with the challenge that the reply to an unsigned GET returns.
    challenge_parameter: str | None = None
    #: The `type` of a JSON body with a `challenge` that the reply returns.
    challenge_type: str | None = None
    #: Whether the sender issues the key, so that a key created here would be useless.
    issues_key: bool = True
    #: How long the sender waits for a reply, less a second or two.
    sync_timeout_seconds: float = SYNC_SECONDS


_STANDARD: Final = Sender(
    "webhook-signature",
    "{id}.{timestamp}.{body}",
    timestamp="webhook-timestamp",
    part="v1",
    assign=",",
    separator=" ",
    delivery_id="webhook-id",
    issues_key=False,
)

#: All schemes except `hmac-sha256`, which a webhook describes itself.
SENDERS: Final[Mapping[SignatureScheme, Sender]] = {
    SignatureScheme.STANDARD_WEBHOOKS: _STANDARD,
    SignatureScheme.GITHUB: Sender(
        "X-Hub-Signature-256", part="sha256", delivery_id="X-GitHub-Delivery", issues_key=False
    ),
    # https://docs.gitlab.com/user/project/integrations/webhooks/
    SignatureScheme.GITLAB: Sender("X-Gitlab-Token", is_plain=True, delivery_id="Idempotency-Key", issues_key=False),
    # https://docs.stripe.com/webhooks/signatures
    SignatureScheme.STRIPE: Sender("Stripe-Signature", "{timestamp}.{body}", part="v1", delivery_id="$.id"),
    # https://docs.slack.dev/authentication/verifying-requests-from-slack; it waits 3 s
    SignatureScheme.SLACK: Sender(
        "X-Slack-Signature",
        "v0:{timestamp}:{body}",
        timestamp="X-Slack-Request-Timestamp",
        part="v0",
        delivery_id="$.event_id",
        challenge_type="url_verification",
        sync_timeout_seconds=2.0,
    ),
    # https://shopify.dev/docs/apps/build/webhooks; it waits 5 s. One event has the same id in all its topics.
    SignatureScheme.SHOPIFY: Sender(
        "X-Shopify-Hmac-Sha256", delivery_id="X-Shopify-Topic X-Shopify-Event-Id", sync_timeout_seconds=4.0
    ),
    # https://developer.paddle.com/webhooks/signature-verification
    SignatureScheme.PADDLE: Sender(
        "Paddle-Signature", "{timestamp}:{body}", part="h1", separator=";", delivery_id="$.event_id"
    ),
    # https://developers.hubspot.com/docs/guides/apps/authentication/validating-requests; a body holds many events
    SignatureScheme.HUBSPOT: Sender(
        "X-HubSpot-Signature-v3", "{method}{url}{body}{timestamp}", timestamp="X-HubSpot-Request-Timestamp"
    ),
    # https://developer.squareup.com/docs/webhooks/step3validate
    SignatureScheme.SQUARE: Sender("X-Square-HmacSha256-Signature", "{url}{body}", delivery_id="$.event_id"),
    # https://developers.facebook.com/docs/graph-api/webhooks/getting-started
    SignatureScheme.META: Sender("X-Hub-Signature-256", part="sha256", challenge_parameter="hub.challenge"),
    # https://www.dropbox.com/developers/reference/webhooks
    SignatureScheme.DROPBOX: Sender("X-Dropbox-Signature", challenge_parameter="challenge"),
}


#: The names of senders, where they are not the word with a capital.
_TITLES: Final = {
    SignatureScheme.STANDARD_WEBHOOKS: "Standard Webhooks",
    SignatureScheme.GITHUB: "GitHub",
    SignatureScheme.GITLAB: "GitLab",
    SignatureScheme.HUBSPOT: "HubSpot",
}


def presets() -> tuple[WebhookPreset, ...]:
    """Return the known senders, for a form."""
    return tuple(
        WebhookPreset(
            name=scheme,
            title=_TITLES.get(scheme, scheme.value.capitalize()),
            signature_header=sender.header,
            signed_content=sender.content,
            timestamp_header=sender.timestamp,
            is_key_plain=sender.is_plain,
            issues_key=sender.issues_key,
            **defaults_of(scheme),
        )
        for scheme, sender in SENDERS.items()
    )


def sender_of(scheme: SignatureScheme, key: str) -> Sender:
    """Return the sender of a preset. GitLab signs as Standard Webhooks when it has a signing token as its key."""
    if scheme is SignatureScheme.GITLAB and key.startswith(SECRET_PREFIX):
        return _STANDARD
    return SENDERS[scheme]


def defaults_of(scheme: SignatureScheme | None) -> dict[str, Any]:
    """Return the defaults of a preset for the fields of a webhook."""
    sender = SENDERS.get(scheme, Sender("")) if scheme is not None else Sender("")
    fields = ("delivery_id", "challenge_parameter", "sync_timeout_seconds")
    return {field: getattr(sender, field) for field in fields}


def issues_key(signature: str | None) -> bool:
    """Return whether the sender issues the key, so that a key created here would be useless."""
    return any(sender.issues_key for scheme, sender in SENDERS.items() if scheme == signature)


def header_of(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header of a delivery. Those of Standard Webhooks may have the names `svix-*`."""
    found = headers.get(name)
    if found is None and name.lower().startswith("webhook-"):
        found = headers.get(f"svix-{name[len('webhook-') :]}")
    return found
