"""What single senders want of a webhook besides a call: ids, challenges, checks of the address, places of the key."""

from __future__ import annotations

import base64
import gzip
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.extension.conftest import StartServer, client, error_of
from tests.extension.webhooks import ECHO, KEY, deliveries, got, make
from tests.flows import write_script
from tests.server import RunningServer, until

JSON = {"Content-Type": "application/json"}
ORIGIN = "https://shop.example.com"
#: The address of a webhook as its senders have it, where it is signed.
PUBLIC = "https://hooks.example.com/in"
SVIX_KEY = f"whsec_{base64.b64encode(b'thirty-two bytes of good entropy').decode()}"


@pytest.fixture(scope="module", autouse=True)
def flows(server: RunningServer) -> None:
    write_script(server.workspace, "echo", ECHO)


@pytest.fixture(scope="module")
def caller(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.url}cloudo/webhook", timeout=60, trust_env=False) as http:
        yield http


def of_slack(body: bytes) -> dict[str, str]:
    """Return the headers of Slack."""
    stamp = str(int(time.time()))
    signature = hmac.new(KEY.encode(), f"v0:{stamp}:".encode() + body, "sha256").hexdigest()
    return {**JSON, "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={signature}"}


def of_shopify(body: bytes) -> dict[str, str]:
    """Return the headers of Shopify."""
    signature = base64.b64encode(hmac.digest(KEY.encode(), body, "sha256")).decode()
    about = {"X-Shopify-Topic": "orders/create", "X-Shopify-Event-Id": "98880550-7158-44d4"}
    return {**JSON, "X-Shopify-Hmac-Sha256": signature, **about}


