"""The history over REST."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.extension.conftest import StartServer, client, error_of, later
from tests.flows import write_flow
from tests.server import RunningServer, until

STREAM = {"Accept": "text/event-stream"}


def frames(reply: httpx.Response) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream; a comment is `{"comment": …}`."""
    found: dict[str, Any] = {}
    for line in reply.iter_lines():
        if line.startswith(":"):
            yield {"comment": line[1:].strip()}
        elif line.startswith("id: "):
            found["id"] = int(line[4:])
        elif line.startswith("data: "):
            found["data"] = json.loads(line[6:])
        elif not line and found:
            yield found
            found = {}


def test_a_stream_tells_of_an_execution_as_it_runs(server: RunningServer, http: httpx.Client) -> None:
    write_flow(server.workspace, "steady", "import time\ntime.sleep(0.5)", "1")  # what is over sooner tells of its end
    with http.stream("GET", "/event", headers=STREAM) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert stream.headers["Cache-Control"] == "no-cache, no-transform"
        events = frames(stream)
        assert "comment" in next(events)
        started = http.post("/execution", json={"flow_name": "steady"}).json()
        told = []
        for frame in events:
            if frame.get("data", {}).get("subject_id") == started["id"]:
                assert frame["id"] == frame["data"]["id"]
                assert frame["data"]["user_name"] == started["user_name"] or frame["data"]["user_name"] is None
                told.append(frame["data"]["type"])
            if "ExecutionEnded" in told:
                break
    assert told[:2] == ["ExecutionCreated", "ExecutionStarted"]
    assert "ExecutionProgressed" in told


def test_a_stream_goes_on_after_the_last_event_that_was_seen(http: httpx.Client) -> None:
    position = http.get("/event").json()["next"]
    ids = [later(http)["id"] for _ in range(3)]
    with http.stream("GET", "/event", params={"after": position}, headers=STREAM) as stream:
        events = (frame for frame in frames(stream) if "data" in frame)
        first = next(events)
        assert first["data"]["subject_id"] == ids[0]
    again = {"Last-Event-ID": str(first["id"]), **STREAM}
    with http.stream("GET", "/event", params={"after": position}, headers=again) as stream:
        events = (frame for frame in frames(stream) if "data" in frame)
        assert [next(events)["data"]["subject_id"] for _ in range(2)] == ids[1:]


def test_a_stream_of_one_subject_holds_nothing_else(http: httpx.Client) -> None:
    position = http.get("/event").json()["next"]
    wanted = later(http)["id"]
    query = {"after": position, "subject_id": wanted}
    with http.stream("GET", "/event", params=query, headers=STREAM) as stream:
        events = (frame["data"] for frame in frames(stream) if "data" in frame)
        assert next(events)["subject_id"] == wanted
        later(http)
        http.post(f"/execution/{wanted}/cancel")
        types = [next(events)["type"]]
        while types[-1] != "ExecutionEnded":
            types.append(next(events)["type"])


def test_a_stream_on_which_nothing_happens_is_kept_open(http: httpx.Client) -> None:
    quiet = {"subject_id": "absent"}
    with http.stream("GET", "/event", params=quiet, headers=STREAM) as stream:
        comments = [next(events) for events in [frames(stream)] for _ in range(3)]
    assert all("comment" in comment for comment in comments)


def test_a_stream_misses_nothing_when_much_happens(http: httpx.Client) -> None:
    with http.stream("GET", "/event", headers=STREAM) as stream:
        events = frames(stream)
        next(events)
        ids = [later(http)["id"] for _ in range(200)]
        seen: list[str] = []
        while len(seen) < len(ids):
            frame = next(events)
            if frame.get("data", {}).get("type") == "ExecutionCreated":
                seen.append(frame["data"]["subject_id"])
    assert seen == ids


def test_a_wrong_last_event_id_is_malformed(http: httpx.Client) -> None:
    reply = http.get("/event", headers={"Last-Event-ID": "x", **STREAM})
    assert reply.status_code == 400
    assert error_of(reply)["field"] == "Last-Event-ID"


def test_pages_follow_one_another(http: httpx.Client) -> None:
    position = http.get("/event").json()["next"]
    ids = [later(http)["id"] for _ in range(5)]
    seen: list[str] = []
    while len(seen) < 5:
        page = http.get("/event", params={"after": position, "limit": 2}).json()
        assert len(page["items"]) <= 2
        seen += [event["subject_id"] for event in page["items"]]
        position = page["next"]
    assert seen == ids
    assert http.get("/event", params={"after": position}).json() == {"items": [], "next": position}


def test_a_long_poll_answers_when_something_happens_or_its_time_is_over(
    server: RunningServer, http: httpx.Client
) -> None:
    target = later(http)["id"]
    position = http.get("/event").json()["next"]
    query = {"after": position, "subject_id": target, "timeout_seconds": 20}
    with ThreadPoolExecutor(1) as threads, client(server) as waiting:
        begun = time.monotonic()
        poll = threads.submit(waiting.get, "/event", params=query)
        later(http)  # of another subject: the poll stays
        http.post(f"/execution/{target}/cancel")
        page = poll.result(timeout=15).json()
    assert time.monotonic() - begun < 10
    assert {event["subject_id"] for event in page["items"]} == {target}
    begun = time.monotonic()
    empty = http.get("/event", params={"after": page["next"], "subject_id": "absent", "timeout_seconds": 1}).json()
    assert empty == {"items": [], "next": page["next"]}
    assert 0.9 < time.monotonic() - begun < 5


def test_a_server_that_stops_ends_who_waits_and_the_next_one_goes_on_by_itself(start: StartServer) -> None:
    first = start(None, "--Cloudo.embedded_worker=False")
    write_flow(first.workspace, "quick", "1")
    with ThreadPoolExecutor(2) as threads, client(first) as http:
        pending = http.post("/execution", json={"flow_name": "quick"}).json()
        assert http.get("/health").status_code == 503
        assert http.get("/health").json()["pending"] == 1
        body = {"flow_name": "quick", "delay_seconds": 1e6, "wait": 50}
        waits = [
            threads.submit(http.get, "/event", params={"subject_id": "absent", "timeout_seconds": 50}),
            threads.submit(http.post, "/execution", json=body),
        ]
        with http.stream("GET", "/event", headers=STREAM) as stream:
            events = frames(stream)
            next(events)
            until(lambda: len(http.get("/execution").json()["items"]) == 2)
            begun = time.monotonic()
            first.stop()
            assert all("data" in frame or "comment" in frame for frame in events)
        assert time.monotonic() - begun < 10
        for wait in waits:
            with contextlib.suppress(httpx.TransportError):  # the server may be gone before its answer is out
                assert wait.result(timeout=30).status_code in (200, 202, 503)
    assert "Traceback" not in first.log.read_text()

    second = start(first.workspace)
    with client(second) as http:  # which asks for nothing that would start the worker: it runs already
        query = {"after": 0, "subject_id": pending["id"], "timeout_seconds": 20}
        types: list[str] = []
        while "ExecutionEnded" not in types:
            page = http.get("/event", params=query).json()
            assert page["items"], "no worker picked the execution up"
            types += [event["type"] for event in page["items"]]
            query["after"] = page["next"]
