"""Durable flows: what they did is not done again, and while they wait they need no process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from cloudo_kernel.catalog import Catalog
from cloudo_kernel.models import Execution, StartExecution, Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.worker import Worker
from cloudo_kernel.workspace import Workspace
from tests.flows import write_flow
from tests.server import until

Start = Callable[..., str]
#: It has the flow's own folder as its folder, as all flows have.
CHILD = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)\nthis.set_output('answer', 42)"
PARENT = (
    "import pathlib\n"
    "with pathlib.Path('runs').open('a') as runs: runs.write('x')\n"
    "this.log('before')\n"
    "this.set_output('pid', __import__('os').getpid())",
    "child = this.flow('child')\n"
    "this.log('after', answer=child.outputs['answer'])\n"
    "this.set_output('answer', child.outputs['answer'])",
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.create()
    write_flow(tmp_path, "child", CHILD)
    return workspace


@pytest.fixture
def worker(store: Store, workspace: Workspace) -> Iterator[Worker]:
    worker = Worker(store, Catalog(workspace), linger_seconds=0.3)
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def start(api: Service, workspace: Workspace) -> Start:
    """Write a durable flow and start it."""

    def start(*sources: str, **metadata: object) -> str:
        write_flow(workspace.root, "parent", *sources, metadata={"durable": True, **metadata})
        return api.start_execution(StartExecution(flow_name="parent")).id

    return start


def ended(api: Service, execution_id: str) -> Execution:
    return api.wait(execution_id, timeout=timedelta(seconds=60))


def until_let_go(store: Store, api: Service, execution_id: str) -> None:
    """Wait until the execution waits and its kernel has ended."""
    until(lambda: api.execution(execution_id).status is Status.WAITING, what=lambda: api.execution(execution_id))
    pid = api.execution(execution_id).output_value.get("pid")
    until(lambda: not store.queue.running_of("") and (pid is None or not psutil.pid_exists(pid)))
    assert api.execution(execution_id).status is Status.WAITING


def texts(api: Service, execution_id: str) -> list[str]:
    return [line.text for line in api.execution(execution_id).log or ()]


@pytest.mark.usefixtures("worker")
def test_a_flow_that_waits_long_needs_no_process_and_goes_on_where_it_was(
    api: Service, store: Store, workspace: Workspace, start: Start
) -> None:
    parent = start(*PARENT)
    until_let_go(store, api, parent)
    (workspace.root / "flows" / "go").touch()
    record = ended(api, parent)
    assert record.status is Status.ENDED_SUCCESS, record
    assert record.output_value["answer"] == 42
    assert texts(api, parent) == ["before", "after answer=42"]
    assert len(api.executions().items) == 2  # one child
    assert (workspace.root / "flows" / "runs").read_text() == "xx"
    assert record.attempt == 2
    cells = json.loads(api.execution_notebook(parent))["cells"]
    assert all(cell["metadata"]["papermill"]["status"] == "completed" for cell in cells)
