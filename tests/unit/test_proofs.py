"""Signatures, against what the senders themselves publish as examples."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudo_kernel import proofs
from cloudo_kernel.errors import SignatureInvalid
from cloudo_kernel.models import SignatureScheme, Webhook

MADE = datetime(2026, 11, 23, tzinfo=UTC)

#: https://github.com/standard-webhooks/standard-webhooks, the libraries' own test.
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
STANDARD_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_BODY = b'{"test": 2432232314}'

#: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
GITHUB = {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
GITHUB_KEY = "It's a Secret to Everybody"

#: https://api.slack.com/authentication/verifying-requests-from-slack
SLACK = {
    "X-Slack-Request-Timestamp": "1531420618",
    "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
}
SLACK_KEY = "8f742231b10e8888abcd99yyyzzz85a5"
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SLACK_SIGNS = {
    "signature_header": "X-Slack-Signature",
    "timestamp_header": "X-Slack-Request-Timestamp",
    "signed_content": "v0:{timestamp}:{body}",
}


def webhook(scheme: SignatureScheme, **more: Any) -> Webhook:
    return Webhook(
        name="w", flow_name="f", user_name="ada", signature=scheme, created_at=MADE, modified_at=MADE, **more
    )


def check(hook: Webhook, key: str, headers: dict[str, str], body: bytes, now: datetime = MADE) -> None:
    proofs.check_signature(hook, key, headers, body, now=now)


def test_standard_webhooks_publishes_this() -> None:
    hook, sent = webhook(SignatureScheme.STANDARD_WEBHOOKS), datetime.fromtimestamp(1614265330, UTC)
    check(hook, STANDARD_KEY, STANDARD, STANDARD_BODY, sent)
    check(hook, STANDARD_KEY.removeprefix("whsec_"), STANDARD, STANDARD_BODY, sent)
    several = f"v1,{base64.b64encode(b'x' * 32).decode()} v1a,abc {STANDARD['webhook-signature']} v2,?"
    check(hook, STANDARD_KEY, {**STANDARD, "webhook-signature": several}, STANDARD_BODY, sent)
    assert proofs.delivery_id(hook, STANDARD) == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    for late in (timedelta(seconds=301), -timedelta(seconds=301)):
        with pytest.raises(SignatureInvalid, match="5 minutes"):
            check(hook, STANDARD_KEY, STANDARD, STANDARD_BODY, sent + late)
    for change in (
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": "1614265331"},
        {"webhook-timestamp": "soon"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,ä"},
        {"webhook-signature": STANDARD["webhook-signature"].replace("v1,", "v1a,")},
    ):
        with pytest.raises(SignatureInvalid):
            check(hook, STANDARD_KEY, STANDARD | change, STANDARD_BODY, sent)


def test_github_publishes_this() -> None:
    hook = webhook(SignatureScheme.GITHUB)
    check(hook, GITHUB_KEY, GITHUB, b"Hello, World!")
    assert proofs.delivery_id(hook, {**GITHUB, "X-GitHub-Delivery": "72d3162e"}) == "72d3162e"
    assert proofs.delivery_id(hook, GITHUB) is None
    for headers, body in (
        ({}, b"Hello, World!"),
        (GITHUB, b"Hello, World?"),
        ({"X-Hub-Signature-256": GITHUB["X-Hub-Signature-256"].replace("sha256=", "sha1=")}, b"Hello, World!"),
        ({"X-Hub-Signature-256": "sha256="}, b"Hello, World!"),
    ):
        with pytest.raises(SignatureInvalid):
            check(hook, GITHUB_KEY, headers, body)
    with pytest.raises(SignatureInvalid):
        check(hook, "another secret", GITHUB, b"Hello, World!")


def test_slack_publishes_this() -> None:
    hook = webhook(SignatureScheme.HMAC_SHA256, **SLACK_SIGNS)
    sent = datetime.fromtimestamp(1531420618, UTC)
    check(hook, SLACK_KEY, SLACK, SLACK_BODY, sent)
    assert proofs.delivery_id(hook, SLACK) is None
    for headers, body, now in (
        (SLACK, SLACK_BODY, MADE),
        (SLACK, SLACK_BODY + b"&", sent),
        ({**SLACK, "X-Slack-Request-Timestamp": "1531420619"}, SLACK_BODY, sent),
        ({"X-Slack-Signature": SLACK["X-Slack-Signature"]}, SLACK_BODY, sent),
    ):
        with pytest.raises(SignatureInvalid):
            check(hook, SLACK_KEY, headers, body, now)


def test_stripe_signs_so() -> None:
    """As `stripe.WebhookSignature` does: a time, and a signature for each secret that is alive."""
    hook = webhook(
        SignatureScheme.HMAC_SHA256, signature_header="Stripe-Signature", signed_content="{timestamp}.{body}"
    )
    stamp, body, key = str(int(MADE.timestamp())), b'{"id": "evt_1"}', "whsec_abcdefghijklm"
    signature = hmac.new(key.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
    check(hook, key, {"Stripe-Signature": f"t={stamp},v1={'0' * 64},v1={signature},v0={'1' * 64}"}, body)
    for header in (f"v1={signature}", f"t={stamp}", f"t={int(stamp) - 1},v1={signature}", "t=,v1=", ",,,"):
        with pytest.raises(SignatureInvalid):
            check(hook, key, {"Stripe-Signature": header}, body)
    with pytest.raises(SignatureInvalid, match="5 minutes"):
        check(hook, key, {"Stripe-Signature": f"t={stamp},v1={signature}"}, body, MADE + timedelta(minutes=6))


def test_shopify_signs_so() -> None:
    hook = webhook(SignatureScheme.HMAC_SHA256, signature_header="X-Shopify-Hmac-Sha256")
    signature = base64.b64encode(hmac.digest(b"hush hush hush", b"{}", "sha256")).decode()
    check(hook, "hush hush hush", {"X-Shopify-Hmac-Sha256": signature}, b"{}")
    with pytest.raises(SignatureInvalid):
        check(hook, "hush hush hush", {"X-Shopify-Hmac-Sha256": signature}, b"{ }")


def test_what_is_kept_of_a_key_tells_nothing_and_fits_only_it() -> None:
    kept = proofs.digest("the-key-of-the-door")
    assert "the-key" not in kept
    assert proofs.digest("the-key-of-the-door") != kept
    assert proofs.is_key("the-key-of-the-door", kept)
    assert not proofs.is_key("the-key-of-the-doo", kept)
    assert not proofs.is_key("\ud800", kept)
