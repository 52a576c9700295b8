"""A thousand posts of people who mean harm, or do not know better: all are refused, and nothing of them stays.

What is no HTTP before it has an address, tornado refuses before any of our code: 400 without a body.
"""

from __future__ import annotations

import json
import random
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.extension.conftest import StartServer, client
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer

#: More than this, above what the server needs anyway, is kept of what was refused.
MEBIBYTES = 10
ADDRESSES = (
    "POST /cloudo/api/1/execution",
    "POST /cloudo/api/1/execution/bulk",
    "POST /cloudo/api/1/flow",
    "POST /cloudo/api/1/schedule",
    "POST /cloudo/api/1/schedule/preview",
    "POST /cloudo/api/1/message",
    "POST /cloudo/api/1/webhook",
    "POST /cloudo/api/1/setting",
    "POST /cloudo/api/1/token",
    "PUT /cloudo/api/1/file/x",
    "PATCH /cloudo/api/1/flow/quick",
    "POST /cloudo/webhook/none",
)
FIELDS = ("flow_name", "name", "inputs", "trigger", "action", "actions", "ids", "value", "subject", "content", "wait")
JSON = "Content-Type: application/json"


@pytest.fixture(scope="module")
def server(start: StartServer) -> RunningServer:
    # Not forked: the memory that a fork shares with its parent at first would count as grown.
    server = start(None, "--Cloudo.max_body_bytes=1000000", "--Cloudo.embedded_worker=False", is_forked=False)
    write_flow(server.workspace, "quick", "1", parameters="n = 1")
    return server


