"""Calls of webhooks: who may, what the flow gets, what the caller gets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.extension.conftest import StartServer, client, error_of
from tests.extension.webhooks import ECHO, KEY, deliveries, got, make
from tests.flows import write_flow, write_script
from tests.server import RunningServer, until

FORM = "application/x-www-form-urlencoded"
XML = '<?xml version="1.0" encoding="iso-8859-15"?>'
ANSWERING = """
def handler(system, this):
    wanted = this.get("input_value")["json"]
    this.webhook_response(*wanted.get("args", []), **wanted.get("named", {}))
"""


@pytest.fixture(scope="module", autouse=True)
def flows(server: RunningServer) -> None:
    write_script(server.workspace, "echo", ECHO)
    write_script(server.workspace, "answering", ANSWERING)
    write_flow(server.workspace, "strict", "n", parameters="json: dict\nn: int = 1")


@pytest.fixture(scope="module")
def caller(server: RunningServer) -> Iterator[httpx.Client]:
    """Who holds nothing, at the addresses of webhooks."""
    with httpx.Client(base_url=f"{server.url}cloudo/webhook", timeout=60, trust_env=False) as http:
        yield http


def test_a_call_waits_for_the_end_and_gets_what_the_flow_put_out(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "plain", inputs={"region": "north"})
    reply = caller.post(f"/{name}?a=1&b=2&b=3", json={"x": [1, None]}, headers={"X-Event": "push", "Cookie": "c=1"})
    inputs = got(reply)
    assert inputs["headers"].pop("X-Event") == "push"
    assert not inputs.pop("headers").keys() & {"Cookie", "Authorization"}
    assert inputs == {
        "method": "POST",
        "path": "/cloudo/webhook/plain",
        "query": {"a": "1", "b": ["2", "3"]},
        "json": {"x": [1, None]},
        "region": "north",
    }
    assert set(reply.json()) == {"id", "name", "status", "message", "output_value"}
    record = http.get(f"/execution/{reply.json()['id']}").json()
    assert (record["trigger"], record["webhook_name"], record["flow_name"]) == ("webhook", "plain", "echo")
    assert record["user_name"] == http.get("/user/me").json()["name"]


def test_every_reply_is_sandboxed_and_sets_no_cookie(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "sandboxed", key=KEY)
    for reply in (
        caller.get(f"/{name}", params={"key": KEY}),
        caller.get(f"/{name}"),
        caller.put(f"/{name}"),
        caller.post(f"/{name}?key={KEY}", content=b"{", headers={"Content-Type": "application/json"}),
    ):
        assert reply.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in reply.headers
        assert "Access-Control-Allow-Origin" not in reply.headers


@pytest.mark.parametrize(
    ("body", "kind", "inputs"),
    [
        (b'[1, "two"]', "application/json", {"json": [1, "two"]}),
        (b"{}", "application/cloudevents+json; charset=utf-8", {"json": {}}),
        (b"a=1&b=%C3%A4&a=2&c=", "application/x-www-form-urlencoded", {"form": {"a": ["1", "2"], "b": "ä", "c": ""}}),
        ("grüß".encode(), "text/csv", {"text": "grüß"}),
        (b"", "application/json", {}),
        (b"name=J%FCrgen&b=\xfc", f"{FORM}; charset=windows-1252", {"form": {"name": "Jürgen", "b": "ü"}}),
        (b"<a>\xe9</a>", "text/xml; charset=ISO-8859-1", {"text": "<a>é</a>"}),
        (b'<?xml version="1.0" encoding="iso-8859-15"?>\xa4', "application/xml", {"text": f"{XML}€"}),
        ("é".encode("utf-16"), 'text/plain; charset="UTF-16"', {"text": "é"}),
        ('["é"]'.encode("utf-16"), "application/json; charset=utf-16", {"json": ["é"]}),
        (b"\xff", "text/plain", {"body_base64": "/w=="}),
        (b"a=%ff", FORM, {"body_base64": "YT0lZmY="}),
        (b"a", "text/plain; charset=unicode_escape", {"body_base64": "YQ=="}),
        (b"a", "text/plain; charset=base64", {"body_base64": "YQ=="}),
        (b"a", f"text/plain; charset={'x' * 5000}", {"body_base64": "YQ=="}),
        (b"\x89PNG\r\n", "image/png", {"body_base64": "iVBORw0K"}),
    ],
)
def test_a_body_is_json_a_form_or_text(
    http: httpx.Client, caller: httpx.Client, body: bytes, kind: str, inputs: dict[str, Any]
) -> None:
    name = make(http, "bodies")
    found = got(caller.post(f"/{name}", content=body, headers={"Content-Type": kind}))
    assert {key: found[key] for key in found.keys() & {"json", "form", "text", "body_base64"}} == inputs


def test_the_key_opens_from_three_places_and_is_kept_nowhere(
    server: RunningServer, http: httpx.Client, caller: httpx.Client
) -> None:
    name = make(http, "keyed", key=KEY)
    assert http.get(f"/webhook/{name}").json()["has_key"] is True
    ways: tuple[dict[str, Any], ...] = (
        {"headers": {"X-Cloudo-Key": KEY}, "json": {"key": "ABC-1"}},
        {"params": {"key": KEY, "a": "1"}, "json": {"key": "ABC-1"}},
        {"json": {"key": KEY, "b": 2}},
    )
    for fields in ways:
        inputs = got(caller.post(f"/{name}", **fields))
        assert KEY not in json.dumps(inputs)
        # Whose key is another one keeps it: it is a word like any other.
        assert inputs["json"] == ({"b": 2} if "headers" not in fields and "params" not in fields else {"key": "ABC-1"})
    address = f"/{name}?%6bey={KEY}"
    # Proxies and browsers repeat the address.
    repeated = {"X-Original-URI": address, "Referer": f"http://x{address}", "X-Escaped": KEY.replace("-", "%2d")}
    inputs = got(caller.get(address, headers={**repeated, "X-Other": "kept"}))
    assert inputs["headers"]["X-Other"] == "kept"
    assert not inputs["headers"].keys() & {"X-Original-Uri", "Referer", "X-Escaped"}
    for method, path in (("PUT", address), ("GET", f"{address}&x=%ff"), ("GET", f"/%ff?%6bey={KEY}")):
        assert caller.request(method, path).status_code in (400, 405)
    for path in (f"/{name}/?key={KEY}", f"//{name}?%6bey={KEY}", f"?key={KEY}", f"/{name}/more?key={KEY}"):
        for method in ("GET", "POST", "PUT"):
            reply = caller.request(method, f"{server.url}cloudo/webhook{path}")
            assert (reply.status_code, error_of(reply)["code"]) == (404, "webhook_not_found"), path
            assert "Set-Cookie" not in reply.headers
    for file in (server.workspace / ".cloudo").iterdir():
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file
    assert KEY not in server.log.read_text()


def test_who_does_not_know_the_key_learns_nothing(http: httpx.Client, caller: httpx.Client) -> None:
    make(http, "keyed", key=KEY, allowed_methods=["POST"], max_body_bytes=2_000_000)
    make(http, "off", key=KEY, enabled=False)
    make(http, "elsewhere", key=KEY, allowed_networks=["192.0.2.0/24", "2001:db8::/32"])
    wrong = {"X-Cloudo-Key": KEY[:-1]}
    right = {"X-Cloudo-Key": KEY}
    replies = {
        "unknown": caller.post("/nothing-here", headers=right),
        "wrong": caller.post("/keyed", headers=wrong),
        "none": caller.post("/keyed", json={"key": [KEY]}),
        "method": caller.get("/keyed", headers=wrong),
        "malformed": caller.post("/keyed", content=b"{", headers={"Content-Type": "application/json"}),
        "large": caller.post("/keyed", content=b"x" * 3_000_000),
        "large unknown": caller.post("/nothing-here", content=b"x" * 3_000_000),
        "disabled": caller.post("/off", headers=right),
        "network": caller.post("/elsewhere", headers=right),
    }
    for what, reply in replies.items():
        assert reply.status_code == 404, what
        name = str(reply.url).rpartition("/")[2]
        assert error_of(reply) == {"code": "webhook_not_found", "message": f"There is no webhook '{name}'."}, what
        assert reply.headers.keys() == replies["unknown"].headers.keys(), what
    until(lambda: len(deliveries(http, "keyed")) == 5)
    assert {one["reason"] for one in deliveries(http, "keyed")} == {"the key was missing or wrong"}
    until(lambda: len(deliveries(http, "off") + deliveries(http, "elsewhere")) == 2)
    assert deliveries(http, "off")[0]["reason"] == "the webhook is not enabled"
    assert deliveries(http, "elsewhere")[0]["reason"] == "its network is not allowed"


def test_a_body_that_is_no_http_tells_nothing_of_the_webhook(server: RunningServer, http: httpx.Client) -> None:
    make(http, "roomy", key=KEY, max_body_bytes=2**26)
    replies = set()
    for name in ("roomy", "nothing-here"):
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port), timeout=30) as line:
            line.sendall(
                f"POST /cloudo/webhook/{name} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            )
            line.sendall(b"180000\r\n" + b"x" * 0x180000 + b"\r\nzz\r\n")  # more than is usual, and then no chunk
            replies.add(b"".join(iter(partial(line.recv, 65536), b"")).partition(b"\r\n")[0])
    assert replies == {b"HTTP/1.1 400 Bad Request"}


def test_a_call_that_wants_no_wait_gets_the_id_at_once(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "later", "endless")
    for query in ("async", "async=1"):
        reply = caller.post(f"/{name}?{query}")
        assert reply.status_code == 202, reply.text
        assert http.post(f"/execution/{reply.json()['id']}/cancel").status_code == 200
    assert error_of(caller.post(f"/{name}?async=maybe"))["field"] == "async"


def test_a_call_that_outlasts_its_limit_gets_the_id(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "slow", "endless", sync_timeout_seconds=0.2)
    reply = caller.get(f"/{name}")
    assert reply.status_code == 202, reply.text
    assert http.post(f"/execution/{reply.json()['id']}/cancel").status_code == 200
    until(lambda: deliveries(http, name)[0]["status_code"] == 202)


def test_a_flow_that_fails_tells_so_without_a_traceback(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "fails", "failing")
    reply = caller.get(f"/{name}")
    assert (reply.status_code, reply.json()["status"]) == (200, "ENDED_ERROR")
    assert "Traceback" not in reply.text
    assert http.patch(f"/webhook/{name}", json={"reply": "record"}).status_code == 200
    record = caller.get(f"/{name}").json()
    assert record["error"]["name"] == "ZeroDivisionError"
    assert record["error"]["traceback"] == []


def test_a_flow_may_answer_itself(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "answers", "answering")

    def ask(*args: Any, **named: Any) -> httpx.Response:
        return caller.post(f"/{name}", json={"args": args, "named": named})

    assert (ask("hello").text, ask("hello").headers["Content-Type"]) == ("hello", "text/plain; charset=utf-8")
    made = ask({"challenge": "x"}, status=201)
    assert (made.status_code, made.json(), made.headers["Content-Type"]) == (
        201,
        {"challenge": "x"},
        "application/json",
    )
    page = ask("<script>alert(1)</script>", content_type="text/html")
    assert page.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert (ask(status=204).status_code, ask(status=204).content) == (204, b"")
    for bad in (
        {"status": 302},
        {"status": 99},
        {"status": "ok"},
        {"content_type": "text/html\r\nSet-Cookie: a=1"},
        {"content_type": "text/html\n"},
    ):
        reply = ask("x", **bad)
        assert reply.json()["status"] == "ENDED_ERROR", bad
        assert "Set-Cookie" not in reply.headers


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"a": NaN}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"a": "\xff"}', "application/json", 400),
        (b'{"a": "\\ud800"}', "application/json", 400),
        (b"1" * 10_000, "application/json", 400),
        (b'{"a": 1}', "application/json; charset=utf-16", 400),
        (b"&".join(b"a=1" for _ in range(20_000)), "application/x-www-form-urlencoded", 400),
        (b"--x\r\n", "multipart/form-data; boundary=x", 415),
        (b"x" * 1_048_577, "text/plain", 413),
        (b"[]", "application/json", 422),
    ],
)
def test_a_body_that_cannot_be_taken_is_refused(
    http: httpx.Client, caller: httpx.Client, body: bytes, kind: str, status: int
) -> None:
    name = make(http, "strict", "strict")
    reply = caller.post(f"/{name}", content=body, headers={"Content-Type": kind})
    assert reply.status_code == status, reply.text
    error_of(reply)


def test_a_body_in_pieces_is_bounded_too(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "pieces", max_body_bytes=1000)
    reply = caller.post(f"/{name}", content=(b"x" * 100 for _ in range(11)))
    assert (reply.status_code, error_of(reply)["code"]) == (413, "too_large")
    assert got(caller.post(f"/{name}", content=(b"x" * 100 for _ in range(10))))["text"] == "x" * 1000


def test_methods_that_are_not_allowed_are_named(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "posted", allowed_methods=["POST"])
    reply = caller.get(f"/{name}")
    assert (reply.status_code, reply.headers["Allow"]) == (405, "POST")
    for method in ("PUT", "DELETE", "PATCH"):
        reply = caller.request(method, f"/{name}")
        assert (reply.status_code, reply.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, POST"), method


def test_a_caller_who_calls_too_often_has_to_wait(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "limited", "quick", rate_limit=2)
    assert [caller.post(f"/{name}?async").status_code for _ in range(3)] == [202, 202, 429]
    reply = caller.post(f"/{name}?async")
    assert error_of(reply)["code"] == "too_many_calls"
    assert 1 <= int(reply.headers["Retry-After"]) <= 30


def test_a_delivery_is_replayed_with_the_same_inputs(http: httpx.Client, caller: httpx.Client) -> None:
    name = make(http, "replayed")
    first = got(caller.post(f"/{name}", json={"n": 7}))
    until(lambda: deliveries(http, name)[0]["status_code"] == 200)
    [delivery] = deliveries(http, name)
    assert delivery["source_ip"] == "127.0.0.1"
    again = http.post(f"/webhook/{name}/delivery/{delivery['id']}/replay")
    assert again.status_code == 201, again.text
    assert again.json()["input_value"] == first
    assert (again.json()["trigger"], again.json()["webhook_name"]) == ("webhook", name)
    assert [one["reason"] for one in deliveries(http, name)][1] is None
    assert f"a replay of {delivery['id']}" in deliveries(http, name)[0]["reason"]
    assert http.post(f"/webhook/{name}/delivery/none/replay").status_code == 404


def test_a_login_is_neither_needed_nor_looked_at(
    server: RunningServer, caller: httpx.Client, http: httpx.Client
) -> None:
    name = make(http, "open")
    for headers in (
        {"Authorization": "token wrong"},
        {"Authorization": f"token {server.token}"},
        {"Cookie": "_xsrf=1; username-localhost=x"},
        {"Origin": "https://evil.example"},
        {"Host": "hooks.example.com"},
    ):
        inputs = got(caller.post(f"/{name}", headers=headers))
        assert server.token not in json.dumps(inputs)


def test_200_odd_posts_leave_the_server_answering(
    server: RunningServer, http: httpx.Client, caller: httpx.Client
) -> None:
    name = make(http, "odd", "strict", rate_limit=None)
    bodies = [b"{", b"null", b"\x00" * 50, b"[" * 5000, b'{"a":1e999}', b'{"n": "x"}', b"a" * 2_000_000, b"%", b"=&="]
    kinds = ["application/json", "text/plain", "x", "application/x-www-form-urlencoded", "multipart/mixed", ""]
    names = [name, "no", "%2e%2e", "a" * 5000, f"{name}%00", "%C3%A4", f"{name}?async=2", f"{name}?%ff=1"]

    def post(number: int) -> int:
        headers = {"Content-Type": kinds[number % len(kinds)]}
        path, body = names[number % len(names)], bodies[number % len(bodies)]
        return caller.post(f"/{path}", content=body, headers=headers).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = set(threads.map(post, range(200)))
    assert statuses <= {200, 400, 404, 413, 415, 422, 429}, statuses
    with client(server, token=None) as anonymous:
        assert anonymous.get("/health").json()["status"] == "ok"


def test_a_name_that_is_no_text_is_malformed(caller: httpx.Client) -> None:
    assert caller.post("/%ff").status_code == 400


def test_behind_a_proxy_that_is_trusted_networks_are_those_of_the_callers(start: StartServer) -> None:
    server = start(None, "--ServerApp.trust_xheaders=True", "--Cloudo.embedded_worker=False")
    write_flow(server.workspace, "quick", "1")
    with client(server) as http:
        name = make(http, "near", "quick", allowed_networks=["192.0.2.0/24"], rate_limit=1)
        url = f"{server.url}cloudo/webhook/{name}?async"
        statuses = [
            http.post(url, headers={"X-Forwarded-For": address}).status_code
            for address in ("192.0.2.7", "198.51.100.7", "192.0.2.7", "192.0.2.8")
        ]
        assert statuses == [202, 404, 429, 202]
        assert deliveries(http, name)[-1]["source_ip"] == "192.0.2.7"
        wide = f"{server.url}cloudo/webhook/{make(http, 'wide', 'quick', rate_limit=1)}?async"
        callers = ("2001:db8:0:1::7", "2001:db8:0:1:ffff::8", "2001:db8:0:2::7", "192.0.2.7", "::ffff:192.0.2.7")
        statuses = [http.post(wide, headers={"X-Forwarded-For": address}).status_code for address in callers]
        assert statuses == [202, 429, 202, 202, 429]
    with httpx.Client(base_url=f"{server.url}cloudo/webhook", trust_env=False) as anonymous:
        assert anonymous.post(f"/{name}").status_code == 404


def test_a_webhook_has_only_so_many_executions_that_have_not_ended(
    server: RunningServer, http: httpx.Client, caller: httpx.Client
) -> None:
    write_script(server.workspace, "waiting", "def handler(system, this):\n    this.sleep(600)\n")
    assert http.put("/setting/client.webhook.max_unended", json={"value": 2}).status_code == 200
    try:
        name = make(http, "busy", flow_name="waiting")
        started = [caller.post(f"/{name}?async") for _ in range(2)]
        refused = caller.post(f"/{name}?async")
        assert [reply.status_code for reply in (*started, refused)] == [202, 202, 429]
        assert refused.headers["Retry-After"] == "10"
        assert error_of(refused)["code"] == "too_many_unended"
        for reply in started:
            assert http.post(f"/execution/{reply.json()['id']}/cancel").status_code == 200
        until(lambda: caller.post(f"/{name}?async").status_code == 202)
    finally:
        assert http.delete("/setting/client.webhook.max_unended").status_code == 204
        for item in http.get("/execution", params={"flow_name": "waiting"}).json()["items"]:
            http.post(f"/execution/{item['id']}/cancel")
    assert http.put("/setting/client.webhook.max_unended", json={"value": 0}).status_code == 422