def of_stripe(body: bytes) -> dict[str, str]:
    """Return the headers of Stripe."""
    stamp = str(int(time.time()))
    signature = hmac.new(KEY.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
    return {**JSON, "Stripe-Signature": f"t={stamp},v1={signature}"}


def of_svix(body: bytes) -> dict[str, str]:
    """Return the headers of Svix: those of Standard Webhooks by other names."""
    stamp = str(int(time.time()))
    signature = hmac.digest(b"thirty-two bytes of good entropy", f"msg_1.{stamp}.".encode() + body, "sha256")
    text = base64.b64encode(signature).decode()
    return {**JSON, "Svix-Id": "msg_1", "Svix-Timestamp": stamp, "Svix-Signature": f"v1,{text}"}


def of_paddle(body: bytes) -> dict[str, str]:
    """Return the headers of Paddle."""
    stamp = str(int(time.time()))
    signature = hmac.new(KEY.encode(), f"{stamp}:".encode() + body, "sha256").hexdigest()
    return {**JSON, "Paddle-Signature": f"ts={stamp};h1={signature}"}


def of_hubspot(body: bytes) -> dict[str, str]:
    """Return the headers of HubSpot."""
    stamp = f"{int(time.time())}000"
    signature = hmac.digest(KEY.encode(), b"POST" + PUBLIC.encode() + body + stamp.encode(), "sha256")
    text = base64.b64encode(signature).decode()
    return {**JSON, "X-HubSpot-Signature-v3": text, "X-HubSpot-Request-Timestamp": stamp}


def of_square(body: bytes) -> dict[str, str]:
    """Return the headers of Square."""
    signature = hmac.digest(KEY.encode(), PUBLIC.encode() + body, "sha256")
    return {**JSON, "x-square-hmacsha256-signature": base64.b64encode(signature).decode()}


def of_gitlab(_body: bytes) -> dict[str, str]:
    """Return the headers of GitLab."""
    return {**JSON, "X-Gitlab-Token": KEY}


@pytest.mark.parametrize(
    ("sender", "headers", "fields"),
    [
        ("standard-webhooks", of_svix, {"key": SVIX_KEY}),
        ("paddle", of_paddle, {}),
        ("hubspot", of_hubspot, {"public_url": PUBLIC}),
        ("square", of_square, {"public_url": PUBLIC}),
        ("gitlab", of_gitlab, {}),
    ],
)
def test_a_sender_with_a_preset_is_let_in(
    http: httpx.Client, caller: httpx.Client, sender: str, headers: Any, fields: dict[str, Any]
) -> None:
    name, body = make(http, f"let-in-{sender}", **{"signature": sender, "key": KEY, **fields}), b'{"a": 1}'
    assert got(caller.post(f"/{name}", content=body, headers=headers(body)))["json"] == {"a": 1}
    wrong = {name: value[:-3] if len(value) > 20 else value for name, value in headers(body).items()}
    changed = {**wrong, "X-Gitlab-Token": "wrong", "Content-Type": "application/json"}
    assert caller.post(f"/{name}", content=body, headers=changed).status_code == 401


def runs_of(http: httpx.Client, name: str) -> int:
    return len([one for one in deliveries(http, name) if one["delivery_id"]])


@pytest.mark.parametrize(
    ("sender", "headers", "body"),
    [
        ("slack", of_slack, b'{"type": "event_callback", "event_id": "Ev123ABC456"}'),
        ("shopify", of_shopify, b'{"id": 820982911946154500}'),
        ("stripe", of_stripe, b'{"id": "evt_1NG8Du", "object": "event"}'),
    ],
)
def test_three_deliveries_of_one_event_are_one_run(
    http: httpx.Client, caller: httpx.Client, sender: str, headers: Any, body: bytes
) -> None:
    name = make(http, f"of-{sender}", signature=sender, key=KEY)
    replies = [caller.post(f"/{name}", content=body, headers=headers(body)) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 200], replies[0].text
    assert len({reply.json()["id"] for reply in replies}) == 1
    assert runs_of(http, name) == 1
    assert caller.post(f"/{name}", content=body + b" ", headers=headers(body)).status_code == 401


def test_a_key_does_for_an_id_in_the_body_too(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "with-id", key=KEY, delivery_id="$.events[0].id")
    ids = set()
    for number in (1, 1, 2):
        reply = caller.post(f"/{name}", json={"events": [{"id": number}]}, headers={"X-Cloudo-Key": KEY})
        ids.add(reply.json()["id"])
    assert len(ids) == runs_of(http, name) == 2
    for bad in ("$", " ", "$.a[x]", "a b/c", "$.a..b", ""):
        reply = http.patch(f"/webhook/{name}", json={"delivery_id": bad})
        assert (reply.status_code, error_of(reply)["field"]) == (400, "delivery_id"), bad


def test_a_preset_fills_in_what_is_not_given(http: httpx.Client) -> None:
    def fields(record: dict[str, Any]) -> tuple[Any, ...]:
        return record["sync_timeout_seconds"], record["delivery_id"], record["challenge_parameter"]

    for signature, expected in {
        "github": (8, "X-GitHub-Delivery", None),
        "shopify": (4, "X-Shopify-Topic X-Shopify-Event-Id", None),
        "slack": (2, "$.event_id", None),
        "meta": (8, None, "hub.challenge"),
    }.items():
        made = {"name": "with-preset", "flow_name": "echo", "key": KEY, "signature": signature}
        http.delete("/webhook/with-preset")
        assert fields(http.post("/webhook", json=made).json()) == expected
    changed = http.patch("/webhook/with-preset", json={"signature": "slack"}).json()
    assert fields(changed) == (2, "$.event_id", None)
    own = {"sync_timeout_seconds": 20, "delivery_id": None}
    assert fields(http.patch("/webhook/with-preset", json=own).json()) == (20, None, None)
    assert fields(http.patch("/webhook/with-preset", json={"signature": "shopify"}).json())[0] == 20
    assert fields(http.patch("/webhook/with-preset", json={"signature": None, "key": KEY}).json())[:2] == (20, None)


def test_a_challenge_is_answered_and_starts_nothing(http: httpx.Client, caller: httpx.Client) -> None:
    slack = make(http, "slack-challenge", signature="slack", key=KEY)
    body = b'{"type": "url_verification", "token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": "3eZbrw1a<b>"}'
    reply = caller.post(f"/{slack}", content=body, headers=of_slack(body))
    assert (reply.status_code, reply.json()) == (200, {"challenge": "3eZbrw1a<b>"})
    assert caller.post(f"/{slack}", content=body, headers=JSON).status_code == 401
    queries = {
        "meta": {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "meatyhamhock"},
        "dropbox": {"challenge": "<script>x</script>"},
    }
    for sender, query in queries.items():
        name = make(http, f"{sender}-challenge", signature=sender, key=KEY, allowed_methods=["POST"])
        reply = caller.get(f"/{name}", params=query)
        challenge = query.get("hub.challenge", query.get("challenge"))
        assert (reply.status_code, reply.text) == (200, challenge)
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert reply.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert caller.get(f"/{name}").status_code == 401
        until(lambda name=name: len(deliveries(http, name)) == 2)  # type: ignore[misc]  # mypy cannot infer it
        assert {one["execution_id"] for one in deliveries(http, name)} == {None}
        assert deliveries(http, name)[1]["reason"] == "the sender's challenge was answered"
        http.patch(f"/webhook/{name}", json={"enabled": False})
        assert caller.get(f"/{name}", params=query).status_code == 404


def test_head_answers_like_a_call_and_starts_nothing(http: httpx.Client, caller: httpx.Client) -> None:
    for name, query, status in (
        (make(http, "head-open"), "", 200),
        (make(http, "head-keyed", key=KEY), f"?key={KEY}", 200),
        ("head-keyed", "?key=wrong", 404),
        (make(http, "head-signed", signature="github", key=KEY), "", 200),
        ("no-such-one", "", 404),
    ):
        reply = caller.head(f"/{name}{query}")
        assert (reply.status_code, reply.content) == (status, b""), name
    until(lambda: len(deliveries(http, "head-open")) == 1)
    assert deliveries(http, "head-open")[0]["execution_id"] is None


def test_pages_of_an_allowed_origin_may_call(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "for-pages", allowed_origins=[ORIGIN.upper()], key=KEY)
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-cloudo-key",
    }
    reply = caller.options(f"/{name}", headers=asked)
    assert (reply.status_code, reply.content) == (204, b"")
    assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert reply.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert reply.headers["Access-Control-Allow-Headers"] == "x-cloudo-key"
    assert "Access-Control-Allow-Credentials" not in reply.headers
    for key, status in ((KEY, 200), ("wrong", 404)):
        reply = caller.post(f"/{name}", json={}, headers={"Origin": ORIGIN, "X-Cloudo-Key": key})
        assert (reply.status_code, reply.headers["Access-Control-Allow-Origin"]) == (status, ORIGIN)
        assert reply.headers["Vary"] == "Origin"
    usual = caller.options("/no-such-one", headers=asked)
    for other in ("https://evil.example", "null", ORIGIN.replace("https", "http"), f"{ORIGIN}:8443"):
        reply = caller.options(f"/{name}", headers={**asked, "Origin": other})
        assert (reply.status_code, reply.headers.keys()) == (204, usual.headers.keys())
        assert "Access-Control-Allow-Origin" not in reply.headers
    for bad in ("https://a/b", "ftp://a", "a b", "https://u@a"):
        assert http.patch(f"/webhook/{name}", json={"allowed_origins": [bad]}).status_code == 400, bad


