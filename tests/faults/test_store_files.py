"""Stores whose files are removed, moved or replaced while they are used, or which a newer Cloudo has taken over."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from cloudo_kernel.errors import Unavailable
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.layout import Workspace
from tests.faults.conftest import write_flows
from tests.server import RunningServer, until

StartServer = Callable[..., RunningServer]
#: What each door that answers 201 or 202 is sent.
DOORS = {
    "execution": {"flow_name": "quick", "delay_seconds": 1e6},
    "schedule": {"flow_name": "quick", "trigger": {"at": "2035-01-01T00:00:00Z"}},
    "message": {"subject": "hello"},
    "webhook": {"name": "hook", "flow_name": "quick", "key": "0123456789abcdef0123456789abcdef"},
    "setting": {"name": "colour", "value": "red"},
    "token": {"name": "ci", "actions": ["read"]},
}
REMOVED = "the database file was removed or replaced"
NEWER = "this store was made by a newer Cloudo"
DEVELOPMENT = "this store was made by a development version of Cloudo"


@pytest.fixture
def server(workspace: Workspace, start_server: StartServer) -> RunningServer:
    return start_server(workspace.root)


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(headers={"Authorization": f"token {server.token}"}, timeout=60) as client:
        client.base_url = f"{server.api}/"  # httpx makes a URL of it
        yield client


def assert_all_doors_refuse(http: httpx.Client, why: str) -> None:
    replies = {name: http.post(name, json=body) for name, body in DOORS.items()}
    assert {name: reply.status_code for name, reply in replies.items()} == dict.fromkeys(DOORS, 503)
    assert all(why in reply.json()["error"]["message"] for reply in replies.values())
    health = http.get("health")
    assert (health.status_code, health.json()["status"]) == (503, "unavailable")
    assert health.json()["reason"] == why
    metrics = http.get(str(http.base_url.join("/metrics"))).text
    assert "\ncloudo_up 0.0\n" in metrics
    assert "jupyter_server_info" in metrics


@pytest.mark.parametrize("which", ["cloudo.sqlite*", "cloudo.sqlite-wal"])
def test_a_removed_database_lets_no_door_promise_anything(
    workspace: Workspace, server: RunningServer, http: httpx.Client, which: str
) -> None:
    assert http.post("execution", json={"flow_name": "quick", "wait": True}).json()["status"] == "ENDED_SUCCESS"
    for path in workspace.state.glob(which):
        path.unlink()
    assert_all_doors_refuse(http, REMOVED)
    server.stop()
    assert server.log.read_text().count(REMOVED) == 1
    assert "Traceback" not in server.log.read_text()


def test_a_server_that_lost_its_database_leaves_the_new_one_alone(
    workspace: Workspace, server: RunningServer, http: httpx.Client
) -> None:
    assert http.post("execution", json=DOORS["execution"]).status_code == 201
    for path in workspace.state.glob("cloudo.sqlite*"):
        path.unlink()
    with closing(Store.open(workspace.database_url)) as new:
        new.settings.save("new", 1, user_name="ada")
        assert_all_doors_refuse(http, REMOVED)
        server.stop()
        assert (workspace.state / "cloudo.sqlite-wal").exists(), "SQLite removes it by its path"
        new.settings.save("newer", 2, user_name="ada")
    with closing(sqlite3.connect(workspace.state / "cloudo.sqlite")) as database:
        assert database.execute("SELECT name FROM settings ORDER BY name").fetchall() == [("new",), ("newer",)]


def test_a_folder_that_was_moved_and_put_back_loses_nothing(
    workspace: Workspace, server: RunningServer, http: httpx.Client, tmp_path: Path
) -> None:
    kept = http.post("execution", json=DOORS["execution"]).json()["id"]
    away = tmp_path / "away"
    workspace.state.rename(away)
    assert_all_doors_refuse(http, REMOVED)
    away.rename(workspace.state)
    until(lambda: http.get("health").status_code == 200)
    later = http.post("execution", json=DOORS["execution"]).json()["id"]
    ended = http.post("execution", json={"flow_name": "quick", "wait": 60}).json()
    assert ended["status"] == "ENDED_SUCCESS"
    server.process.kill()
    server.process.wait()
    with closing(Store.open(workspace.database_url)) as store:
        assert [store.executions.get(one).id for one in (kept, later)] == [kept, later]
    log = server.log.read_text()
    assert (log.count(REMOVED), log.count("The store can be used again.")) == (1, 1), log
    assert "Traceback" not in log


def take_over(workspace: Workspace, revision: str = "9999") -> None:
    """Do to a store what the migration of another Cloudo does."""
    with closing(sqlite3.connect(workspace.state / "cloudo.sqlite")) as database, database:
        database.execute("ALTER TABLE executions ADD COLUMN of_tomorrow INTEGER")
        database.execute("UPDATE alembic_version SET version_num = ?", [revision])


def test_an_older_server_stops_writing_when_a_newer_one_has_taken_over(
    workspace: Workspace, server: RunningServer, http: httpx.Client
) -> None:
    assert http.post("execution", json=DOORS["execution"]).status_code == 201
    take_over(workspace)
    assert_all_doors_refuse(http, NEWER)
    with closing(sqlite3.connect(workspace.state / "cloudo.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM executions").fetchone() == (1,)
    assert server.log.read_text().count(NEWER) == 1


@pytest.mark.parametrize(
    ("revision", "why", "hint"),
    [("9999", NEWER, "pip install --upgrade cloudo"), ("0021", DEVELOPMENT, "move the folder .cloudo out")],
)
def test_a_store_of_another_version_is_refused_at_every_door(
    tmp_path: Path, start_server: StartServer, revision: str, why: str, hint: str
) -> None:
    server = start_server(tmp_path)
    write_flows(tmp_path)
    workspace = Workspace(tmp_path)
    workspace.create()
    Store.open(workspace.database_url).close()
    take_over(workspace, revision)
    refused = httpx.post(
        f"{server.api}/execution", json={"flow_name": "quick"}, headers={"Authorization": f"token {server.token}"}
    )
    assert refused.status_code == 503
    assert why in refused.json()["error"]["message"]
    health = httpx.get(f"{server.api}/health")
    assert (health.status_code, health.json()["reason"]) == (503, why)
    with pytest.raises(Unavailable, match=f"{why}.*{re.escape(hint)}"):
        Store.open(workspace.database_url)
    for command in ("executions", "worker"):
        words = [sys.executable, "-m", "cloudo_kernel", "--workspace", str(tmp_path), command]
        done = subprocess.run(words, check=False, capture_output=True, text=True, env=os.environ, timeout=60)
        assert done.returncode == 1
        assert why in done.stderr
        assert hint in done.stderr
        assert "Traceback" not in done.stderr
