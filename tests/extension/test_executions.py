"""Executions over REST: what the contract suite, which sees `Api` only, cannot see."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.extension.conftest import client, error_of, later
from tests.flows import install_kernel
from tests.server import RunningServer, until


def test_a_start_chooses_kernel_report_mode_and_limit_of_a_cell(http: httpx.Client, server: RunningServer) -> None:
    install_kernel(server.runtime.parent / "data", "later")
    listed = http.get("/kernel").json()
    assert {"name": "later", "title": "The other one", "language": "python"} in listed["items"]
    assert listed["next"] is None
    first = http.get("/kernel?limit=1").json()
    assert (len(first["items"]), first["next"]) == (1, first["items"][0]["name"])
    start = {"script": "import time\ntime.sleep(99)", "cell_timeout_seconds": 1.5, "report_mode": True, "wait": 60}
    ended = http.post("/execution", json={**start, "kernel": "later"}, timeout=70).json()
    assert (ended["status"], ended["error"]["name"], ended["kernel"]) == ("ENDED_ERROR", "CellTimeout", "later")
    page = http.get(f"/execution/{ended['id']}/notebook?format=html").text
    assert "KeyboardInterrupt" in page
    assert "In&nbsp;[" not in page
    for fields, field in (
        ({"kernel": "nothing"}, "kernel"),
        ({"kernel": ""}, "kernel"),
        ({"kernel": 1}, "kernel"),
        ({"cell_timeout_seconds": 0}, "cell_timeout_seconds"),
        ({"cell_timeout_seconds": True}, "cell_timeout_seconds"),
        ({"report_mode": "yes"}, "report_mode"),
    ):
        reply = http.post("/execution", json={"script": "1", **fields})
        assert (reply.status_code, error_of(reply)["field"]) == (400, field), (fields, reply.text)


def test_a_start_answers_at_once_with_the_record_and_where_it_is(server: RunningServer, http: httpx.Client) -> None:
    reply = http.post("/execution", json={"flow_name": "quick", "input_value": {"n": 4}, "tags": ["a"], "name": "mine"})
    assert reply.status_code == 201
    record = reply.json()
    assert reply.headers["Location"] == f"/cloudo/api/1/execution/{record['id']}"
    assert record["status"] in ("PENDING", "RUNNING")
    assert record["name"] == "mine"
    assert record["input_value"] == {"n": 4}
    assert record["trigger"] == "api"
    assert record["created_at"].endswith("Z")
    assert (
        httpx.get(f"{server.url.rstrip('/')}{reply.headers['Location']}", headers=http.headers).json()["id"]
        == record["id"]
    )


def test_starts_that_come_together_each_get_their_own_answer(server: RunningServer) -> None:
    def start(number: int) -> httpx.Response:
        flow = "typed" if number % 4 else "no/such/flow"
        inputs = {"n": number if number % 3 else "text"}
        with client(server) as http:
            return http.post("/execution", json={"flow_name": flow, "inputs": inputs, "delay_seconds": 1e6})

    with ThreadPoolExecutor(16) as threads:
        replies = list(threads.map(start, range(48)))
    for number, reply in enumerate(replies):
        assert reply.status_code == (404 if not number % 4 else 422 if not number % 3 else 201), reply.text
        if reply.status_code == 201:
            assert reply.json()["input_value"] == {"n": number}
    started = [reply.json()["id"] for reply in replies if reply.status_code == 201]
    assert len(set(started)) == len(started)


def test_waiting_for_the_end_returns_the_ended_record(http: httpx.Client) -> None:
    reply = http.post("/execution", json={"flow_name": "quick", "inputs": {"n": 4}, "wait": True})
    assert reply.status_code == 201
    assert reply.json()["status"] == "ENDED_SUCCESS"
    failed = http.post("/execution", json={"flow_name": "failing", "wait": 30})
    assert failed.status_code == 201
    record = failed.json()
    assert record["status"] == "ENDED_ERROR"
    assert record["error"]["name"] == "ZeroDivisionError"
    assert record["error"]["traceback"]
    assert http.get(f"/execution/{record['id']}/notebook").status_code == 200


def test_a_time_limit_may_be_longer_than_any_run(server: RunningServer, http: httpx.Client) -> None:
    reply = http.post("/execution", json={"flow_name": "quick", "timeout_seconds": 1e300, "wait": 30})
    assert reply.json()["status"] == "ENDED_SUCCESS"
    assert "OverflowError" not in server.log.read_text()


def test_a_wait_that_is_over_first_returns_the_record_so_far(http: httpx.Client) -> None:
    begun = time.monotonic()
    reply = http.post("/execution", json={"flow_name": "endless", "wait": 0.5})
    assert 0.4 < time.monotonic() - begun < 10
    assert reply.status_code == 202
    record = reply.json()
    assert record["status"] in ("PENDING", "RUNNING")
    assert reply.headers["Location"].endswith(record["id"])
    assert http.post(f"/execution/{record['id']}/cancel").status_code == 200


def test_a_wait_ends_when_somebody_cancels(server: RunningServer, http: httpx.Client) -> None:
    with ThreadPoolExecutor(1) as threads, client(server) as waiting:
        body = {"flow_name": "quick", "name": "to be cancelled", "delay_seconds": 1e6, "wait": 30}
        reply = threads.submit(waiting.post, "/execution", json=body)
        until(lambda: http.get("/execution", params={"q": "to be cancelled"}).json()["items"])
        (execution,) = http.get("/execution", params={"q": "to be cancelled"}).json()["items"]
        http.post(f"/execution/{execution['id']}/cancel")
        assert reply.result(timeout=10).status_code == 201
        assert reply.result().json()["status"] == "ENDED_CANCELLED"


def test_a_reader_waits_for_the_end(http: httpx.Client) -> None:
    started = http.post("/execution", json={"flow_name": "quick", "inputs": {"n": 4}}).json()
    assert http.get(f"/execution/{started['id']}", params={"wait": 30}).json()["status"] == "ENDED_SUCCESS"
    endless = http.post("/execution", json={"flow_name": "endless"}).json()
    assert http.get(f"/execution/{endless['id']}", params={"wait": 0.3}).json()["ended_at"] is None
    refused = http.get(f"/execution/{endless['id']}", params={"wait": 61})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "wait")
    http.post(f"/execution/{endless['id']}/cancel")


def test_two_hundred_waiters_do_not_slow_a_start(server: RunningServer, http: httpx.Client) -> None:
    """Nor take a thread each: the engine has eight."""

    def quickest(count: int = 15) -> float:
        times = []
        for _ in range(count):
            begun = time.perf_counter()
            later(http)
            times.append(time.perf_counter() - begun)
        return sorted(times)[len(times) // 2]

    alone = quickest()
    target = later(http)["id"]
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    with (
        httpx.Client(base_url=server.api, headers=http.headers, timeout=60, limits=limits, trust_env=False) as crowd,
        ThreadPoolExecutor(200) as threads,
    ):
        arrived = threading.Semaphore(0)

        def poll() -> httpx.Response:
            after = crowd.get("/event").json()["next"]
            arrived.release()
            while True:
                query = {"after": after, "subject_id": target, "timeout_seconds": 50}
                reply = crowd.get("/event", params=query)
                if reply.json()["items"]:
                    return reply

        polls = [threads.submit(poll) for _ in range(200)]
        for _ in polls:
            assert arrived.acquire(timeout=30)
        crowded = quickest()
        http.post(f"/execution/{target}/cancel")
        assert all(poll.result(timeout=30).status_code == 200 for poll in polls)
    assert crowded < max(5 * alone, 0.1)


def test_a_waiter_that_leaves_is_let_go(server: RunningServer, http: httpx.Client) -> None:
    begun = len(server.log.read_text())
    with client(server) as impatient, pytest.raises(httpx.ReadTimeout):
        impatient.post("/execution", json={"flow_name": "quick", "delay_seconds": 1e6, "wait": 60}, timeout=0.5)
    until(lambda: "499 POST /cloudo/api/1/execution" in server.log.read_text()[begun:])
    assert http.get("/user/me").status_code == 200
    assert "Traceback" not in server.log.read_text()[begun:]


def test_a_list_is_filtered_by_several_states_in_either_notation(http: httpx.Client) -> None:
    waiting, cancelled = (later(http, name="in two states")["id"] for _ in range(2))
    http.post(f"/execution/{cancelled}/cancel")
    for states in ("status=PENDING,ENDED_CANCELLED", "status=PENDING&status=ENDED_CANCELLED"):
        found = http.get(f"/execution?{states}&q=in+two+states").json()["items"]
        assert [one["id"] for one in found] == [cancelled, waiting]
    assert [one["id"] for one in http.get("/execution?status=PENDING&q=in+two+states").json()["items"]] == [waiting]


def test_children_are_listed_with_their_parent(http: httpx.Client) -> None:
    parent = later(http)["id"]
    assert http.get(f"/execution/{parent}/children").json() == {"items": [], "next": None}


@pytest.mark.parametrize("door", ["api", "ui", "cell", "cli"])
def test_a_program_says_for_which_door_it_stands(http: httpx.Client, door: str) -> None:
    reply = http.post(
        "/execution", json={"flow_name": "quick", "delay_seconds": 1e6}, headers={"X-Cloudo-Trigger": door}
    )
    assert reply.json()["trigger"] == door


def test_names_in_addresses_may_have_slashes_raw_or_encoded(http: httpx.Client) -> None:
    for path in ("reports/t%C3%A4glich%20w%C3%B6chentlich", "reports%2Ft%C3%A4glich%20w%C3%B6chentlich"):
        assert http.get(f"/flow/{path}").json()["name"] == "reports/täglich wöchentlich"


def test_a_flow_is_made_changed_moved_and_deleted(http: httpx.Client) -> None:
    made = http.post("/flow", json={"name": "new ones/ä", "copy_of": "quick"})
    assert made.status_code == 201
    assert made.headers["Location"] == "/cloudo/api/1/flow/new%20ones/%C3%A4"
    assert http.post("/flow", json={"name": "new ones/ä", "copy_of": "quick"}).status_code == 409
    moved = http.patch("/flow/new%20ones/%C3%A4", json={"name": "new ones/b"})
    assert moved.json()["name"] == "new ones/b"
    gone = http.delete("/flow/new%20ones/b")
    assert (gone.status_code, gone.content) == (204, b"")
    assert error_of(http.get("/flow/new%20ones/b"))["code"] == "flow_not_found"


def test_an_ended_execution_is_retried_with_its_inputs_or_others(http: httpx.Client) -> None:
    first = later(http, inputs={"n": 2})["id"]
    assert error_of(http.post(f"/execution/{first}/retry"))["code"] == "execution_not_ended"
    http.post(f"/execution/{first}/cancel")
    reply = http.post(f"/execution/{first}/retry")
    assert reply.status_code == 201
    assert reply.headers["Location"] == f"/cloudo/api/1/execution/{reply.json()['id']}"
    assert reply.json()["retry_of"] == first
    assert reply.json()["input_value"] == {"n": 2}
    for body in ({"inputs": {"n": 3}}, {"input_value": {"n": 3}}):
        assert http.post(f"/execution/{first}/retry", json=body).json()["input_value"] == {"n": 3}
    assert http.post(f"/execution/{first}/retry", json={}).json()["input_value"] == {"n": 2}
    for wrong, status in (
        ({"inputs": {"n": "x"}}, 422),
        ({"inputs": {}, "input_value": {}}, 400),
        ({"inputs": []}, 400),
        ({"name": "other"}, 400),
    ):
        assert http.post(f"/execution/{first}/retry", json=wrong).status_code == status, wrong


def test_pausing_and_resuming_where_the_state_does_not_allow_it_is_a_conflict(http: httpx.Client) -> None:
    execution_id = later(http)["id"]
    for verb, status in (("resume", 409), ("pause", 200), ("pause", 409), ("resume", 200)):
        assert http.post(f"/execution/{execution_id}/{verb}").status_code == status, verb
    assert http.post("/execution/none/pause").status_code == 404
