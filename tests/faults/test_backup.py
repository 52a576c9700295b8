"""The commands of `docs/operations.md` save a store that is in use, and restore it into an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.layout import Workspace
from tests.databases import Databases
from tests.documents import blocks
from tests.faults.conftest import begun
from tests.server import RunningServer, until

#: An hour is longer than any run of the tests.
LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def client(server: RunningServer) -> httpx.Client:
    return httpx.Client(base_url=server.api, headers={"Authorization": f"token {server.token}"}, timeout=60)


def documented(first: str, needle: str) -> str:
    """Return the block of commands that begins with `first` and has `needle` in it."""
    [found] = [
        block.text for block in blocks("docs/operations.md") if block.text.startswith(first) and needle in block.text
    ]
    return found


def shell(commands: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run documented commands in a folder, with this environment's programs."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | variables
    words = ["bash", "-euc", commands]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.db
@pytest.mark.timeout(180)
def test_a_backup_of_a_store_in_use_is_restored_whole(
    workspace: Workspace,
    store: Store,
    api: Service,
    databases: Databases,
    start_server: Callable[..., RunningServer],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    backup, root = tmp_path_factory.mktemp("backup"), tmp_path_factory.mktemp("restored")
    kind = "cloudo.dump" if databases.is_postgresql else "cloudo.sqlite"
    here = {"CLOUDO_DATABASE_URL": os.environ["CLOUDO_DATABASE_URL"]} if databases.is_postgresql else {}
    (workspace.root / "dashboards").mkdir()
    (workspace.root / "dashboards/board.ipynb").write_text("{}")
    server = start_server(workspace.root, environment=here, is_forked=True)
    with client(server) as http:
        api.save_setting("bank.key", "4711", secret=True)
        hook = {"name": "orders", "flow_name": "quick", "key": "hook-key-4711"}
        assert http.post("/webhook", json=hook).status_code == 201
        schedule = http.post("/schedule", json={"flow_name": "quick", "trigger": {"at": LATER}}).json()["id"]
        running = http.post("/execution", json={"flow_name": "waiting"}).json()["id"]
        ended = http.post("/execution", json={"flow_name": "quick", "wait": 60}).json()["id"]
        until(lambda: running in begun(workspace))
        accepted, is_over = [ended], threading.Event()

        def load() -> None:
            while not is_over.is_set():
                accepted.append(http.post("/execution", json={"flow_name": "quick"}).json()["id"])

        thread = threading.Thread(target=load)
        thread.start()
        until(lambda: len(accepted) > 3)
        saved = list(accepted)
        done = shell(documented("mkdir -m 700 -p", kind), workspace.root, BACKUP=str(backup))
        is_over.set()
        thread.join()
        assert done.returncode == 0, done.stderr
    server.stop()
    with ExitStack() as stack:
        there = {"CLOUDO_DATABASE_URL": stack.enter_context(databases.empty())} if databases.is_postgresql else {}
        commands = documented("mkdir -m 700 .cloudo", kind)
        key = 'if [ -e "$BACKUP/key" ]; then cp -p "$BACKUP/key" .cloudo/; fi\n'
        without = shell(commands.replace(key, ""), root, BACKUP=str(backup), **there)
        assert without.returncode == 1
        assert "is missing, and the store holds secrets that were sealed with it, such as secret" in without.stderr
        done = shell(f"{key}cloudo db check", root, BACKUP=str(backup), **there)
        assert (done.returncode, done.stdout) == (0, "The database can be used.\n"), done.stderr
        assert (root / "dashboards/board.ipynb").read_text() == "{}"
        assert_usable(start_server(root, environment=there, is_forked=True), saved, ended, running, schedule)
        url = there.get("CLOUDO_DATABASE_URL") or Workspace(root).database_url.replace(str(workspace.root), str(root))
        restored = stack.enter_context(ExitStack())
        opened = Store.open(url, key_file=Workspace(root).state / "key")
        restored.callback(opened.close)
        assert Service(opened, api._catalog, user_name="ada").revealed_setting("bank.key").value == "4711"


def assert_usable(server: RunningServer, saved: list[str], ended: str, running: str, schedule: str) -> None:
    """Check that what the backup has can be read and used on another server."""
    with client(server) as http:
        assert {http.get(f"/execution/{one}").status_code for one in saved} == {200}
        assert http.get(f"/execution/{ended}").json()["status"] == "ENDED_SUCCESS"
        assert http.get(f"/execution/{ended}/notebook").status_code == 200
        assert http.post(f"/schedule/{schedule}/trigger", json={}).status_code in (200, 201)
        hook = f"{server.url}cloudo/webhook/orders"
        assert httpx.post(hook, headers={"X-Cloudo-Key": "wrong"}).status_code == 404
        called = httpx.post(hook, headers={"X-Cloudo-Key": "hook-key-4711"}, timeout=60)
        assert called.status_code in (200, 202), called.text
        until(lambda: all(http.get(f"/execution/{one}").json()["ended_at"] for one in (running, *saved)), seconds=60)
        assert http.get(f"/execution/{running}").json()["error"]["name"] == "WorkerLost"


@pytest.mark.db("sqlite")
def test_a_store_without_key_executions_and_dashboards_is_saved_and_restored(
    workspace: Workspace, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> None:
    backup, root = tmp_path_factory.mktemp("backup"), tmp_path_factory.mktemp("restored")
    assert not workspace.key_file.exists()
    saved = shell(documented("mkdir -m 700 -p", "cloudo.sqlite"), workspace.root, BACKUP=str(backup))
    assert saved.returncode == 0, saved.stderr
    restored = shell(documented("mkdir -m 700 .cloudo", "cloudo.sqlite"), root, BACKUP=str(backup))
    assert (restored.returncode, restored.stdout) == (0, "The database can be used.\n"), restored.stderr
