"""A server with its store in PostgreSQL, by REST from end to end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.flows import write_flow, write_script
from tests.postgresql import cluster
from tests.server import RunningServer, Serve, until

ASKS = """\
import os
this.log("begun")
this.set_output("pid", os.getpid())
answer = system.message("Who?", request="Name", timeout_seconds=0).wait()
this.set_output("hello", answer.get("response")["response"])
this.set_output("twice", this.flow("quick", n=21).outputs["twice"])
"""
ECHO = "def handler(system, this):\n    this.set_output('got', this.get('input_value')['json'])\n"
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def server(
    workspace: Path, serve: Serve, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[RunningServer]:
    write_flow(workspace, "quick", "this.set_output('twice', 2 * n)", parameters="n = 1")
    write_flow(workspace, "asks", ASKS, metadata={"durable": True})
    write_script(workspace, "echo", ECHO)
    with cluster(tmp_path_factory, worker_id).database() as url:
        environment = {"CLOUDO_DATABASE_URL": url}
        server = serve(workspace, "--Cloudo.linger_seconds=0.2", environment=environment)
        yield server
        server.stop()
        assert "Traceback" not in server.log.read_text()
    assert not (workspace / ".cloudo" / "cloudo.sqlite").exists()


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"token {server.token}"}
    with httpx.Client(base_url=server.api, headers=headers, timeout=60, trust_env=False) as http:
        yield http


def created(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def ended(http: httpx.Client, execution_id: str) -> dict[str, Any]:
    until(lambda: http.get(f"/execution/{execution_id}").json()["status"].startswith("ENDED"))
    return dict(http.get(f"/execution/{execution_id}").json())


def test_a_durable_flow_waits_without_a_process_and_goes_on_with_the_answer(http: httpx.Client) -> None:
    execution_id = created(http.post("/execution", json={"flow_name": "asks", "tags": ["monthly"]}))["id"]

    def status() -> str:
        return str(http.get(f"/execution/{execution_id}").json()["status"])

    until(lambda: status() == "WAITING")
    pid = http.get(f"/execution/{execution_id}").json()["output_value"]["pid"]
    until(lambda: not psutil.pid_exists(pid))
    assert status() == "WAITING"
    [question] = http.get("/message", params={"unanswered": True}).json()["items"]
    assert http.post(f"/message/{question['id']}/response", json={"response": {"response": "Ada"}}).status_code == 200
    record = ended(http, execution_id)
    assert record["status"] == "ENDED_SUCCESS", record
    assert record["attempt"] > 1
    assert record["output_value"] == {"pid": record["output_value"]["pid"], "hello": "Ada", "twice": 42}
    assert [line["text"] for line in http.get(f"/execution/{execution_id}/log").json()["items"]] == ["begun"]
    [child] = http.get(f"/execution/{execution_id}/children").json()["items"]
    assert http.get(f"/execution/{execution_id}/notebook").json()["cells"]
    types = [one["type"] for one in http.get("/event", params={"after": 0, "subject_id": execution_id}).json()["items"]]
    assert (types[0], types[-1]) == ("ExecutionCreated", "ExecutionEnded")
    queries = {"q=MONTHLY": [], "tag=monthly": [execution_id], f"q={child['id'][-9:]}": [child["id"]]}
    for query, found in queries.items():
        assert [one["id"] for one in http.get(f"/execution?{query}").json()["items"]] == found, query


def test_texts_are_found_in_every_alphabet_and_none_is_a_pattern(http: httpx.Client) -> None:
    later = {"flow_name": "quick", "delay_seconds": 3600}
    names = ["Größe 100%", "ТАБЛИЦА_1", "Ärger", "plain"]
    ids = [created(http.post("/execution", json={**later, "name": name}))["id"] for name in names]
    for q, found in {"größe": ids[:1], "0%": ids[:1], "таблица_": ids[1:2], "ärg": ids[2:3], "p_ain": []}.items():
        assert [one["id"] for one in http.get("/execution", params={"q": q}).json()["items"]] == found, q
    bulk = {"action": "cancel", "ids": ids}
    assert http.post("/execution/bulk", json=bulk).status_code == 200
    assert {ended(http, one)["status"] for one in ids} == {"ENDED_CANCELLED"}


def test_a_schedule_fires_is_paused_and_is_backfilled(http: httpx.Client) -> None:
    at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    once = created(http.post("/schedule", json={"flow_name": "quick", "trigger": {"at": at}, "inputs": {"n": 5}}))

    def occurrences() -> list[dict[str, Any]]:
        return list(http.get(f"/schedule/{once['id']}/occurrence").json()["items"])

    until(lambda: [one for one in occurrences() if one.get("execution_id")])
    [occurrence] = occurrences()
    record = ended(http, occurrence["execution_id"])
    assert (record["output_value"], record["schedule_id"]) == ({"twice": 10}, once["id"])
    assert record["started_at"] >= once["next_run"]
    daily = created(http.post("/schedule", json={"flow_name": "quick", "trigger": {"daily_at": "08:30"}}))
    path = f"/schedule/{daily['id']}"
    assert http.post(f"{path}/pause").json()["enabled"] is False
    span = {"start": "2026-01-01T00:00:00", "end": "2026-01-03T00:00:00"}
    made = http.post(f"{path}/backfill", json=span).json()["items"]
    assert [ended(http, one["execution_id"])["status"] for one in made] == ["ENDED_SUCCESS"] * 2


def test_a_webhook_calls_a_flow_and_keeps_its_secret(http: httpx.Client, server: RunningServer) -> None:
    fields = {"name": "door", "flow_name": "echo", "key": KEY, "sync_timeout_seconds": 60}
    created(http.post("/webhook", json=fields))
    address = f"{server.url}cloudo/webhook/door"
    headers = {"Authorization": f"Bearer {KEY}"}
    reply = httpx.post(address, json={"a\0": ["ä", None]}, headers=headers, timeout=60, trust_env=False)
    assert reply.status_code == 200, reply.text
    assert reply.json()["output_value"] == {"got": {"a\0": ["ä", None]}}
    assert httpx.post(address, json={}, headers={"Authorization": "Bearer no"}, trust_env=False).status_code == 404
    until(lambda: len(http.get("/webhook/door/delivery").json()["items"]) == 2)
    assert KEY not in http.get("/webhook/door").text
