"""Signatures, against what the senders themselves publish as examples."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders

from cloudo_kernel.errors import SignatureInvalid
from cloudo_kernel.models import SignatureScheme, Webhook
from cloudo_kernel.models.senders import SENDERS, defaults_of
from cloudo_kernel.webhooks import signatures
from cloudo_kernel.webhooks.request import DeliveryRequest

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


def called(headers: dict[str, str], body: bytes, **more: Any) -> DeliveryRequest:
    values: dict[str, Any] = {"webhook_name": "w", "method": "POST", "path": "/cloudo/webhook/w"}
    values |= {"query": (), "source_ip": "192.0.2.1"}
    values |= {"url": "https://hooks.example.com/cloudo/webhook/w", **more}
    return DeliveryRequest(headers=HTTPHeaders(headers), body=body, **values)


def check(hook: Webhook, key: str, headers: dict[str, str], body: bytes, now: datetime = MADE, **more: Any) -> None:
    signatures.check_signature(hook, key, called(headers, body, **more), now=now)


def preset(scheme: SignatureScheme, **more: Any) -> Webhook:
    return webhook(scheme, **{**defaults_of(scheme), **more})


def sender_id(hook: Webhook, headers: dict[str, str], body: bytes = b"{}") -> str | None:
    assert hook.delivery_id is not None
    return called({"Content-Type": "application/json", **headers}, body).sender_id(hook.delivery_id)


def test_standard_webhooks_publishes_this() -> None:
    hook, sent = preset(SignatureScheme.STANDARD_WEBHOOKS), datetime.fromtimestamp(1614265330, UTC)
    check(hook, STANDARD_KEY, STANDARD, STANDARD_BODY, sent)
    check(hook, STANDARD_KEY.removeprefix("whsec_"), STANDARD, STANDARD_BODY, sent)
    several = f"v1,{base64.b64encode(b'x' * 32).decode()} v1a,abc {STANDARD['webhook-signature']} v2,?"
    check(hook, STANDARD_KEY, {**STANDARD, "webhook-signature": several}, STANDARD_BODY, sent)
    svix = {name.replace("webhook-", "Svix-"): value for name, value in STANDARD.items()}
    check(hook, STANDARD_KEY, svix, STANDARD_BODY, sent)
    for headers in (STANDARD, svix):
        assert sender_id(hook, headers) == "msg_p5jXN8AQM9LWM0D4loKWxJek"
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
    hook = preset(SignatureScheme.GITHUB)
    check(hook, GITHUB_KEY, GITHUB, b"Hello, World!")
    assert sender_id(hook, {**GITHUB, "X-GitHub-Delivery": "72d3162e"}) == "72d3162e"
    assert sender_id(hook, GITHUB) is None
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


@pytest.mark.parametrize(
    "hook", [preset(SignatureScheme.SLACK), webhook(SignatureScheme.HMAC_SHA256, **SLACK_SIGNS)], ids=["preset", "hmac"]
)
def test_slack_publishes_this(hook: Webhook) -> None:
    sent = datetime.fromtimestamp(1531420618, UTC)
    check(hook, SLACK_KEY, SLACK, SLACK_BODY, sent)
    for headers, body, now in (
        (SLACK, SLACK_BODY, MADE),
        (SLACK, SLACK_BODY + b"&", sent),
        ({**SLACK, "X-Slack-Request-Timestamp": "1531420619"}, SLACK_BODY, sent),
        ({"X-Slack-Signature": SLACK["X-Slack-Signature"]}, SLACK_BODY, sent),
    ):
        with pytest.raises(SignatureInvalid):
            check(hook, SLACK_KEY, headers, body, now)


STRIPE_SIGNS = {"signature_header": "Stripe-Signature", "signed_content": "{timestamp}.{body}"}


@pytest.mark.parametrize(
    "hook",
    [preset(SignatureScheme.STRIPE), webhook(SignatureScheme.HMAC_SHA256, **STRIPE_SIGNS)],
    ids=["preset", "hmac"],
)
def test_stripe_signs_so(hook: Webhook) -> None:
    """As `stripe.WebhookSignature` does: a time, and a signature for each secret that is alive."""
    stamp, body, key = str(int(MADE.timestamp())), b'{"id": "evt_1"}', "whsec_abcdefghijklm"
    signature = hmac.new(key.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
    check(hook, key, {"Stripe-Signature": f"t={stamp},v1={'0' * 64},v1={signature},v0={'1' * 64}"}, body)
    for header in (f"v1={signature}", f"t={stamp}", f"t={int(stamp) - 1},v1={signature}", "t=,v1=", ",,,"):
        with pytest.raises(SignatureInvalid):
            check(hook, key, {"Stripe-Signature": header}, body)
    with pytest.raises(SignatureInvalid, match="5 minutes"):
        check(hook, key, {"Stripe-Signature": f"t={stamp},v1={signature}"}, body, MADE + timedelta(minutes=6))


SECRET = "hush hush hush"
BODY = b'{"event_id": "e-1", "id": "i-1", "text": "\xc3\xa4"}'
URL = "https://hooks.example.com/cloudo/webhook/w"
SECONDS = str(int(MADE.timestamp()))


def signed(content: bytes) -> bytes:
    return hmac.digest(SECRET.encode(), content, "sha256")


def in_base64(content: bytes) -> str:
    return base64.b64encode(signed(content)).decode()


#: By hand, as each sender documents it.
SENT: dict[SignatureScheme, dict[str, str]] = {
    SignatureScheme.SHOPIFY: {"X-Shopify-Hmac-SHA256": in_base64(BODY)},
    SignatureScheme.PADDLE: {"Paddle-Signature": f"ts={SECONDS};h1={signed(SECONDS.encode() + b':' + BODY).hex()}"},
    SignatureScheme.HUBSPOT: {
        "X-HubSpot-Signature-v3": in_base64(b"POST" + URL.encode() + BODY + SECONDS.encode() + b"000"),
        "X-HubSpot-Request-Timestamp": f"{SECONDS}000",
    },
    SignatureScheme.SQUARE: {"x-square-hmacsha256-signature": in_base64(URL.encode() + BODY)},
    SignatureScheme.META: {"X-Hub-Signature-256": f"sha256={signed(BODY).hex()}"},
    SignatureScheme.DROPBOX: {"X-Dropbox-Signature": signed(BODY).hex()},
    SignatureScheme.GITLAB: {"X-Gitlab-Token": SECRET},
}


@pytest.mark.parametrize("scheme", SENT)
def test_senders_sign_so(scheme: SignatureScheme) -> None:
    hook, headers = preset(scheme), SENT[scheme]
    check(hook, SECRET, headers, BODY)
    others: list[tuple[dict[str, str], bytes, str]] = [({}, BODY, SECRET), (headers, BODY, "another one hush")]
    others += [({name: value[:-1] for name, value in headers.items()}, BODY, SECRET)]
    if scheme is not SignatureScheme.GITLAB:
        others += [(headers, BODY + b" ", SECRET)]
    for given, body, key in others:
        with pytest.raises(SignatureInvalid):
            check(hook, key, given, body)
    if "{url}" in SENDERS[scheme].content:
        with pytest.raises(SignatureInvalid):
            check(hook, SECRET, headers, BODY, url="http://127.0.0.1:8888/cloudo/webhook/w")
        check(preset(scheme, public_url=URL), SECRET, headers, BODY, url="http://127.0.0.1:8888/cloudo/webhook/w")
    if "{timestamp}" in SENDERS[scheme].content:
        with pytest.raises(SignatureInvalid, match="5 minutes"):
            check(hook, SECRET, headers, BODY, MADE + timedelta(minutes=6))


def test_gitlab_signs_as_standard_webhooks_where_it_has_a_signing_token() -> None:
    hook, sent = preset(SignatureScheme.GITLAB), datetime.fromtimestamp(1614265330, UTC)
    check(hook, STANDARD_KEY, STANDARD, STANDARD_BODY, sent)
    with pytest.raises(SignatureInvalid):  # the token itself is not enough then
        check(hook, STANDARD_KEY, {"X-Gitlab-Token": STANDARD_KEY}, STANDARD_BODY, sent)


def test_each_preset_has_a_test_here_and_knows_a_repetition() -> None:
    known = {SignatureScheme.STANDARD_WEBHOOKS, SignatureScheme.GITHUB, SignatureScheme.SLACK, SignatureScheme.STRIPE}
    assert known | SENT.keys() == SENDERS.keys() == set(SignatureScheme) - {SignatureScheme.HMAC_SHA256}
    assert sender_id(preset(SignatureScheme.STRIPE), {}, BODY) == "i-1"
    for scheme in (SignatureScheme.SLACK, SignatureScheme.PADDLE, SignatureScheme.SQUARE):
        assert sender_id(preset(scheme), {}, BODY) == "e-1"
    shopify = {"X-Shopify-Topic": "orders/create", "X-Shopify-Event-Id": "98880550"}
    assert sender_id(preset(SignatureScheme.SHOPIFY), shopify) == "orders/create 98880550"
    assert sender_id(preset(SignatureScheme.SHOPIFY), {"X-Shopify-Topic": "orders/create"}) is None
    assert sender_id(preset(SignatureScheme.GITLAB), {"Idempotency-Key": "a-b"}) == "a-b"


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("$.a.b[1]", "7"),
        ("$[0]", None),
        ("$.a.b[9]", None),
        ("$.a.b", None),
        ("$.a.yes", None),
        ("$.a", None),
        ("$.long", f"sha256:{hashlib.sha256(b'x' * 300).hexdigest()}"),
        ("X-A $.a.b[1]", "A 7"),
        ("X-B $.a.b[1]", None),
    ],
)
def test_an_id_of_a_delivery_is_a_text_or_a_number_at_its_place(place: str, found: str | None) -> None:
    body = {"a": {"b": [1.5, 7], "yes": True}, "long": "x" * 300}
    call = called({"Content-Type": "application/json", "X-A": "A"}, json.dumps(body).encode())
    assert call.sender_id(place) == found


def test_what_is_kept_of_a_key_tells_nothing_and_fits_only_it() -> None:
    kept = signatures.digest("the-key-of-the-door")
    assert "the-key" not in kept
    assert signatures.digest("the-key-of-the-door") != kept
    assert signatures.is_key("the-key-of-the-door", kept)
    assert not signatures.is_key("the-key-of-the-doo", kept)
    assert not signatures.is_key("\ud800", kept)
