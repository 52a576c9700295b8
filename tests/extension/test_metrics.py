"""Cloudo's part of the server's own `/metrics`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.documents import text_of
from tests.flows import write_flow
from tests.server import RunningServer, until

CANARY = "finch-4711"


def test_the_servers_metrics_have_cloudos_for_known_callers(
    server: RunningServer, http: httpx.Client, anonymous: httpx.Client
) -> None:
    write_flow(server.workspace, "measured", "1", parameters="word = 'x'")
    write_flow(server.workspace, 'odd"} 1', "1 / 0")

    def metrics() -> dict[tuple[str, ...], float]:
        text = http.get(f"{server.url}metrics").text
        assert CANARY not in text
        families = text_string_to_metric_families(text)
        return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}

    assert anonymous.get(f"{server.url}metrics").status_code == 403
    started = {"flow_name": "measured", "inputs": {"word": CANARY}, "wait": True}
    assert http.post("/execution", json=started).json()["status"] == "ENDED_SUCCESS"
    assert http.post("/execution", json={"flow_name": 'odd"} 1', "wait": True}).json()["status"] == "ENDED_ERROR"
    at = (datetime.now(UTC) + timedelta(seconds=0.2)).isoformat()
    scheduled = {"flow_name": "measured", "trigger": {"at": at}}
    assert http.post("/schedule", json=scheduled).status_code == 201
    ended = ("cloudo_flow_executions_total", "measured", "ENDED_SUCCESS")
    until(lambda: metrics().get(ended) == 2 and metrics()["cloudo_schedule_lateness_seconds_count",] >= 1)
    found = metrics()
    assert found["cloudo_up",] == 1
    assert found["cloudo_flow_executions_total", 'odd"} 1', "ENDED_ERROR"] == 1
    assert found["cloudo_executions_total", "ENDED_SUCCESS"] >= 2
    assert found["cloudo_queue_seconds_count",] >= 3
    assert next(value for (name, *_), value in found.items() if name == "cloudo_worker_lease_age_seconds") < 15
    assert found["cloudo_runners", "running"] >= 0
    assert ("cloudo_runners", "ready") in found
    assert found["cloudo_event_lag_seconds",] < 60
    assert any(name == "http_request_duration_seconds_count" for name, *_ in found), "the server's own are there, too"
    documented = text_of("docs/operations.md")
    names = {name for name, *_ in found if name.startswith("cloudo_") and not name.endswith("_created")}
    parts = ("_bucket", "_count", "_sum")
    wanted = {next((name.removesuffix(part) for part in parts if name.endswith(part)), name) for name in names}
    assert {name for name in wanted if f"| `{name}" not in documented} == set()
