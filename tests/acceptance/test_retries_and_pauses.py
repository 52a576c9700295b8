"""Runs that fail and are tried again, runs that are paused: a worker and kernels, all real, in this process."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

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
#: A cell that runs until there is a file `go`.
UNTIL_GO = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.create()
    return workspace


@pytest.fixture
def worker(store: Store, workspace: Workspace) -> Iterator[Worker]:
    worker = Worker(store, Catalog(workspace))
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def start(api: Service, workspace: Workspace, worker: Worker) -> Start:
    """Write a flow and start it."""

    def start(*sources: str, **metadata: object) -> str:
        write_flow(workspace.root, "flow", *sources, metadata=metadata)
        return api.start_execution(StartExecution(flow_name="flow")).id

    return start


def ended(api: Service, execution_id: str) -> Execution:
    return api.wait(execution_id, timeout=timedelta(seconds=60))


def until_status(api: Service, execution_id: str, status: Status) -> None:
    until(
        lambda: api.execution(execution_id).status is status,
        seconds=60,
        what=lambda: str(api.execution(execution_id)),
    )


def until_in_cell(api: Service, execution_id: str) -> None:
    until(lambda: api.execution(execution_id).message == "in its cell", seconds=60)


def go(workspace: Workspace) -> None:
    (workspace.flows / "go").touch()


# Retries


def test_a_flow_that_fails_is_tried_again_until_it_succeeds(api: Service, start: Start) -> None:
    source = "attempt = this.get('attempt')\nthis.set_output(f'attempt {attempt}', 1)"
    fails = "if attempt < 3: raise ValueError('boom')"
    record = ended(api, start(source, fails, retries=2, retry_delay_seconds=0.2))
    assert (record.status, record.attempt, record.error) == (Status.ENDED_SUCCESS, 3, None)
    assert record.output_value == {"attempt 3": 1}
    assert [line.text for line in record.log or ()] == [
        "Attempt 1 failed (ValueError: boom); trying again in 0.2 s",
        "Attempt 2 failed (ValueError: boom); trying again in 0.4 s",
    ]


@pytest.mark.parametrize(
    ("source", "error"),
    [("import os\nos._exit(3)", "KernelDied"), ("import os\nos.kill(os.getppid(), 9)", "KernelDied")],
)
def test_a_kernel_or_a_runner_that_dies_uses_up_a_retry(api: Service, start: Start, source: str, error: str) -> None:
    record = ended(api, start(f"if this.get('attempt') == 1:\n    {source.replace(chr(10), '; ')}", retries=1))
    assert (record.status, record.attempt) == (Status.ENDED_SUCCESS, 2)
    assert error in (record.log or ())[0].text


def test_a_timeout_uses_up_a_retry_and_each_attempt_has_the_whole_time(api: Service, start: Start) -> None:
    record = ended(api, start("import time\ntime.sleep(60)", retries=1, timeout_seconds=3))
    assert (record.status, record.attempt) == (Status.ENDED_ERROR, 2)
    assert record.error is not None
    assert record.error.name == "Timeout"
    assert record.started_at is not None
    assert record.ended_at is not None
    assert record.ended_at - record.started_at > timedelta(seconds=1)


def test_a_waiting_run_past_its_limit_ends_with_its_children(api: Service, workspace: Workspace, start: Start) -> None:
    write_flow(workspace.root, "child", "import time\ntime.sleep(60)")
    parent = start("this.wait_for(this.flow('child', wait=False))", timeout_seconds=6)
    until_status(api, parent, Status.WAITING)
    record = ended(api, parent)
    assert record.error is not None
    assert record.error.name == "Timeout"
    [child] = [one for one in api.executions().items if one.parent_id == parent]
    child = ended(api, child.id)
    assert (child.status, child.message) == (Status.ENDED_CANCELLED, "its parent ended")


def test_a_worker_that_is_stopped_keeps_what_has_a_retry_left(api: Service, store: Store, workspace: Workspace) -> None:
    write_flow(
        workspace.root, "slow", "this.save(message='in its cell')\nimport time\ntime.sleep(60)", metadata={"retries": 1}
    )
    worker = Worker(store, Catalog(workspace))
    worker.start()
    execution_id = api.start_execution(StartExecution(flow_name="slow")).id
    until_in_cell(api, execution_id)
    worker.stop()
    record = api.execution(execution_id)
    assert (record.status, record.message) == (Status.PENDING, "server stopped")


# Pauses


def test_a_running_one_pauses_between_two_cells_and_goes_on_in_the_same_kernel(
    api: Service, workspace: Workspace, start: Start
) -> None:
    execution_id = start(
        f"this.save(message='in its cell')\nkept = 42\nprint('first')\n{UNTIL_GO}", "this.set_output('kept', kept)"
    )
    until_in_cell(api, execution_id)
    assert api.pause_execution(execution_id).status is Status.RUNNING
    go(workspace)
    until_status(api, execution_id, Status.PAUSED)
    record = api.execution(execution_id)
    assert (record.progress.done, record.output_value, record.message) == (1, {}, "in its cell")
    assert record.progress.cell == "this.set_output('kept', kept)"  # where it goes on
    assert '"first\\n"' in api.execution_notebook(execution_id)  # what was put out so far is there to be read
    assert api.health().running == 0
    api.resume_execution(execution_id)
    record = ended(api, execution_id)
    assert (record.status, record.attempt, record.output_value) == (Status.ENDED_SUCCESS, 1, {"kept": 42})


@pytest.fixture
def paused(
    api: Service, workspace: Workspace, start: Start, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], dict[str, Any]]:
    """Start an execution, pause it between its cells, and return its id, its runner's and its kernel's.

    Nobody looks after it now and then: what happens to it has to be told.
    """
    monkeypatch.setattr("cloudo_kernel.worker.run_supervisor._PAUSE_SECONDS", 3600.0)
    monkeypatch.setattr("cloudo_kernel.worker.waits._POLL_INTERVAL_SECONDS", 3600.0)

    def paused() -> dict[str, Any]:
        first = "import os\nthis.set_output('kernel', os.getpid())\nthis.set_output('runner', os.getppid())"
        execution_id = start(f"{first}\nthis.save(message='in its cell')\n{UNTIL_GO}", "this.set_output('done', 1)")
        until_in_cell(api, execution_id)
        api.pause_execution(execution_id)
        go(workspace)
        until_status(api, execution_id, Status.PAUSED)
        return {"id": execution_id, **api.execution(execution_id).output_value}

    return paused


def test_a_paused_one_is_cancelled_at_once_and_leaves_no_process(api: Service, paused: Callable[[], Any]) -> None:
    one = paused()
    api.cancel_execution(one["id"])
    record = ended(api, one["id"])
    assert (record.status, record.message) == (Status.ENDED_CANCELLED, "cancelled by ada")
    until(lambda: not psutil.pid_exists(one["kernel"]) and not psutil.pid_exists(one["runner"]))


@pytest.mark.parametrize(("victim", "why"), [("kernel", "killed by SIGKILL"), ("runner", "signal 9")])
def test_a_paused_one_whose_process_dies_ends_at_once(
    api: Service, paused: Callable[[], Any], victim: str, why: str
) -> None:
    one = paused()
    psutil.Process(one[victim]).send_signal(signal.SIGKILL)
    record = ended(api, one["id"])
    assert record.error is not None
    assert record.error.name == "KernelDied"
    assert why in record.error.value


def test_a_paused_one_ends_at_its_time_limit(api: Service, workspace: Workspace, start: Start) -> None:
    execution_id = start("1", "2", timeout_seconds=5)
    until_status(api, execution_id, Status.RUNNING)
    api.pause_execution(execution_id)
    until_status(api, execution_id, Status.PAUSED)
    record = ended(api, execution_id)
    assert record.error is not None
    assert record.error.name == "Timeout"


def test_a_paused_parent_stays_paused_when_its_child_has_ended(
    api: Service, workspace: Workspace, start: Start
) -> None:
    write_flow(workspace.root, "child", UNTIL_GO)
    parent = start("this.flow('child')", "this.set_output('done', 1)")
    until_status(api, parent, Status.WAITING)
    assert api.pause_execution(parent).status is Status.PAUSED
    go(workspace)
    [child] = [one for one in api.executions().items if one.parent_id == parent]
    assert ended(api, child.id).status is Status.ENDED_SUCCESS
    record = api.wait(parent, timeout=timedelta(seconds=1.5))  # longer than any look at the store
    assert (record.status, record.message) == (Status.PAUSED, "waiting for child")
    api.resume_execution(parent)
    assert ended(api, parent).output_value == {"done": 1}


def test_a_flow_pauses_itself_and_others(api: Service, workspace: Workspace, start: Start) -> None:
    write_flow(workspace.root, "child", UNTIL_GO)
    execution_id = start(
        "child = this.flow('child', wait=False)\nchild.pause()\nthis.pause()",
        "child.cancel()\nthis.set_output('again', child.wait().retry().pause().status)",
    )
    until_status(api, execution_id, Status.PAUSED)
    api.resume_execution(execution_id)
    record = ended(api, execution_id)
    assert record.error is None, record
    assert record.output_value["again"] in ("PAUSED", "RUNNING")


# The queue


def test_a_flow_keeps_to_its_own_limit_while_others_run(api: Service, workspace: Workspace, worker: Worker) -> None:
    write_flow(workspace.root, "narrow", UNTIL_GO, metadata={"max_running": 1})
    write_flow(workspace.root, "wide", "1")
    narrow = [api.start_execution(StartExecution(flow_name="narrow")).id for _ in range(3)]
    wide = api.start_execution(StartExecution(flow_name="wide")).id
    assert ended(api, wide).status is Status.ENDED_SUCCESS
    states = [api.execution(one).status for one in narrow]
    assert states == [Status.RUNNING, Status.PENDING, Status.PENDING]
    go(workspace)
    records = [ended(api, one) for one in narrow]
    for before, after in itertools.pairwise(records):
        assert before.ended_at is not None
        assert after.started_at is not None
        assert before.ended_at <= after.started_at


def test_a_higher_priority_runs_first(api: Service, workspace: Workspace, store: Store) -> None:
    ids = []
    for priority in (-1, 0, 7):
        write_flow(workspace.root, f"flow{priority}", "1", metadata={"priority": priority})
        ids.append(api.start_execution(StartExecution(flow_name=f"flow{priority}")).id)
    store.workers.register("w1", private=False)
    assert [claim.id for claim in store.queue.claim("w1", free=3)] == ids[::-1]


# The limit of one worker


def most_at_once(store: Store) -> int:
    """Return how many were `RUNNING` at once, as the history tells it: each move and its event are one transaction."""
    running: set[str] = set()
    most = position = 0
    while events := store.events.after(position, limit=500):
        position = events[-1].id
        for event in events:
            if "status" in event.data:
                (running.add if event.data["status"] == Status.RUNNING else running.discard)(event.subject_id)
                most = max(most, len(running))
    return most


def test_the_limit_of_a_worker_holds_for_what_runs_again_and_blocks_nobody(
    api: Service, store: Store, workspace: Workspace
) -> None:
    write_flow(workspace.root, "child", "import time\ntime.sleep(0.05)")
    write_flow(
        workspace.root,
        "parent",
        "children = [this.flow('child', wait=False) for _ in range(3)]\nthis.wait_for(*children)",
        "this.sleep(0.1)\nimport time\ntime.sleep(0.05)",
    )
    worker = Worker(store, Catalog(workspace), slots=2)
    worker.start()
    try:
        parents = [api.start_execution(StartExecution(flow_name="parent")).id for _ in range(4)]
        api.pause_execution(parents[0])
        until_status(api, parents[0], Status.PAUSED)
        api.resume_execution(parents[0])
        assert {ended(api, one).status for one in parents} == {Status.ENDED_SUCCESS}
    finally:
        worker.stop()
    assert most_at_once(store) == 2


def test_a_retry_begins_without_the_results_of_the_failed_run(api: Service, start: Start) -> None:
    record = ended(
        api,
        start(
            "import pathlib\nis_first = not pathlib.Path('failed').exists()\npathlib.Path('failed').touch()",
            "this.show('first' if is_first else 'second', 1)\nassert not is_first",
            retries=1,
        ),
    )
    assert (record.status, record.attempt) == (Status.ENDED_SUCCESS, 2), record
    assert [one.name for one in api.execution_results(record.id)] == ["second"]
