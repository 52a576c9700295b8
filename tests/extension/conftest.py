from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, Servers

StartServer = Callable[..., RunningServer]


class Holder(httpx.Client):
    """A client with a token of its own."""

    token: dict[str, Any]


MakeToken = Callable[..., Holder]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Start further servers, which end with the test module: even an idle one takes time from other tests."""
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        yield servers.start


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with a quick flow, one that fails, and one that never ends."""
    # An extension of the test tells the routes, which only the server knows.
    inside = {**WITHOUT_LAB, "tests.extension.inside": True}
    with Servers(tmp_path_factory, extensions=inside) as servers:
        server = servers.start(None, "--Cloudo.max_body_bytes=1000000")
        write_flow(server.workspace, "quick", "print('hello')\nn * 2", parameters="n = 1  # how many")
        write_flow(server.workspace, "typed", "n", parameters="n: int\nwho: str = 'you'")
        write_flow(server.workspace, "failing", "print('so far')", "1 / 0")
        write_flow(server.workspace, "endless", "import time\nwhile True: time.sleep(0.1)")
        write_flow(server.workspace, "reports/täglich wöchentlich", "1")
        yield server


@pytest.fixture(scope="package")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    """A client with the server's token."""
    with client(server) as http:
        yield http


@pytest.fixture
def anonymous(server: RunningServer) -> Iterator[httpx.Client]:
    """A client without a token."""
    with client(server, token=None) as http:
        yield http


@pytest.fixture
def token(server: RunningServer, http: httpx.Client) -> Iterator[MakeToken]:
    """Create tokens, and return clients that use them."""
    with ExitStack() as stack:

        def make(*actions: str, **fields: Any) -> Holder:
            made = http.post("/token", json={"name": "ci", "actions": actions, **fields})
            assert made.status_code == 201, made.text
            assert made.headers["Cache-Control"] == "no-store"
            headers = {"Authorization": f"token {made.json()['secret']}"}
            holder = stack.enter_context(Holder(base_url=server.api, headers=headers, timeout=30, trust_env=False))
            holder.token = made.json()
            return holder

        yield make


def client(server: RunningServer, *, token: str | None = "") -> httpx.Client:
    """Return a plain HTTP client at REST's root, with the server's token, another, or none."""
    headers = {} if token is None else {"Authorization": f"token {token or server.token}"}
    return httpx.Client(base_url=server.api, headers=headers, timeout=30, trust_env=False, verify=False)


def later(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    """Start an execution that stays `PENDING`: it is due in a year."""
    reply = http.post("/execution", json={"flow_name": "quick", "delay_seconds": 31_536_000, **fields})
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def error_of(reply: httpx.Response) -> dict[str, Any]:
    """Return the error in a reply, after checking that the reply contains nothing else."""
    assert reply.headers["Content-Type"].startswith("application/json"), reply.text
    assert "Traceback" not in reply.text
    body = json.loads(reply.text)
    assert set(body) == {"error"}
    assert {"code", "message"} <= set(body["error"]) <= {"code", "message", "field", "errors"}
    assert body["error"].get("errors", [{}])[0].get("field") == body["error"].get("field")
    assert body["error"]["message"]
    return dict(body["error"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each case of schemathesis an id of its own.

    In pytest 9 all cases of a test share one, and pytest-xdist runs a single case of those: 3 of 163.
    """
    for item in items:
        if not item.nodeid.endswith(item.name) and item.parent is not None:
            item._id = item.parent.id.child(item.name)
