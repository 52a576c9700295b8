"""A token that is revoked ends what it has open: streams, waits, and the lines of notebooks by hand."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import websocket

from tests.extension.conftest import MakeToken, error_of, later
from tests.extension.test_interactive import call
from tests.server import RunningServer, until


def test_a_stream_ends_when_its_token_is_revoked(http: httpx.Client, token: MakeToken) -> None:
    for pause_seconds in (0.0, 0.001, 0.002, 0.005, 0.1) * 2:  # the stream reads what is there, then waits for news
        holder = token("read")
        headers = {"Accept": "text/event-stream"}
        with holder.stream("GET", "/event", headers=headers) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith(": the events")
            time.sleep(pause_seconds)
            threading.Thread(target=http.delete, args=(f"/token/{holder.token['id']}",)).start()
            assert not [line for line in lines if "TokenRevoked" in line]  # it comes to an end, and tells no more


@pytest.mark.parametrize("way", ["poll", "wait", "start"])
def test_who_waits_is_told_nothing_more_when_its_token_is_revoked(
    http: httpx.Client, token: MakeToken, way: str
) -> None:
    holder = token("read", "execution:start")
    target = later(http)["id"]
    position = http.get("/event").json()["next"]
    asked: dict[str, Any] = {
        "poll": ("GET", "/event", {"params": {"after": position, "subject_id": target, "timeout_seconds": 30}}),
        "wait": ("GET", f"/execution/{target}", {"params": {"wait": 30}}),
        "start": ("POST", "/execution", {"json": {"flow_name": "quick", "delay_seconds": 1e6, "wait": 30}}),
    }
    method, path, more = asked[way]
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(holder.request, method, path, **more)
        if way == "start":
            until(lambda: newest(http) != target)
            target = newest(http)
        else:
            until(lambda: noted_use(http, holder.token["id"]))
        assert http.delete(f"/token/{holder.token['id']}").status_code == 204
        http.post(f"/execution/{target}/cancel")
        reply = waiting.result(timeout=20)
    assert reply.status_code == 403, reply.text
    assert "revoked" in error_of(reply)["message"]


def newest(http: httpx.Client) -> str:
    return str(http.get("/execution", params={"limit": 1}).json()["items"][0]["id"])


def noted_use(http: httpx.Client, token_id: str) -> bool:
    return any(one["last_used_at"] for one in http.get("/token").json()["items"] if one["id"] == token_id)


def test_a_notebook_by_hand_is_answered_no_more_when_its_token_is_revoked(
    server: RunningServer, http: httpx.Client, token: MakeToken
) -> None:
    holder = token("*")
    address = f"{server.api.replace('http', 'ws', 1)}/interactive?kernel_id=revoked"
    header = {"Authorization": holder.headers["Authorization"]}
    line = websocket.create_connection(address, header=header, timeout=30, suppress_origin=True)
    assert call(line, "user")["result"]
    assert call(line, "save", message="mine")["result"] is None
    mine = call(line, "this")["result"]["id"]
    assert http.delete(f"/token/{holder.token['id']}").status_code == 204
    with pytest.raises((websocket.WebSocketException, OSError, ValueError)):  # an empty reply is the end
        call(line, "save_setting", name="by.a.stranger", value=1, secret=None)
    assert http.get("/setting/by.a.stranger").status_code == 404
    until(lambda: http.get(f"/execution/{mine}").json()["status"] == "ENDED_SUCCESS")
    line.shutdown()
