"""Durable flows: while they wait they need no process, and what wakes them survives crashes."""

from __future__ import annotations

import contextlib
import json

import psutil
import pytest

from cloudo_kernel.models import Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.worker.worker import Worker
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.acceptance.durable.flows import CHILD, PARENT, Start, ended, texts, until_let_go
from tests.flows import write_flow
from tests.server import until
from tests.workers import end_worker, processes, start_worker

pytestmark = pytest.mark.db


@pytest.mark.usefixtures("worker")
def test_a_flow_that_waits_long_needs_no_process_and_goes_on_where_it_was(
    api: Service, workspace: Workspace, start: Start
) -> None:
    parent = start(*PARENT)
    until_let_go(api, parent)
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


@pytest.mark.usefixtures("worker")
def test_a_cancel_reaches_one_that_was_let_go_and_its_children(api: Service, start: Start) -> None:
    parent = start(*PARENT)
    until_let_go(api, parent)
    api.cancel_execution(parent)
    assert ended(api, parent).status is Status.ENDED_CANCELLED
    [child] = [one for one in api.executions().items if one.parent_id == parent]
    assert ended(api, child.id).status is Status.ENDED_CANCELLED


@pytest.mark.usefixtures("worker")
def test_one_that_was_let_go_can_be_paused_and_resumed(api: Service, workspace: Workspace, start: Start) -> None:
    parent = start(*PARENT)
    until_let_go(api, parent)
    api.pause_execution(parent)
    (workspace.root / "flows" / "go").touch()
    [child] = [one for one in api.executions().items if one.parent_id == parent]
    assert ended(api, child.id).status is Status.ENDED_SUCCESS
    assert api.execution(parent).status is Status.PAUSED
    api.resume_execution(parent)
    assert ended(api, parent).status is Status.ENDED_SUCCESS


@pytest.mark.usefixtures("worker")
def test_an_answer_wakes_a_flow_that_was_let_go(api: Service, start: Start) -> None:
    asking = start(
        "import os, pathlib\n"
        "with pathlib.Path('runs').open('a') as runs: runs.write('x')\n"
        "this.set_output('pid', os.getpid())\n"
        "answer = system.message('Who?', request='Your name').wait().get('response')['response']\n"
        "this.success(answer)"
    )
    until_let_go(api, asking)
    [message] = api.messages(unanswered=True).items
    api.answer_message(message.id, {"response": "Ada"})
    record = ended(api, asking)
    assert (record.status, record.message, record.attempt) == (Status.ENDED_SUCCESS, "Ada", 2), record
    assert len(api.messages().items) == 1


@pytest.mark.usefixtures("worker")
def test_an_expired_request_wakes_a_flow_that_was_let_go(api: Service, start: Start) -> None:
    asking = start(
        "from flow_api import MessageResponseTimeoutError\n"
        "this.set_output('pid', __import__('os').getpid())\n"
        "try: system.message('Who?', request='Your name', timeout_seconds=3).wait()\n"
        "except MessageResponseTimeoutError: this.success('nobody')"
    )
    until_let_go(api, asking)
    record = ended(api, asking)
    assert (record.status, record.message) == (Status.ENDED_SUCCESS, "nobody"), record


@pytest.mark.usefixtures("worker")
def test_a_moment_wakes_a_flow_that_was_let_go(api: Service, start: Start) -> None:
    sleeping = start(
        "import time\n"
        "this.set_output('pid', __import__('os').getpid())\n"
        "this.set_output('begun', time.time())\n"
        "this.sleep(3)\n"
        "this.set_output('woken', time.time())"
    )
    until_let_go(api, sleeping)
    record = ended(api, sleeping)
    assert (record.status, record.attempt) == (Status.ENDED_SUCCESS, 2), record
    assert record.output_value["woken"] - record.output_value["begun"] >= 3


def test_a_worker_that_stops_keeps_what_waits_and_another_one_wakes_it(
    api: Service, store: Store, workspace: Workspace, start: Start
) -> None:
    write_flow(workspace.root, "child", CHILD, metadata={"retries": 1})
    worker = Worker(store, Catalog(workspace), linger_seconds=60)
    worker.start()
    parent = start(*PARENT)
    until(lambda: api.execution(parent).status is Status.WAITING)
    [child] = [one for one in api.executions().items if one.parent_id == parent]
    until(lambda: api.execution(child.id).status is Status.RUNNING)
    worker.stop()
    assert api.execution(parent).status is Status.WAITING
    (workspace.root / "flows" / "go").touch()
    another = Worker(store, Catalog(workspace), linger_seconds=60)
    another.start()
    try:
        record = ended(api, parent)
    finally:
        another.stop()
    assert (record.status, record.output_value["answer"]) == (Status.ENDED_SUCCESS, 42), record


def test_kill_9_of_everything_doubles_no_child_and_loses_no_wait(
    api: Service, workspace: Workspace, start: Start
) -> None:
    write_flow(workspace.root, "child", CHILD, metadata={"retries": 3})
    first = start_worker(workspace.root, "--linger", "0.3")
    try:
        parent = start(*PARENT)
        until(lambda: api.execution(parent).status is Status.WAITING, seconds=60)
        [child] = [one for one in api.executions().items if one.parent_id == parent]
        until(lambda: api.execution(child.id).status is Status.RUNNING, seconds=60)
        for process in processes(workspace.root):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has died with its parent
                process.kill()
    finally:
        end_worker(first)
    (workspace.root / "flows" / "go").touch()
    second = start_worker(workspace.root)
    try:
        record = ended(api, parent)
    finally:
        end_worker(second)
    assert record.status is Status.ENDED_SUCCESS, record
    assert record.output_value["answer"] == 42
    assert [one.id for one in api.executions().items if one.flow_name == "child"] == [child.id]
    assert [text for text in texts(api, parent) if "cut off" not in text] == ["before", "after answer=42"]
