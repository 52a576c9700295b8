"""The WebSocket of notebooks that are worked on by hand: who may open it, and what it takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import websocket

from tests.extension.conftest import MakeToken, StartServer, error_of
from tests.server import RunningServer, until

Open = Callable[..., websocket.WebSocket]


@pytest.fixture
def connect(server: RunningServer) -> Iterator[Open]:
    opened: list[websocket.WebSocket] = []

    def connect(of: RunningServer = server, *, kernel_id: str = "k", **headers: str) -> websocket.WebSocket:
        address = f"{of.api.replace('http', 'ws', 1)}/interactive?kernel_id={kernel_id}"
        header = {name.replace("_", "-"): value for name, value in headers.items()}
        opened.append(websocket.create_connection(address, header=header, timeout=30, suppress_origin=True))
        return opened[-1]

    yield connect
    for one in opened:
        one.shutdown()  # `close` leaves the socket of a session that the server has ended


@pytest.fixture
def authorization(server: RunningServer) -> str:
    return f"token {server.token}"


def call(socket: websocket.WebSocket, verb: str, number: int | None = 1, **arguments: Any) -> Any:
    """Call as a kernel does, and return the reply to a call with a number."""
    socket.send_binary(json.dumps({"number": number, "verb": verb, "arguments": arguments, "is_main": True}).encode())
    if number is None:
        return None
    reply = json.loads(socket.recv())
    assert reply["number"] == number
    return reply


def test_only_who_may_write_opens_it(
    server: RunningServer, connect: Open, http: httpx.Client, token: MakeToken
) -> None:
    cookies = httpx.Client(base_url=server.api, trust_env=False)
    with cookies:
        page = cookies.get(f"{server.url}login")
        cookies.post(f"{server.url}login", data={"password": server.token, "_xsrf": page.cookies["_xsrf"]})
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.cookies.items())
        xsrf = cookies.cookies["_xsrf"]
    for headers in (
        {},
        {"Authorization": "token wrong"},
        {"Cookie": cookie},
        {"Cookie": cookie, "X_XSRFToken": "guessed"},
        {"Cookie": cookie, "Origin": server.url.rstrip("/"), "Referer": server.url},
    ):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            connect(**headers)
        assert refused.value.status_code == 403
        assert json.loads(refused.value.resp_body or b"{}")["error"]["code"] == "permission_denied"
    assert call(connect(Cookie=cookie, X_XSRFToken=xsrf), "user")["result"]
    assert call(connect(Authorization=token("*").headers["Authorization"]), "user")["result"]
    assert http.get("/execution", params={"q": "notebook"}).json()["items"] == []


def test_readers_do_not_open_it(start: StartServer, connect: Open) -> None:
    inside = "tests.extension.inside"
    classes = {"identity_provider_class": f"{inside}.HeaderIdentity", "authorizer_class": f"{inside}.ReadersOnly"}
    server = start(None, "--Cloudo.embedded_worker=False", config={"ServerApp": classes})
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        connect(server, X_User="linus", X_XSRFToken="1", Cookie="_xsrf=1")
    assert refused.value.status_code == 403


def test_what_is_no_websocket_is_malformed(http: httpx.Client) -> None:
    for query in ({"kernel_id": "k"}, {}, {"kernel_id": "k", "x": "1"}):
        reply = http.get("/interactive", params=query)
        assert (reply.status_code, error_of(reply)["code"]) == (400, "malformed")
    assert http.post("/interactive").status_code == 405


def test_an_execution_is_its_connections_alone_and_ends_with_it(
    connect: Open, authorization: str, http: httpx.Client
) -> None:
    one, other = (connect(kernel_id=name, Authorization=authorization) for name in ("one", "other"))
    ids = [call(socket, "this")["result"]["id"] for socket in (one, other)]
    assert all(http.get(f"/execution/{one}").status_code == 404 for one in ids)
    for socket in (one, other):
        assert call(socket, "save", message="mine")["result"] is None
    assert call(one, "save", execution_id=ids[1], message="yours")["error"]["code"] == "permission_denied"
    call(one, "log", None, text="a line", level="info")
    until(lambda: http.get(f"/execution/{ids[0]}").json()["log"])
    one.close()
    until(lambda: http.get(f"/execution/{ids[0]}").json()["status"] == "ENDED_SUCCESS")
    record = http.get(f"/execution/{ids[1]}").json()
    assert (record["status"], record["message"], record["type"]) == ("RUNNING", "mine", "INTERACTIVE")
    again = connect(kernel_id="other", Authorization=authorization)  # its kernel was restarted
    until(lambda: http.get(f"/execution/{ids[1]}").json()["status"] == "ENDED_SUCCESS")
    assert call(again, "this")["result"]["id"] not in ids


def test_what_a_notebook_by_hand_tells_of_a_secret_is_masked(
    connect: Open, authorization: str, http: httpx.Client
) -> None:
    secret = "canary-of-a-notebook"
    assert http.put("/setting/by.hand", json={"value": secret, "secret": True}).status_code == 200
    line = connect(kernel_id="secret", Authorization=authorization)
    assert call(line, "setting", name="by.hand")["result"]["value"] == secret
    mine = call(line, "this")["result"]["id"]
    call(line, "log", None, text=f"it is {secret}", level="info")
    assert call(line, "save", message=secret, name=f"with {secret}")["result"] is None
    assert call(line, "set_output", key="said", value=[secret], append=False)["result"] is None
    line.close()
    until(lambda: http.get(f"/execution/{mine}").json()["status"] == "ENDED_SUCCESS")
    record = http.get(f"/execution/{mine}")
    assert (record.json()["message"], record.json()["output_value"]) == ("•••", {"said": ["•••"]})
    told = http.get("/event", params={"after": 0, "subject_id": mine}).text
    assert "canary" not in record.text + told


def test_nonsense_is_answered_or_ends_the_session(connect: Open, authorization: str, http: httpx.Client) -> None:
    socket = connect(kernel_id="odd", Authorization=authorization)
    assert "error" in call(socket, "no such verb")
    assert "error" in call(socket, "set_output", x=1)
    assert call(socket, "start_child", request={"flow_name": 1})["error"]
    mine = call(socket, "this")["result"]["id"]
    for frame in (b"{", b"[]", b"\xff"):
        socket.send_binary(frame)
    until(lambda: http.get(f"/execution/{mine}").json()["status"] == "ENDED_SUCCESS")
    with pytest.raises((websocket.WebSocketException, OSError, ValueError)):  # an empty reply is the end
        call(socket, "user")
    assert http.get("/health").status_code == 200
