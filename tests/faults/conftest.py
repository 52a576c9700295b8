from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloudo_kernel.models import StartExecution
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.layout import Workspace
from tests import workers
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, Servers
from tests.workers import StartWorker, Worker

#: Of the workers here; a real one's is longer.
LEASE_SECONDS = 5.0


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.create()
    write_flows(tmp_path)
    return workspace


def write_flows(root: Path) -> None:
    """Write flows that note when they begin, and that wait for the file `go`."""
    mark = f"open({str(root / 'marks')!r}, 'a').write(this.get('id') + '\\n')"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(root / 'go')!r}).exists():\n    time.sleep(0.05)"
    write_flow(root, "quick", mark)
    write_flow(root, "waiting", mark, wait, "this.log('gone on')\nthis.set_output('done', True)")
    write_flow(root, "ending", mark, wait)
    write_flow(root, "endless", mark, "import subprocess, time\nsubprocess.Popen(['sleep', '99'])\ntime.sleep(99)")


@pytest.fixture
def start_worker(workspace: Workspace) -> Iterator[StartWorker]:
    """Start workers with a short lease."""
    started: list[Worker] = []

    def start(*options: str) -> Worker:
        words = (str(workspace.root), "--lease-seconds", str(LEASE_SECONDS), *options)
        started.append(workers.start_worker(workspace.root, *words, module="tests.faults.worker"))
        return started[-1]

    yield start
    for worker in started:
        workers.end_worker(worker)


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningServer]]:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        yield servers.start


def probed(server: RunningServer) -> tuple[int, dict[str, Any]]:
    """Return what strangers learn from the health of a server, which is alive."""
    assert httpx.get(f"{server.api}/alive").json() == {"alive": True}
    reply = httpx.get(f"{server.api}/health", timeout=30)
    return reply.status_code, {name: value for name, value in reply.json().items() if value not in (None, [])}


def start(api: Service, flow_name: str) -> str:
    return api.start_execution(StartExecution(flow_name=flow_name)).id


def begun(workspace: Workspace) -> list[str]:
    """Return the executions that noted that they began, in their order."""
    marks = workspace.root / "marks"
    return marks.read_text().split() if marks.exists() else []


def events(store: Store, subject_id: str | None = None) -> list[str]:
    return [event.type for event in store.events.after(0, limit=1000, subject_id=subject_id)]
