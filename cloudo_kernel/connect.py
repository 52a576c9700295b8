"""Finds Cloudo: a running server, else the workspace's store with a worker of one's own."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloudo_kernel.api import Api
from cloudo_kernel.catalog import Catalog, library_folders
from cloudo_kernel.errors import MalformedRequest, WorkspaceNotFound
from cloudo_kernel.ids import new_id
from cloudo_kernel.models import Execution, StartExecution, Trigger
from cloudo_kernel.service import Service, default_user_name
from cloudo_kernel.store import Store
from cloudo_kernel.workspace import Workspace


def connect(
    where: str | Path | None = None,
    *,
    token: str | None = None,
    trigger: Trigger = Trigger.CELL,
    keep_running: bool = False,
) -> Api:
    """Return an `Api`.

    `where` is a server's URL or a workspace's folder. Without it: `CLOUDO_URL`; the server that started this kernel;
    a running server with the workspace as its root; else the workspace's store. There, what is started here, and its
    children, is run by a worker process of one's own, which ends with this process, unless `keep_running`, which lets
    it finish what was started.
    """
    if where is not None and urlsplit(str(where)).scheme in {"http", "https"}:
        return _client(str(where), token or _token_at_hand(), trigger)
    if where is None:
        if url := os.environ.get("CLOUDO_URL"):
            return _client(url, token or _token_at_hand(), trigger)
        if server := _parent_server():
            return _client(server["url"], server["token"], trigger)
    workspace = _workspace(where)
    if server := _server_of(workspace):
        return _client(server["url"], server["token"], trigger)
    if token is not None:
        raise MalformedRequest("A token is for a server; there is none here.", field="token")
    return LocalService(workspace, trigger=trigger, keep_running=keep_running)


class LocalService(Service):
    """A `Service` of this process, whose executions a worker process of its own runs."""

    def __init__(self, workspace: Workspace, *, trigger: Trigger, keep_running: bool = False) -> None:
        workspace.create()
        store = Store.open(workspace.database_url)
        catalog = Catalog(workspace, library=library_folders())
        self._worker_id = new_id()
        super().__init__(store, catalog, user_name=default_user_name(), trigger=trigger, reserved_for=self._worker_id)
        self._keep_running = keep_running
        self._worker: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        atexit.register(self.close)

    def start_execution(self, request: StartExecution, *, idempotency_key: str | None = None) -> Execution:
        """See `Api.start_execution`."""
        execution = super().start_execution(request, idempotency_key=idempotency_key)
        self._ensure_worker()
        return execution

    def close(self) -> None:
        """Let the worker end, and close the store."""
        atexit.unregister(self.close)
        with self._starting:
            worker, self._worker = self._worker, None
        if worker is not None and worker.stdin is not None:
            worker.stdin.close()  # its sign that nobody will start anything more
            if not self._keep_running:
                worker.wait()
        self._store.close()

    def _ensure_worker(self) -> None:
        with self._starting:
            if self._worker is not None and self._worker.poll() is None:
                return
            command = [sys.executable, "-m", "cloudo_kernel.worker", "--private", self._worker_id]
            if self._keep_running:
                command.append("--finish")
            self._worker = subprocess.Popen(
                [*command, str(self._catalog.workspace.root)], stdin=subprocess.PIPE, start_new_session=True
            )


def running_servers() -> list[dict[str, Any]]:
    """Return what the Jupyter servers of this user say of themselves, those that still run."""
    from jupyter_core.paths import jupyter_runtime_dir

    found = []
    for path in sorted(Path(jupyter_runtime_dir()).glob("jpserver-*.json")):
        try:
            server = json.loads(path.read_text())
            os.kill(server["pid"], 0)
        except (OSError, ValueError, KeyError):
            continue
        found.append(server)
    return found


def _client(url: str, token: str | None, trigger: Trigger) -> Api:
    from cloudo_kernel.client import Client  # here: httpx takes 0.2 s to import

    return Client(url, token=token, trigger=trigger)


def _token_at_hand() -> str | None:
    """Return the token from `CLOUDO_TOKEN`, or from the file that a dashboard's server made for it."""
    if path := os.environ.get("CLOUDO_TOKEN_FILE"):
        return Path(path).read_text().strip()
    return os.environ.get("CLOUDO_TOKEN")


def _parent_server() -> dict[str, Any] | None:
    """Return the server that started this kernel."""
    parent = os.environ.get("JPY_PARENT_PID")
    servers = [server for server in running_servers() if str(server["pid"]) == parent]
    return servers[0] if servers and _has_cloudo(servers[0]) else None


def _server_of(workspace: Workspace) -> dict[str, Any] | None:
    for server in running_servers():
        if Path(server.get("root_dir", "")).resolve() == workspace.root and _has_cloudo(server):
            return server
    return None


def _has_cloudo(server: dict[str, Any]) -> bool:
    import urllib.request

    try:
        with urllib.request.urlopen(f"{server['url']}cloudo/api/1/health", timeout=5) as reply:  # noqa: S310 -- of a server of this user
            return bool(json.loads(reply.read())["version"])
    except (OSError, ValueError, KeyError):
        return False


def _workspace(where: str | Path | None) -> Workspace:
    if where is None:
        return Workspace.find()
    root = Path(where).expanduser().resolve()
    if not root.is_dir():
        raise WorkspaceNotFound(str(root))
    return Workspace(root)
