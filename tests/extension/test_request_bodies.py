"""Bodies of requests: of another type, too large, late, or cut off."""

from __future__ import annotations

import gzip
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.extension.conftest import error_of
from tests.server import RunningServer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"flow_name=quick",
        b"{",
        b'{"flow_name": "quick",}',
        b'{"flow_name": "quick", "inputs": {"n": NaN}}',
        b'{"flow_name": "\\ud800"}',
        b'{"flow_name": "\xff"}',
        b"[1, 2]",
        b'"quick"',
        b"null",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_a_body_that_is_no_json_object_is_malformed(http: httpx.Client, body: bytes) -> None:
    reply = http.post("/execution", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 400, reply.text
    assert error_of(reply)["code"] == "malformed"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_a_body_of_another_type_is_refused(http: httpx.Client, kind: str) -> None:
    reply = http.post("/execution", content=b'{"flow_name": "quick"}', headers={"Content-Type": kind})
    assert reply.status_code == 415
    error_of(reply)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
def test_a_compressed_body_is_refused(http: httpx.Client, encoding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    reply = http.post("/execution", content=gzip.compress(b'{"flow_name": "quick"}'), headers=headers)
    assert reply.status_code == 415
    assert "Content-Encoding" in error_of(reply)["message"]


def test_json_with_a_charset_is_json(http: httpx.Client) -> None:
    body = json.dumps({"flow_name": "quick", "delay_seconds": 1e6})
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert http.post("/execution", content=body, headers=headers).status_code == 201


@pytest.mark.parametrize("size", [1_000_001, 3_000_000, 120_000_000])
def test_a_body_that_is_too_large_is_refused_and_the_server_goes_on(
    http: httpx.Client, anonymous: httpx.Client, size: int
) -> None:
    """The server of these tests takes 1,000,000 bytes."""
    chunked = {"Content-Type": "application/json"}
    for headers in (chunked, chunked | {"Content-Length": str(size)}):
        reply = http.post("/execution", content=_pieces(size), headers=headers)
        assert reply.status_code == 413
        assert error_of(reply)["code"] == "too_large"
        reply = anonymous.post("/execution", content=_pieces(size), headers=headers)
        assert reply.status_code in (403, 413)
    assert http.get("/user/me").status_code == 200


def test_a_body_of_just_the_limit_is_taken(http: httpx.Client) -> None:
    body = json.dumps({"script": "1", "delay_seconds": 1e6}).ljust(1_000_000)
    assert http.post("/execution", content=body, headers={"Content-Type": "application/json"}).status_code == 201


def test_a_large_body_is_read_and_refused_as_a_small_one(http: httpx.Client) -> None:
    """It is parsed on a thread."""
    headers, text = {"Content-Type": "application/json"}, "x" * 600_000
    body = json.dumps({"script": "1", "delay_seconds": 1e6, "inputs": {"text": text}})
    reply = http.post("/execution", content=body, headers=headers)
    assert (reply.status_code, reply.json()["input_value"]) == (201, {"text": text})
    for content, said in ((body[:-1], "The body is not JSON"), (f"[{body}]", "The body must be a JSON object")):
        reply = http.post("/execution", content=content, headers=headers)
        assert (reply.status_code, error_of(reply)["code"]) == (400, "malformed")
        assert said in error_of(reply)["message"]


@pytest.mark.parametrize("path", ["/execution", "/schedule"])
def test_of_many_unknown_fields_the_first_are_named(http: httpx.Client, path: str) -> None:
    many = {f"k{n}": 1 for n in range(50_000)}
    body = {"flow_name": "quick", **({"trigger": {**many, "delay_seconds": 1}} if path == "/schedule" else many)}
    reply = http.post(path, json=body)
    assert reply.status_code == 400
    error = error_of(reply)
    assert [one["field"].rpartition(".")[2] for one in error["errors"]] == [f"k{n}" for n in range(20)]
    assert error["message"].endswith("There are more.")


def _pieces(size: int) -> Any:
    piece = b"x" * 65536
    while size > 0:
        yield piece[:size]
        size -= len(piece)


def test_a_refusal_reaches_a_client_that_sends_its_body_late(server: RunningServer) -> None:
    """Closing at once would lose the reply: the system throws away what a reset connection had still to read."""
    address = urlsplit(server.url)
    for _ in range(20):
        with socket.create_connection((address.hostname, address.port), timeout=10) as line:
            line.sendall(
                b"POST /cloudo/api/1/execution HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
            )
            for _ in range(6):
                line.sendall(b"x" * 10_000)
            assert line.recv(100).startswith(b"HTTP/1.1 403")


def test_a_client_that_leaves_in_the_middle_of_its_body_does_no_harm(server: RunningServer, http: httpx.Client) -> None:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as line:
        head = f"POST /cloudo/api/1/execution HTTP/1.1\r\nHost: localhost\r\nAuthorization: {server.token}\r\n"
        line.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{{".encode())
    assert http.get("/user/me").status_code == 200
