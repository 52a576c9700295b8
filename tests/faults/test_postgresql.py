"""A database server that is stopped or killed under load."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from cloudo_kernel.models import Status
from cloudo_kernel.workspace.layout import Workspace
from tests.faults.conftest import begun, write_flows
from tests.postgresql import Cluster, is_installed
from tests.server import WITHOUT_LAB, RunningServer, Servers, until

pytestmark = pytest.mark.skipif(not is_installed(), reason="Debian's package postgresql is not installed")

#: How long the server is away.
OUTAGE_SECONDS = 10.0
#: How soon all has to work again.
RESUME_SECONDS = 10.0
KILLS = 3


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster.durable()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[RunningServer]:
    root = tmp_path_factory.mktemp("workspace")
    Workspace(root).create()
    write_flows(root)
    cluster.run("CREATE DATABASE faults")
    environment = {"CLOUDO_DATABASE_URL": cluster.url("faults")}
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        yield servers.start(root, environment=environment)


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"token {server.token}"}
    with httpx.Client(base_url=server.api, headers=headers, timeout=60, trust_env=False) as http:
        yield http


class Load:
    """Threads that start executions without a pause."""

    def __init__(self, server: RunningServer, **body: object) -> None:
        self._server = server
        self._body = body
        self._is_over = threading.Event()
        self.accepted: list[str] = []
        self.refusals: list[httpx.Response] = []

    @contextmanager
    def running(self, threads: int, *, pause_seconds: float) -> Iterator[None]:
        started = [threading.Thread(target=self._post, args=[pause_seconds]) for _ in range(threads)]
        for thread in started:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in started:
                thread.join()

    def _post(self, pause_seconds: float) -> None:
        headers = {"Authorization": f"token {self._server.token}"}
        with httpx.Client(base_url=self._server.api, headers=headers, timeout=60, trust_env=False) as http:
            while not self._is_over.wait(pause_seconds):
                reply = http.post("/execution", json=self._body)
                if reply.status_code == 201:
                    self.accepted.append(reply.json()["id"])
                else:
                    self.refusals.append(reply)


def until_more(found: list[str], number: int = 5, *, seconds: float = 60) -> None:
    before = len(found)
    until(lambda: len(found) >= before + number, seconds=seconds)


def ends(http: httpx.Client, ids: list[str]) -> set[str]:
    def statuses() -> set[str]:
        return {http.get(f"/execution/{one}").json()["status"] for one in ids}

    until(lambda: all(Status(status).is_ended for status in statuses()))
    return statuses()


@pytest.mark.timeout(180)
def test_while_the_server_is_stopped_starts_are_refused_and_no_run_is_lost(
    server: RunningServer, cluster: Cluster, http: httpx.Client
) -> None:
    workspace = Workspace(server.workspace)
    runs = [http.post("/execution", json={"flow_name": flow_name}).json()["id"] for flow_name in ("waiting", "ending")]
    until(lambda: sorted(begun(workspace)) == sorted(runs))
    load = Load(server, flow_name="quick")
    with load.running(4, pause_seconds=0.2):
        until_more(load.accepted)
        cluster.stop()
        stopped_at = time.monotonic()
        (server.workspace / "go").touch()  # one puts out a value now, the other one ends
        until(lambda: len(load.refusals) > 8)
        until(lambda: http.get("/health").status_code == 503)
        assert "cannot be reached" in http.get("/execution").json()["error"]["message"]
        until(lambda: time.monotonic() > stopped_at + OUTAGE_SECONDS)
        cluster.start()
        until_more(load.accepted, seconds=RESUME_SECONDS)
        until(lambda: http.get("/health").status_code == 200, seconds=RESUME_SECONDS)
    assert {(reply.status_code, reply.headers.get("Retry-After")) for reply in load.refusals} == {(503, "5")}
    assert ends(http, runs + load.accepted) == {"ENDED_SUCCESS"}
    assert http.get(f"/execution/{runs[0]}").json()["output_value"] == {"done": True}
    marks = begun(workspace)
    assert len(marks) == len(set(marks)), "one was run twice"
    assert set(marks) >= {*runs, *load.accepted}
    log = server.log.read_text()
    assert log.count("The store can be used again.") == 1, log
    assert "Traceback" not in log


@pytest.mark.timeout(180)
def test_each_start_that_was_answered_is_there_after_the_server_was_killed_in_the_middle_of_commits(
    server: RunningServer, cluster: Cluster, http: httpx.Client
) -> None:
    load = Load(server, flow_name="quick", delay_seconds=1e6)
    with load.running(8, pause_seconds=0):
        for _ in range(KILLS):
            until_more(load.accepted, 50)
            cluster.kill()
            cluster.start()
        until_more(load.accepted, 50)
    assert {(reply.status_code, reply.headers.get("Retry-After")) for reply in load.refusals} <= {(503, "5")}
    found: set[str] = set()
    cursor = ""
    while cursor is not None:
        page = http.get("/execution", params={"status": "PENDING", "limit": 500, "cursor": cursor}).json()
        found |= {one["id"] for one in page["items"]}
        cursor = page.get("next")
    assert set(load.accepted) <= found
    assert "Traceback" not in server.log.read_text()


def test_while_the_server_stands_still_health_says_so(
    server: RunningServer, cluster: Cluster, http: httpx.Client
) -> None:
    until(lambda: http.get("/health").status_code == 200)
    with cluster.standing_still():
        health = http.get("/health")
        assert (health.status_code, health.json()["reason"]) == (503, "the store does not answer")
        assert http.get("/alive").status_code == 200
    until(lambda: http.get("/health").status_code == 200)
    assert server.log.read_text().count("The store does not answer.") == 1