def test_a_sender_of_cloud_events_is_allowed_by_its_name(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "cloud-events", allowed_origins=["eventgrid.azure.net"], rate_limit=120)
    asked = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "1000"}
    reply = caller.options(f"/{name}", headers=asked)
    assert reply.status_code == 204
    assert reply.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert reply.headers["WebHook-Allowed-Rate"] == "120"
    assert "POST" in reply.headers["Allow"]
    reply = caller.options(f"/{name}", headers={"WebHook-Request-Origin": "elsewhere.example"})
    assert "WebHook-Allowed-Origin" not in reply.headers
    http.patch(f"/webhook/{name}", json={"allowed_origins": ["*"], "rate_limit": None})
    reply = caller.options(f"/{name}", headers=asked)
    assert (reply.headers["WebHook-Allowed-Origin"], reply.headers["WebHook-Allowed-Rate"]) == (
        "eventgrid.azure.net",
        "*",
    )


def test_the_key_opens_as_bearer_and_as_basic_password(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "authorized", key=KEY)
    basic = base64.b64encode(f"any:{KEY}".encode()).decode()
    for header in (f"Bearer {KEY}", f"bearer  {KEY}", f"Basic {basic}"):
        inputs = got(caller.post(f"/{name}", json={}, headers={"Authorization": header}))
        assert "Authorization" not in inputs["headers"]
        assert KEY not in json.dumps(inputs)
    for header in (KEY, f"token {KEY}", "Bearer", "Bearer wrong", "Basic !", f"Basic {basic[:-8]}", f"Digest {KEY}"):
        assert caller.post(f"/{name}", json={}, headers={"Authorization": header}).status_code == 404, header


