"""Requests that make no sense, and replies that say so."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.extension.conftest import MakeToken, error_of, later
from tests.flows import write_flow
from tests.server import RunningServer

UNKNOWN = "01a20713-815a-789c-b71f-4353094d94ca"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "flow_name"),
        ({"flow_name": "quick", "script": "1"}, "flow_name"),
        ({"flow_name": 5}, "flow_name"),
        ({"flow_name": "quick", "inputs": []}, "inputs"),
        ({"flow_name": "quick", "input_value": 3}, "inputs"),
        ({"flow_name": "quick", "inputs": {}, "input_value": {}}, "input_value"),
        ({"flow_name": "quick", "surprise": 1}, "surprise"),
        ({"flow_name": "quick", "wait": "yes"}, "wait"),
        ({"flow_name": "quick", "wait": -1}, "wait"),
        ({"flow_name": "quick", "wait": None}, "wait"),
        ({"flow_name": "quick", "timeout_seconds": 0}, "timeout_seconds"),
        ({"flow_name": "quick", "scheduled_at": "tomorrow"}, "scheduled_at"),
        ({"flow_name": "quick", "scheduled_at": "2030-01-01T00:00:00"}, "scheduled_at"),
        ({"flow_name": "quick", "scheduled_at": "9999-12-31T23:59:59-05:00"}, "scheduled_at"),
        ({"flow_name": "quick", "delay_seconds": -1}, "delay_seconds"),
        ({"flow_name": "quick", "delay_seconds": 1e300}, "delay_seconds"),
        ({"flow_name": "quick", "delay_seconds": 1, "scheduled_at": "2030-01-01T00:00:00Z"}, "delay_seconds"),
        ({"flow_name": "quick", "tags": "one"}, "tags"),
        ({"flow_name": "quick", "tags": ["x" * 201]}, "tags"),
        ({"flow_name": "quick", "tags": ["x"] * 101}, "tags"),
        ({"script": "1", "script_encoding": "rot13"}, "script_encoding"),
        ({"script": "?", "script_encoding": "base64"}, "script"),
    ],
)
def test_a_start_that_makes_no_sense_names_the_field(http: httpx.Client, body: dict[str, Any], field: str) -> None:
    reply = http.post("/execution", json=body)
    assert reply.status_code == 400, reply.text
    error = error_of(reply)
    assert error["code"] == "malformed"
    assert error["field"] == field


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (
            "/execution",
            {"flow_name": "quick", "scheduled_at": "9999-12-31T23:59:59-05:00"},
            "scheduled_at: 9999-12-31T23:59:59-05:00 is not within the years 1 to 9999 in UTC.",
        ),
        ("/execution", {"flow_name": "quick", "wait": -1}, "wait: 0 or more seconds, or true for 60 seconds."),
        (
            "/execution",
            {"flow_name": 5, "timeout_seconds": True, "tags": "a", "delay_seconds": "5"},
            "flow_name: Input should be a valid string. timeout_seconds: a number. delay_seconds: a number. "
            "tags: Input should be a valid tuple.",
        ),
        ("/message", {"subject": "x", "timeout_seconds": False}, "timeout_seconds: a number."),
        ("/schedule/preview", {"trigger": {"every_seconds": True}}, "trigger.every_seconds: a number."),
        ("/execution/bulk", {"action": "start", "ids": [UNKNOWN]}, "Start takes flow_names, not ids."),
        (
            "/token",
            {"name": "ci", "actions": ["read"], "flows": ["[a]"]},
            "flows: '[a]' is not a pattern: * matches any characters, ? matches one; [ ] \\ are not allowed.",
        ),
    ],
)
def test_a_refusal_is_in_our_own_words(http: httpx.Client, path: str, body: dict[str, Any], message: str) -> None:
    reply = http.post(path, json=body)
    assert reply.status_code == 400, reply.text
    assert error_of(reply)["message"] == message


@pytest.mark.parametrize(
    ("flow_name", "inputs", "field"),
    [
        ("typed", {}, "n"),
        ("typed", {"n": "three"}, "n"),
        ("typed", {"n": 1.5}, "n"),
        ("typed", {"n": None}, "n"),
        ("typed", {"n": 1, "who": ["a"]}, "who"),
        ("quick", {"m": 1}, "m"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_naming_the_field(
    http: httpx.Client, flow_name: str, inputs: dict[str, Any], field: str
) -> None:
    reply = http.post("/execution", json={"flow_name": flow_name, "inputs": inputs})
    assert reply.status_code == 422, reply.text
    error = error_of(reply)
    assert error["code"] == "inputs_invalid"
    assert error["field"] == field


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("..%2Fsecret", 400),
        ("a/%2E%2E/%2E%2E/b", 400),
        ("%2Fetc/passwd", 400),
        ("a%00b", 400),
        ("a%5Cb", 400),
        ("%FF", 400),
        ("none", 404),
        ("x" * 5000, 400),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_name_that_can_be_no_flows_leads_nowhere(http: httpx.Client, method: str, name: str, status: int) -> None:
    reply = http.request(method, f"/flow/{name}", json={"name": "new"} if method == "PATCH" else None)
    assert reply.status_code == status, reply.text
    error_of(reply)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_name_that_is_no_text_is_refused_when_the_request_has_been_read(server: RunningServer, method: str) -> None:
    address = urlsplit(server.api)
    assert address.hostname
    head = f"{method} {address.path}/flow/%FF HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: token {server.token}"
    body = b'{"name": "new"}' if method == "PATCH" else b""
    kind = f"\r\nContent-Type: application/json\r\nContent-Length: {len(body)}" if body else ""
    with socket.create_connection((address.hostname, address.port or 80), timeout=10) as connection:
        for _ in range(2):  # the connection stays open
            connection.sendall(f"{head}{kind}\r\n\r\n".encode())
            connection.sendall(body)
            assert connection.recv(65536).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a\0b", "a\\b", "", ".", "a/../b", "CON\n"])
def test_a_flow_is_neither_made_nor_started_under_such_a_name(http: httpx.Client, name: str) -> None:
    made = http.post("/flow", json={"name": name, "copy_of": "quick"})
    assert made.status_code == 400, made.text
    error_of(made)
    for path, more in (("/execution", {}), ("/schedule", {"trigger": {"daily_at": "08:30"}})):
        started = http.post(path, json={"flow_name": name, **more})
        assert started.status_code in (400, 404), started.text
        assert error_of(started)["field"] == "flow_name"


def test_a_flow_behind_a_link_that_leaves_is_not_to_be_had(
    server: RunningServer, http: httpx.Client, tmp_path: Any
) -> None:
    (tmp_path / "secret.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    (server.workspace / "flows" / "out").symlink_to(tmp_path)
    for reply in (http.get("/flow/out/secret"), http.post("/execution", json={"flow_name": "out/secret"})):
        assert reply.status_code in (400, 404), reply.text
        error_of(reply)
    assert "out/secret" not in [flow["name"] for flow in http.get("/flow").json()["items"]]


@pytest.mark.parametrize("content", ["no notebook", "[]", '{"cells": 3}', '{"cells": []'])
def test_a_file_that_is_no_notebook_is_listed_as_broken_and_refused(
    server: RunningServer, http: httpx.Client, content: str
) -> None:
    (server.workspace / "flows" / "broken.ipynb").write_text(content)
    flows = {flow["name"]: flow for flow in http.get("/flow").json()["items"]}
    assert flows["broken"]["broken"]
    assert flows["quick"]["broken"] is None
    reply = http.post("/execution", json={"flow_name": "broken"})
    assert reply.status_code == 409
    assert error_of(reply)["code"] == "flow_broken"


def test_a_parameters_cell_with_a_syntax_error_breaks_only_its_flow(server: RunningServer, http: httpx.Client) -> None:
    write_flow(server.workspace, "misspelt", "1", parameters="n = = 1")
    assert http.get("/flow/misspelt").json()["broken"]
    reply = http.post("/execution", json={"flow_name": "misspelt"})
    assert reply.status_code == 409
    error_of(reply)
    assert http.get("/flow/quick").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/execution?status=BUSY",
        "/execution?status=PENDING,BUSY",
        "/execution?since=yesterday",
        "/execution?limit=0",
        "/execution?limit=501",
        "/execution?limit=ten",
        f"/execution?limit={'9' * 5000}",
        f"/execution?q={'x' * 1001}",
        "/execution?flow=quick",
        "/health?limit=5",
        f"/file?glob={'**/' * 200}*",
        "/file?glob=**/a/**/b/**/c/**",
        "/event?after=-1",
        "/event?after=x",
        "/event?after=99999999999999999999",
        "/event?timeout_seconds=61",
        "/event?kind=x",
        f"/execution/{UNKNOWN}/notebook?format=pdf",
        f"/execution/{UNKNOWN}?verbose=1",
        "/user/me?x=1",
        "/setting?q=x",
    ],
)
def test_an_unknown_or_wrong_query_parameter_is_named(http: httpx.Client, path: str) -> None:
    reply = http.get(path)
    assert reply.status_code == 400, reply.text
    error = error_of(reply)
    named = path.partition("?")[2].partition("=")[0]
    assert error["field"].split(".")[0] == named


@pytest.mark.parametrize("path", ["", "/log", "/notebook", "/notebook?format=html", "/source", "/children"])
@pytest.mark.parametrize("execution_id", [UNKNOWN, "x", "%00", "%2e%2e"])
def test_an_execution_that_is_not_there_is_not_found(http: httpx.Client, execution_id: str, path: str) -> None:
    reply = http.get(f"/execution/{execution_id}{path}")
    assert reply.status_code == 404, reply.text
    assert error_of(reply)["code"] == "execution_not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/execution", "GET, HEAD, POST"),
        ("POST", f"/execution/{UNKNOWN}", "GET, HEAD, DELETE"),
        ("GET", f"/execution/{UNKNOWN}/cancel", "POST"),
        ("POST", "/event", "GET, HEAD"),
        ("HEAD", "/schedule/preview", "POST"),
        ("DELETE", "/health", "GET, HEAD"),
        ("PROPFIND", "/flow", "GET, HEAD, POST"),
    ],
)
def test_a_method_that_an_address_does_not_take_is_told_which_it_does(
    http: httpx.Client, method: str, path: str, allowed: str
) -> None:
    reply = http.request(method, path)
    assert reply.status_code == 405
    assert reply.headers["Allow"] == allowed
    if method != "HEAD":
        assert error_of(reply)["code"] == "method_not_allowed"
    assert http.request(method, path).status_code == 405  # a client is told when its connection is closed


@pytest.mark.parametrize(
    "path", ["/flow", "/flow/quick", "/health", "/openapi.json", f"/execution/{UNKNOWN}", "/event"]
)
def test_head_answers_as_get_without_a_body(http: httpx.Client, path: str) -> None:
    headers = {"Accept": "text/event-stream"} if path == "/event" else {}
    got, head = http.get(path), http.head(path, headers=headers)
    assert head.status_code == got.status_code
    assert head.content == b""
    assert head.headers.keys() == got.headers.keys()
    for name in ("Content-Type", "ETag"):
        assert head.headers.get(name) == got.headers.get(name)
    assert int(head.headers["Content-Length"]) > 0
    assert http.get("/user/me").status_code == 200  # the connection is still in step


def test_head_needs_the_same_rights_as_get(http: httpx.Client, anonymous: httpx.Client, token: MakeToken) -> None:
    assert [anonymous.head(path).status_code for path in ("/alive", "/health", "/flow")] == [200, 200, 403]
    assert token("execution:start").head("/flow").status_code == 403
    tag = http.get("/flow/quick").headers["ETag"]
    assert http.head("/flow/quick", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/flows",
        "/execution/",
        "/schedule/x/y",
        "/webhook/x/y",
        "/token/x/y",
        f"/execution/{UNKNOWN}/again",
    ],
)
def test_an_address_that_is_no_route_is_not_found_in_json(http: httpx.Client, path: str) -> None:
    for method in ("GET", "POST"):
        reply = http.request(method, path, json={} if method == "POST" else None)
        assert reply.status_code == 404
        assert error_of(reply)["code"] == "not_found"


@pytest.mark.parametrize(
    "headers", [{"X-Cloudo-Trigger": "flow"}, {"X-Cloudo-Trigger": "UI"}, {"Idempotency-Key": "k" * 256}]
)
def test_a_header_that_makes_no_sense_is_malformed(http: httpx.Client, headers: dict[str, str]) -> None:
    reply = http.post("/execution", json={"flow_name": "quick"}, headers=headers)
    assert reply.status_code == 400
    assert error_of(reply)["code"] == "malformed"


def test_one_idempotency_key_starts_one_execution(http: httpx.Client) -> None:
    headers = {"Idempotency-Key": "the same"}
    body = {"flow_name": "quick", "inputs": {"n": 1}, "delay_seconds": 1e6}
    first = http.post("/execution", json=body, headers=headers)
    again = http.post("/execution", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = http.post("/execution", json=body | {"inputs": {"n": 2}}, headers=headers)
    assert other.status_code == 409
    assert error_of(other)["code"] == "idempotency_conflict"


def test_a_repeated_start_gets_the_first_one_though_its_flow_has_changed(
    server: RunningServer, http: httpx.Client
) -> None:
    path = write_flow(server.workspace, "fleeting", "n", parameters="n = 1")
    headers = {"Idempotency-Key": "of a fleeting flow"}
    body = {"flow_name": "fleeting", "inputs": {"n": 1}, "delay_seconds": 1e6}
    first = http.post("/execution", json=body, headers=headers)
    write_flow(server.workspace, "fleeting", "n", parameters="n: list")
    changed = http.post("/execution", json=body, headers=headers)
    path.unlink()
    gone = http.post("/execution", json=body, headers=headers)
    assert [first.status_code, changed.status_code, gone.status_code] == [201, 200, 200]
    assert first.json()["id"] == changed.json()["id"] == gone.json()["id"]
    other = http.post("/execution", json={**body, "inputs": {"n": 2}}, headers=headers)
    assert (other.status_code, error_of(other)["code"]) == (409, "idempotency_conflict")
    assert http.post("/execution", json=body).status_code == 404


def test_an_execution_that_has_not_ended_is_not_deleted(http: httpx.Client) -> None:
    execution = later(http)
    reply = http.delete(f"/execution/{execution['id']}")
    assert reply.status_code == 409
    assert error_of(reply)["code"] == "execution_not_ended"


def test_what_has_ended_cannot_be_cancelled(http: httpx.Client) -> None:
    path = f"/execution/{later(http)['id']}"
    assert http.post(f"{path}/cancel").json()["status"] == "ENDED_CANCELLED"
    reply = http.post(f"{path}/cancel")
    assert reply.status_code == 409
    assert error_of(reply)["code"] == "illegal_transition"
    assert http.delete(path).status_code == 204
    assert http.get(path).status_code == 404
