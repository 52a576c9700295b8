"""Disks that are full or read-only, and a database that another process holds."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloudo_kernel.models import Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.store.sql.causes import LOCK_SECONDS
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests import workers
from tests.faults.conftest import LEASE_SECONDS, begun, events, probed, start, write_flows
from tests.flows import write_flow
from tests.server import RunningServer, until
from tests.workers import StartWorker

MINUTE = timedelta(minutes=1)
MEGABYTE = 1_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB with a workspace."""
    words = ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(tmp_path)]
    mounted = sys.platform == "linux" and subprocess.run(words, check=False, capture_output=True).returncode == 0
    if not mounted:
        assert not os.environ.get("CI"), "in CI this has to be tried"
        pytest.skip("only root can mount a small disk")
    try:
        Workspace(tmp_path).create()
        write_flows(tmp_path)
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def is_intact(workspace: Workspace) -> bool:
    with closing(sqlite3.connect(workspace.state / "cloudo.sqlite")) as database:
        return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def fill(disk: Path) -> Path:
    """Leave no byte free; return the file that takes the room."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (MEGABYTE, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


def test_a_notebook_that_fills_the_disk_fails_alone(small_disk: Path) -> None:
    workspace = Workspace(small_disk)
    write_flow(small_disk, "large", "print('kept')", "print('x' * 40_000_000)")
    store = Store.open(workspace.database_url)
    api = Service(store, Catalog(workspace), user_name="ada")
    worker = workers.start_worker(small_disk)
    try:
        before = start(api, "quick")
        assert api.wait(before, timeout=MINUTE).status is Status.ENDED_SUCCESS
        failed = api.wait(start(api, "large"), timeout=MINUTE)
        assert failed.status is Status.ENDED_ERROR
        assert failed.error is not None
        assert "No space left on device" in failed.error.value
        for execution_id in (before, failed.id):
            assert json.loads(api.execution_notebook(execution_id))["cells"]
        assert list(small_disk.rglob("*.tmp")) == []
        assert api.wait(start(api, "quick"), timeout=MINUTE).status is Status.ENDED_SUCCESS
        assert is_intact(workspace)
    finally:
        workers.end_worker(worker)
        store.close()


def test_a_full_disk_refuses_starts_is_told_by_the_health_and_loses_no_run(
    small_disk: Path, start_server: Callable[..., RunningServer]
) -> None:
    workspace = Workspace(small_disk)
    Store.open(workspace.database_url).close()
    server = start_server(small_disk)
    saving = post(server, "waiting").json()["id"]
    until(lambda: begun(workspace) == [saving], seconds=60)
    (small_disk / "go").touch()  # it takes no room
    ballast = fill(small_disk)
    accepted = [saving]
    while (reply := post(server, delay_seconds=1e6)).status_code == 201:  # the log of the database may have room left
        accepted.append(reply.json()["id"])
    assert reply.status_code == 503
    assert "disk is full; free some space" in reply.json()["error"]["message"]
    # Heartbeats may find room where a start does not.
    until(lambda: post(server).status_code == 503 and health(server) == (503, "the disk is full"))
    ballast.unlink()
    until(lambda: health(server) == (200, None))
    accepted.append(post(server).json()["id"])
    with closing(Store.open(workspace.database_url)) as store:
        api = Service(store, Catalog(workspace), user_name="ada")
        ended = api.wait(saving, timeout=MINUTE)
        assert ended.status is Status.ENDED_SUCCESS or "No space left" in str(ended.error)
        assert json.loads(api.execution_notebook(saving))["cells"]
        assert api.wait(accepted[-1], timeout=MINUTE).status is Status.ENDED_SUCCESS
    server.process.kill()
    server.process.wait()
    with closing(Store.open(workspace.database_url)) as store:
        assert [store.executions.get(one).id for one in accepted] == accepted
    assert is_intact(workspace)


def test_a_read_only_disk_is_named_and_nothing_is_lost(
    small_disk: Path, start_server: Callable[..., RunningServer]
) -> None:
    workspace = Workspace(small_disk)
    shutil.rmtree(workspace.state)
    server = start_server(small_disk)  # it opens nothing that nobody has used, and an open file keeps a disk writable
    workspace.create()
    Store.open(workspace.database_url).close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused = post(server)
    assert refused.status_code == 503, refused.text
    assert refused.json()["error"]["code"] == "unavailable"
    assert "this user may write to it" in refused.json()["error"]["message"]
    assert health(server)[0] == 503
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert post(server, wait=True).json()["status"] == "ENDED_SUCCESS"
    assert health(server) == (200, None)


@pytest.mark.timeout(180)
def test_a_locked_database_refuses_starts_and_loses_no_run(
    workspace: Workspace,
    store: Store,
    api: Service,
    start_server: Callable[..., RunningServer],
    start_worker: StartWorker,
) -> None:
    server = start_server(workspace.root, config={"Cloudo": {"log_format": "json"}})
    runs = [post(server, flow_name).json()["id"] for flow_name in ("waiting", "ending")]
    until(lambda: sorted(begun(workspace)) == sorted(runs), seconds=60)
    start_worker()  # it must not think that the server is dead because nobody can write
    with closing(sqlite3.connect(workspace.state / "cloudo.sqlite", isolation_level=None, timeout=60)) as blocker:
        blocker.execute("BEGIN EXCLUSIVE")
        (workspace.root / "go").touch()  # one puts out a value now, the other one ends
        begin = time.monotonic()
        refused = post(server)
        assert refused.status_code == 503, refused.text
        assert "locked" in refused.json()["error"]["message"]
        assert "end that process, or wait" in refused.json()["error"]["message"]
        assert LEASE_SECONDS < time.monotonic() - begin < 3 * LOCK_SECONDS
        assert probed(server) == (503, {"status": "unavailable", "reason": "the database is locked"})
        assert {api.execution(one).status for one in runs} == {Status.RUNNING}
        blocker.execute("ROLLBACK")
    done, ended = (api.wait(one, timeout=MINUTE) for one in runs)
    assert (done.status, done.output_value, ended.status) == (
        Status.ENDED_SUCCESS,
        {"done": True},
        Status.ENDED_SUCCESS,
    ), (done.error, ended.error)
    assert [line.text for line in done.log or ()] == ["gone on"]
    assert post(server, wait=True).json()["status"] == "ENDED_SUCCESS"
    assert "WorkerLost" not in events(store)
    until(lambda: health(server) == (200, None))
    log = server.log.read_text()
    assert (log.count("database is locked"), log.count("The store can be used again.")) == (1, 1), log
    assert "Traceback" not in log
    [found] = [line for line in json_lines(log) if "database is locked" in line["message"]]
    assert (found["level"], found["logger"]) == ("ERROR", "cloudo_kernel.store.sql.database")
    assert datetime.fromisoformat(found["time"]).utcoffset() == timedelta(0)
    refusals = [line["message"] for line in json_lines(log) if line["message"].startswith("503 POST")]
    assert len(refusals) == 1, "Jupyter's own lines are JSON, too"
    assert server.token not in "".join(map(str, json_lines(log)))


def test_the_log_of_a_worker_is_json_on_request(workspace: Workspace, store: Store) -> None:
    worker = workers.start_worker(workspace.root, "--log-format", "json")
    try:
        [registered] = store.workers.all()
        store.workers.remove(registered.id)
        errors = workspace.state / "worker-errors.log"
        until(lambda: json_lines(errors.read_text()))
        [line, *_] = json_lines(errors.read_text())
        assert (line["message"], line["worker_id"]) == ("This worker lost its lease", registered.id)
    finally:
        workers.end_worker(worker)


def json_lines(text: str) -> list[dict[str, Any]]:
    """Return the lines that are JSON. Jupyter writes text until it has loaded Cloudo."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def health(server: RunningServer) -> tuple[int, str | None]:
    reply = httpx.get(f"{server.api}/health", timeout=30)
    return reply.status_code, reply.json()["reason"]


def post(server: RunningServer, flow_name: str = "quick", **fields: object) -> httpx.Response:
    headers = {"Authorization": f"token {server.token}"}
    body = {"flow_name": flow_name, **fields}
    return httpx.post(f"{server.api}/execution", json=body, headers=headers, timeout=90)