def test_a_raw_webhook_gives_the_bytes_of_any_body(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "raw", key=KEY, raw=True)

    def sent(body: bytes, **headers: str) -> dict[str, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return got(caller.post(f"/{name}", content=body, headers={"X-Cloudo-Key": KEY, **named}))

    for body, headers, more in (
        (b'{"a": 1}', JSON, {"json": {"a": 1}}),
        (b"{", JSON, {}),
        (b"--x\r\n", {"Content-Type": "multipart/form-data; boundary=x"}, {}),
        (gzip.compress(b"{}"), {**JSON, "Content-Encoding": "gzip"}, {}),
        (b"\xff", {"Content-Type": "text/plain"}, {}),
    ):
        found = sent(body, **headers)
        wanted = {"body_base64": base64.b64encode(body).decode(), **more}
        assert {key: found[key] for key in found.keys() & {"json", "form", "text", "body_base64"}} == wanted
    # A body that holds the key is not kept, as the key would be.
    found = got(caller.post(f"/{name}", json={"key": KEY, "a": 1}))
    assert (found["json"], "body_base64" in found) == ({"a": 1}, False)


def test_after_20_failures_further_ones_get_429_and_the_right_key_gets_in(
    http: httpx.Client, caller: httpx.Client
) -> None:
    make(http, "guessed", key=KEY, rate_limit=None)
    make(http, "forged", signature="github", key=KEY, rate_limit=None)
    answers: dict[str, list[httpx.Response]] = {"guessed": [], "no-guess": [], "forged": []}
    for name, replies in answers.items():  # one after the other: a slow machine must not stretch them over a minute
        for number in range(30):
            # A caller that makes up its address is still the same caller.
            headers = {"X-Cloudo-Key": f"wrong {number}", "X-Forwarded-For": f"192.0.2.{number}"}
            replies.append(caller.post(f"/{name}", json={}, headers=headers))
    for name, replies in answers.items():
        statuses = [reply.status_code for reply in replies]
        usual = 401 if name == "forged" else 404
        assert set(statuses[:20]) == {usual}, name
        assert statuses[-1] == 429, name
        first, last = replies[0], replies[-1]
        assert first.text == last.text
        assert int(last.headers["Retry-After"]) >= 1
    known, unknown = answers["guessed"][-1], answers["no-guess"][-1]
    assert known.text.replace("guessed", "no-guess") == unknown.text
    assert known.headers.keys() == unknown.headers.keys()
    got(caller.post("/guessed", json={}, headers={"X-Cloudo-Key": KEY}))
    signature = hmac.new(KEY.encode(), b"{}", "sha256").hexdigest()
    got(caller.post("/forged", content=b"{}", headers={**JSON, "X-Hub-Signature-256": f"sha256={signature}"}))


def test_refusals_are_recorded_together_and_also_by_a_server_that_stops(start: StartServer) -> None:
    server = start(None, "--Cloudo.embedded_worker=False")
    write_script(server.workspace, "echo", ECHO)
    with client(server) as http, httpx.Client(base_url=f"{server.url}cloudo/webhook", trust_env=False) as caller:
        make(http, "noted", key=KEY)
        for _ in range(15):
            assert caller.post("/noted", json={}).status_code == 404
            assert caller.post("/unknown", json={}).status_code == 404
        server.stop()
    again = start(server.workspace, "--Cloudo.embedded_worker=False")
    with client(again) as http:
        found = deliveries(http, "noted")
        assert [one["reason"] for one in found] == ["the key was missing or wrong"] * 15
        assert {one["status_code"] for one in found} == {404}
