"""Calls that do not come back: of flows that are cancelled or let go, of processes that a flow forked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from cloudo_kernel.models import Execution, StartExecution, Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.worker.worker import Worker
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow
from tests.server import until

Start = Callable[..., str]
#: It takes every error of a call for a failure of what was asked for.
CREDULOUS = """
import os, pathlib
this.set_output('pid', os.getpid())
try:
    {call}
except Exception as error:
    pathlib.Path('mistaken').write_text(repr(error))
"""
CALLS = ("this.flow('endless')", "this.sleep(60)", "system.message('Who?', request='Your name').wait()")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.create()
    write_flow(tmp_path, "endless", "import time\nwhile True: time.sleep(0.1)")
    return workspace


@pytest.fixture
def worker(store: Store, workspace: Workspace) -> Iterator[Worker]:
    worker = Worker(store, Catalog(workspace), linger_seconds=0.1)
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def start(api: Service, workspace: Workspace, worker: Worker) -> Start:
    """Write a flow and start it."""
    del worker

    def start(source: str, **metadata: object) -> str:
        write_flow(workspace.root, "flow", source, metadata=metadata)
        return api.start_execution(StartExecution(flow_name="flow")).id

    return start


def ended(api: Service, execution_id: str) -> Execution:
    return api.wait(execution_id, timeout=timedelta(seconds=60))


def until_waiting(api: Service, execution_id: str) -> None:
    until(lambda: api.execution(execution_id).status is Status.WAITING, seconds=60)


@pytest.mark.parametrize("call", CALLS)
def test_a_cancel_is_not_taken_for_a_failure_of_what_was_waited_for(
    api: Service, workspace: Workspace, start: Start, call: str
) -> None:
    execution_id = start(CREDULOUS.format(call=call))
    until_waiting(api, execution_id)
    api.cancel_execution(execution_id)
    assert ended(api, execution_id).status is Status.ENDED_CANCELLED
    assert not (workspace.flows / "mistaken").exists()


@pytest.mark.parametrize("call", CALLS)
def test_nor_is_the_end_of_the_processes_of_a_durable_flow(
    api: Service, workspace: Workspace, start: Start, call: str
) -> None:
    execution_id = start(CREDULOUS.format(call=call), durable=True)
    until_waiting(api, execution_id)
    until(lambda: not psutil.pid_exists(api.execution(execution_id).output_value["pid"]))
    assert api.execution(execution_id).status is Status.WAITING
    assert not (workspace.flows / "mistaken").exists()


def test_a_worker_that_stops_is_not_taken_for_a_failure_either(
    api: Service, store: Store, workspace: Workspace
) -> None:
    worker = Worker(store, Catalog(workspace))
    worker.start()
    write_flow(workspace.root, "flow", CREDULOUS.format(call=CALLS[0]))
    execution_id = api.start_execution(StartExecution(flow_name="flow")).id
    try:
        until_waiting(api, execution_id)
    finally:
        worker.stop()
    assert api.execution(execution_id).message == "server stopped"
    assert not (workspace.flows / "mistaken").exists()


def test_a_process_that_a_flow_forks_has_no_this_and_says_so(api: Service, start: Start) -> None:
    source = """
import multiprocessing

def say(number):
    try:
        this.set_output("number", number)
    except Exception as error:
        return str(error)

with multiprocessing.get_context("fork").Pool(1) as pool:
    this.set_output("said", pool.map_async(say, [1]).get(20))
"""
    record = ended(api, start(source))
    assert record.status is Status.ENDED_SUCCESS, record
    assert record.output_value.keys() == {"said"}
    assert "only the flow's own process has `this`" in record.output_value["said"][0]


def test_threads_of_a_flow_that_is_not_durable_may_use_this(api: Service, start: Start) -> None:
    source = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    list(pool.map(this.log, range(200)))
    pool.submit(this.set_output, "done", True).result()
"""
    record = ended(api, start(source))
    assert record.output_value == {"done": True}
    assert sorted(int(line.text) for line in record.log or ()) == list(range(200))


@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        ("this.set_output('big', 'x' * 20_000_000)", "MalformedRequest", "at most 17 MB are kept"),
        ("this.set_output('big', 'x' * 100_000_000)", "TooLarge", "at most 67 MB go at once"),
        ("this.script('1', data='x' * 100_000_000)", "TooLarge", "Write large values to a file"),
    ],
)
def test_what_is_too_large_is_an_error_that_says_what_to_do(
    api: Service, start: Start, source: str, name: str, said: str
) -> None:
    record = ended(api, start(source))
    assert record.error is not None
    assert record.error.name == name
    assert said in record.error.value


def test_an_endless_line_of_the_log_is_cut(api: Service, start: Start) -> None:
    [line] = ended(api, start("this.log('x' * 1_000_000)")).log or ()
    assert line.text.endswith("x… (900,000 characters more)")
    assert len(line.text) < 110_000