class Line:
    """A connection on which one says what one likes."""

    def __init__(self, server: RunningServer) -> None:
        address = urlsplit(server.url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=30)
        self._token = server.token

    def fileno(self) -> int:
        return self._socket.fileno()

    def say(self, *parts: bytes) -> None:
        for part in parts:
            self._socket.sendall(part)

    def begin(self, address: str, *headers: str) -> None:
        lines = (
            f"{address} HTTP/1.1",
            "Host: localhost",
            f"Authorization: {self._token}",
            "Connection: close",
            *headers,
        )
        self.say("\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape"))

    def close(self) -> None:
        self._socket.close()

    def leave_abruptly(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self._socket.close()

    def answer(self) -> tuple[int, bytes]:
        """Return status and body, after the server has closed the line."""
        found = b""
        while piece := self._socket.recv(65536):
            found += piece
        head, _, body = found.partition(b"\r\n\r\n")
        return int(head.split()[1]), body


def values(chance: random.Random) -> Iterator[bytes]:
    """Return JSON, and what looks like it, that no field takes."""
    deep = chance.choice([200, 1000, 50_000])
    yield from (
        b"[" * deep + b"]" * deep,
        b'{"a":' * deep + b"1" + b"}" * deep,
        b"1" * chance.choice([20, 5000, 200_000]),
        b"-1e99999",
        b"NaN",
        b"-Infinity",
        b'"\\ud800"',
        b'"\xff\xfe"',
        b'"\x00"',
        b'"' + "é".encode() * chance.choice([1000, 100_000]) + b'"',
        b"[1, {}, [], null, true]",
        b'{"__class__": "os.system", "$ref": "#"}',
        b'["' + b'","'.join(b"x" for _ in range(20_000)) + b'"]',
        b"tru",
        b"",
    )


def hostile(chance: random.Random) -> bytes:
    """Return a body that makes no sense."""
    value = chance.choice(list(values(chance)))
    field = chance.choice(FIELDS).encode()
    return chance.choice(
        (
            value,
            b'{"' + field + b'": ' + value + b"}",
            b'{"' + field + b'": 1, "' + field + b'": ' + value + b"}",  # twice the same key
            b'{"inputs": {"n": ' + value + b'}, "flow_name": "none/of/these"}',
            b'{"' + value[:1000] + b'": 1}',
        )
    )


def whole(line: Line, address: str, body: bytes, _chance: random.Random) -> None:
    line.begin(address, JSON, f"Content-Length: {len(body)}")
    line.say(body)


def of_another_type(line: Line, address: str, body: bytes, chance: random.Random) -> None:
    kind = chance.choice(("text/plain", "application/xml", "multipart/form-data", "", "*/*"))
    line.begin(address, f"Content-Type: {kind}", f"Content-Length: {len(body)}")
    line.say(body)


def in_chunks(line: Line, address: str, body: bytes, chance: random.Random) -> None:
    line.begin(address, JSON, "Transfer-Encoding: chunked")
    while body:
        size = chance.randint(1, 40_000)
        line.say(f"{len(body[:size]):x}\r\n".encode(), body[:size], b"\r\n")
        body = body[size:]
    line.say(b"0\r\n\r\n")


def compressed(line: Line, address: str, body: bytes, _chance: random.Random) -> None:
    line.begin(address, JSON, "Content-Encoding: gzip", f"Content-Length: {len(body)}")
    line.say(body)


def of_a_wrong_length(line: Line, address: str, _body: bytes, chance: random.Random) -> None:
    both = "2\r\nTransfer-Encoding: chunked"
    length = chance.choice(("-1", "1e3", "abc", "9" * 20, "9" * 5000, "2\r\nContent-Length: 1", "+2", both))
    line.begin(address, JSON, f"Content-Length: {length}")


def in_no_chunks(line: Line, address: str, _body: bytes, chance: random.Random) -> None:
    line.begin(address, JSON, "Transfer-Encoding: chunked")
    line.say(chance.choice((b"zz\r\n", b"1\r\nxx\r\n", b"ffffffffffff\r\n", b"2\r\n{}\r\n0\r\nxx")))


ANSWERED: tuple[Callable[..., None], ...] = (
    *(whole, whole, whole, whole, in_chunks, of_another_type, compressed),
    *(of_a_wrong_length, in_no_chunks),
)


def cut_off(line: Line, address: str, body: bytes, _chance: random.Random) -> None:
    line.begin(address, JSON, f"Content-Length: {len(body) + 1000}")
    line.say(body[: len(body) // 2])
    line.leave_abruptly()


def cut_off_in_a_chunk(line: Line, address: str, body: bytes, _chance: random.Random) -> None:
    line.begin(address, JSON, "Transfer-Encoding: chunked")
    line.say(b"ffff\r\n", body[:1000])
    line.leave_abruptly()


UNANSWERED = (cut_off, cut_off_in_a_chunk)


def test_a_thousand_hostile_posts_leave_nothing_behind(server: RunningServer) -> None:
    process = psutil.Process(server.process.pid)
    with client(server) as http:
        assert http.get("/flow").status_code == 200
        _attack(server, 1, 1000)  # what is loaded at its first use is no leak
        before, files = process.memory_info().rss, process.num_fds()
        _attack(server, 2, 1000)
        assert http.get("/flow").status_code == 200
        assert http.get("/execution").json()["items"] == []
        assert process.num_fds() <= files + 5
        grown = (process.memory_info().rss - before) / 2**20
        assert grown < MEBIBYTES
    assert "Unexpected error" not in server.log.read_text()


def _attack(server: RunningServer, seed: int, number: int) -> None:
    chance = random.Random(seed)
    with ExitStack() as stack:
        slow = [_slow(server, chance, stack) for _ in range(20)]
        for _ in range(number):
            address, body = chance.choice(ADDRESSES), hostile(chance)
            line = Line(server)
            stack.callback(line.close)
            if chance.random() < 0.2:
                chance.choice(UNANSWERED)(line, address, body, chance)
                continue
            how = chance.choice(ANSWERED)
            how(line, address, body, chance)
            _check(*line.answer(), what=(how.__name__, address, body[:200]))
            line.close()
            if slow and chance.random() < 0.2:
                chance.choice(slow).say(b" ")
        assert not select.select(slow, [], [], 0)[0]  # they are waited for, and cost other callers nothing


def _slow(server: RunningServer, chance: random.Random, stack: ExitStack) -> Line:
    """Return a line on which a body comes a byte at a time."""
    line = Line(server)
    stack.callback(line.close)
    line.begin(chance.choice(ADDRESSES), JSON, "Content-Length: 100000")
    return line


def _check(status: int, body: bytes, *, what: Any) -> None:
    assert 400 <= status < 500, (status, body, what)
    error = json.loads(body)["error"]
    assert {"code", "message"} <= error.keys() <= {"code", "message", "field", "errors"}, what
    assert "Traceback" not in error["message"], what
    assert len(body) < 10_000, (body, what)


@pytest.mark.parametrize("address", ["POST /cloudo/api/1/execution", "POST /cloudo/webhook/none"])
@pytest.mark.parametrize(
    ("header", "body", "status"),
    [
        ("Content-Length: 1e3", b"", 400),
        ("Content-Length: " + "9" * 5000, b"", 413),
        ("Transfer-Encoding: chunked", b"zz\r\n", 400),
        ("Transfer-Encoding: gzip", b"", 400),
    ],
)
def test_a_body_that_is_no_http_is_answered_and_nothing_after_it(
    server: RunningServer, address: str, header: str, body: bytes, status: int
) -> None:
    line = Line(server)
    line.begin(address, JSON, header)
    line.say(body, b"GET /cloudo/api/1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")  # not smuggled in
    found, answer = line.answer()
    assert found == status, answer
    assert list(json.loads(answer)) == ["error"]
    line.close()


def test_a_body_that_never_comes_is_not_waited_for_for_ever(start: StartServer) -> None:
    server = start(None, extensions={**WITHOUT_LAB, "tests.extension.impatient": True})
    lines = [Line(server) for _ in range(3)]
    for line in lines:
        line.begin(ADDRESSES[0], JSON, "Content-Length: 100000")
        line.say(b'{"flow_name"')
    for line in lines:
        status, answer = line.answer()
        assert (status, json.loads(answer)["error"]["code"]) == (408, "too_slow")
        line.close()


@pytest.mark.parametrize("name", ["x\r\nSet-Cookie: a=b", "x\nLocation: //evil.example", "x\u2028y", "x\0"])
def test_no_name_gets_into_the_headers_of_a_reply(server: RunningServer, name: str) -> None:
    with client(server) as http:
        for address, body in (
            ("/flow", {"name": name, "copy_of": "quick"}),
            ("/setting", {"name": name, "value": 1}),
            ("/webhook", {"name": name, "flow_name": "quick"}),
        ):
            reply = http.post(address, json=body)
            assert reply.status_code in (400, 422), (address, reply.text)
            assert "Set-Cookie" not in reply.headers
            assert "Location" not in reply.headers


def test_a_client_that_leaves_before_its_reply_is_no_error(server: RunningServer) -> None:
    with client(server) as http:
        assert http.get("/flow").status_code == 200
        for noun in ("health", "flow", "execution") * 10:
            line = Line(server)
            line.begin(f"GET /cloudo/api/1/{noun}")
            line.leave_abruptly()
        assert http.get("/flow").status_code == 200
    assert "Unexpected error" not in server.log.read_text()
