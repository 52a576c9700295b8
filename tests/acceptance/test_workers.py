"""Workers as processes: killed, stopped, several at once; over one real store."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest

import cloudo_kernel as cloudo
from cloudo_kernel.cli.command import main as cli
from cloudo_kernel.models import ExecutionFilter, StartExecution, Status
from cloudo_kernel.service import Service
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.layout import Workspace
from tests import workers
from tests.flows import write_flow
from tests.server import run_processes, until
from tests.workers import StartWorker, Worker

MINUTE = timedelta(minutes=1)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.create()
    write_flow(
        tmp_path,
        "sleeping",
        "print('begun')",
        "import subprocess, time\nsubprocess.Popen(['sleep', '99'])\ntime.sleep(99)",
    )
    return workspace


@pytest.fixture
def start_worker(workspace: Workspace) -> Iterator[StartWorker]:
    started: list[Worker] = []

    def start_worker(*options: str) -> Worker:
        started.append(workers.start_worker(workspace.root, *options))
        return started[-1]

    yield start_worker
    for worker in started:
        workers.end_worker(worker)


def is_in_its_last_cell(api: Service, execution_id: str) -> bool:
    return api.execution(execution_id).progress.done == 1


def start(api: Service, flow_name: str = "sleeping") -> str:
    return api.start_execution(StartExecution(flow_name=flow_name)).id


def test_a_killed_worker_takes_its_runs_along_and_the_next_one_says_so(
    workspace: Workspace, store: Store, api: Service, start_worker: StartWorker
) -> None:
    api.save_setting(MAX_RUNNING, 1)
    worker = start_worker()
    lost, pending = start(api), start(api)
    until(lambda: is_in_its_last_cell(api, lost), seconds=60)
    worker.kill()
    until(lambda: not run_processes(workspace.root), seconds=2, what=lambda: str(run_processes(workspace.root)))
    assert api.execution(lost).status is Status.RUNNING  # nobody was there to see it
    start_worker()
    record = api.wait(lost, timeout=MINUTE)
    assert record.status is Status.ENDED_ERROR
    assert record.error is not None
    assert record.error.name == "WorkerLost"
    assert "begun" in api.execution_notebook(lost)
    until(lambda: is_in_its_last_cell(api, pending), seconds=60)
    kinds = [event.type for event in store.events.after(0, limit=500)]
    assert kinds.count("WorkerLost") == 1


def test_a_worker_stopped_by_ctrl_c_cancels_what_runs_and_keeps_what_is_pending(
    workspace: Workspace, api: Service, start_worker: StartWorker
) -> None:
    api.save_setting(MAX_RUNNING, 1)
    worker = start_worker()
    running, pending = start(api), start(api)
    until(lambda: is_in_its_last_cell(api, running), seconds=60)
    worker.send_signal(signal.SIGINT)
    assert worker.wait(timeout=30) == 0
    record = api.execution(running)
    assert (record.status, record.message) == (Status.ENDED_CANCELLED, "server stopped")
    assert api.execution(pending).status is Status.PENDING
    assert run_processes(workspace.root) == []
    assert api.health().workers == 0


def test_two_workers_share_the_queue_and_run_each_execution_once(
    workspace: Workspace, api: Service, start_worker: StartWorker
) -> None:
    marks = workspace.root / "marks"
    write_flow(workspace.root, "marking", f"open({str(marks)!r}, 'a').write(this.get('id') + '\\n')")
    start_worker("--slots", "2")
    start_worker("--slots", "2")
    ids = [start(api, "marking") for _ in range(8)]
    for execution_id in ids:
        assert api.wait(execution_id, timeout=2 * MINUTE).status is Status.ENDED_SUCCESS
    assert sorted(marks.read_text().split()) == sorted(ids)


@pytest.mark.db
def test_a_rolling_restart_under_load_loses_and_doubles_nothing(
    workspace: Workspace, api: Service, start_worker: StartWorker, capsys: pytest.CaptureFixture[str]
) -> None:
    marks, go = workspace.root / "marks", workspace.root / "go"
    mark = f"open({str(marks)!r}, 'a').write(this.get('id') + '\\n')"
    write_flow(workspace.root, "marking", mark)
    write_flow(
        workspace.root, "long", mark, f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)"
    )

    def drain(worker: Worker) -> Thread:
        [name] = [one.name for one in api.workers() if one.pid == worker.pid]
        thread = Thread(target=cli, args=(["--workspace", str(workspace.root), "worker", "--drain", name],))
        thread.start()
        until(lambda: any(one.draining for one in api.workers() if one.name == name))
        return thread

    api.save_setting(MAX_RUNNING, 4)
    first = start_worker()
    ids = [start(api, "long")]
    until(lambda: is_in_its_last_cell(api, ids[0]), seconds=60)
    second = start_worker()
    ids += [start(api, "marking") for _ in range(30)]
    drains = [drain(first), drain(second)]  # no worker takes any more
    assert second.wait(timeout=60) == 0
    assert first.poll() is None  # it has the long one
    ids += [start(api, "marking") for _ in range(10)]
    assert api.execution(ids[-1]).status is Status.PENDING
    start_worker()
    for execution_id in ids[1:]:
        assert api.wait(execution_id, timeout=2 * MINUTE).status is Status.ENDED_SUCCESS
    assert first.poll() is None
    go.touch()
    assert first.wait(timeout=60) == 0
    for thread in drains:
        thread.join()
    records = [api.execution(one) for one in ids]
    assert {(one.status, one.attempt) for one in records} == {(Status.ENDED_SUCCESS, 1)}
    assert sorted(marks.read_text().split()) == sorted(ids)
    assert cli(["--workspace", str(workspace.root), "worker", "--drain", "elsewhere:1"]) == 1
    assert "--drain: there is no worker 'elsewhere:1'. Live workers: " in capsys.readouterr().err


@pytest.mark.db
def test_a_flow_that_requires_a_label_waits_for_a_worker_that_has_it(
    workspace: Workspace, api: Service, start_worker: StartWorker, capsys: pytest.CaptureFixture[str]
) -> None:
    write_flow(workspace.root, "plain", "1")
    write_flow(workspace.root, "training", "1", metadata={"requires": ["gpu"]})
    write_flow(workspace.root, "parent", "this.flow('training')")
    plain_worker = start_worker("--label", "cpu")
    waiting, plain = start(api, "training"), start(api, "plain")
    write_flow(workspace.root, "training", "1", metadata={"requires": ["moon"]})  # its start has decided
    parent = start(api, "parent")
    assert api.wait(plain, timeout=MINUTE).status is Status.ENDED_SUCCESS
    record = api.execution(waiting)
    assert (record.status, record.message) == (Status.PENDING, "waiting for a worker with: gpu")
    assert record.requires == ("gpu",)
    target = ["--workspace", str(workspace.root)]
    assert cli([*target, "executions", "--flow", "training"]) == cli([*target, "show", waiting]) == 0
    assert capsys.readouterr().out.count("waiting for a worker with: gpu") == 2
    assert cli([*target, "worker", "--label", "GPU"]) == 1
    assert "--label: 'GPU' is not a label" in capsys.readouterr().err
    start_worker("--label", "gpu", "--label", "big")
    assert api.wait(waiting, timeout=MINUTE).status is Status.ENDED_SUCCESS
    assert [worker.labels for worker in api.workers() if worker.pid != plain_worker.pid] == [("big", "gpu")]
    until(lambda: bool(api.executions(ExecutionFilter(parent_id=parent)).items), seconds=60)
    [child] = api.executions(ExecutionFilter(parent_id=parent)).items
    assert child.message == "waiting for a worker with: moon"
    api.cancel_execution(parent)


def test_a_parent_that_waits_does_not_take_the_only_slot_of_its_worker(
    workspace: Workspace, api: Service, start_worker: StartWorker
) -> None:
    write_flow(workspace.root, "child", "1")
    write_flow(workspace.root, "parent", "this.flow('child')")
    start_worker("--slots", "1")
    assert api.wait(start(api, "parent"), timeout=MINUTE).status is Status.ENDED_SUCCESS


def test_a_private_worker_that_dies_is_followed_by_another(workspace: Workspace) -> None:
    write_flow(workspace.root, "quick", "this.set_output('ok', 1)")
    system = cloudo.connect(str(workspace.root))
    system.api.save_setting(MAX_RUNNING, 1)
    lost = system.flow("sleeping").start()
    pending = system.flow("quick").start()
    until(lambda: lost.load("progress").done == 1, seconds=60)
    system.api._worker.kill()
    assert lost.wait(60).record.error.name == "WorkerLost"
    assert pending.wait(60).outputs == {"ok": 1}
    system.api.close()
