"""Workers that stand still, clocks that are moved, and servers that share a store."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from cloudo_kernel.models import StartExecution, Status
from cloudo_kernel.processes import liveness
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.layout import Workspace
from tests.faults.conftest import begun, events, start
from tests.server import RunningServer, run_processes, until
from tests.workers import StartWorker

MINUTE = timedelta(minutes=1)


def heartbeats(store: Store) -> dict[int, int]:
    return {worker.pid: worker.heartbeat for worker in store.workers.all()}


def test_two_servers_on_one_store_run_each_execution_once(
    workspace: Workspace, api: Service, start_server: Callable[..., RunningServer]
) -> None:
    servers = [start_server(workspace.root) for _ in range(2)]
    clients = [server.client() for server in servers]
    ids = [clients[number % 2].start_execution(StartExecution(flow_name="quick")).id for number in range(8)]
    assert api.health().workers == 2
    for number, execution_id in enumerate(ids):
        ended = clients[1 - number % 2].wait(execution_id, timeout=MINUTE)
        assert (ended.status, ended.attempt) == (Status.ENDED_SUCCESS, 1), ended.error
    assert sorted(begun(workspace)) == sorted(ids)
    for client in clients:
        client.close()


def test_a_worker_that_stood_still_is_fenced_kills_what_it_ran_and_works_again(
    workspace: Workspace, store: Store, api: Service, start_worker: StartWorker
) -> None:
    sleeper = start_worker()
    lost = start(api, "endless")
    until(lambda: begun(workspace) == [lost], seconds=60)
    [sleepers_id] = [worker.id for worker in store.workers.all()]
    other = start_worker()
    sleeper.send_signal(signal.SIGSTOP)
    ended = api.wait(lost, timeout=MINUTE)
    assert ended.error is not None
    assert ended.error.name == "WorkerLost"
    assert api.wait(start(api, "quick"), timeout=MINUTE).status is Status.ENDED_SUCCESS  # the other one goes on
    assert run_processes(workspace.root), "what it ran is out of the others' reach"
    sleeper.send_signal(signal.SIGCONT)
    until(lambda: sleeper.pid in heartbeats(store))
    until(lambda: not run_processes(workspace.root))
    assert not liveness.is_dead(workspace.state, sleepers_id)
    assert (workspace.state / "workers" / f"{sleepers_id}.lock").exists()
    other.send_signal(signal.SIGTERM)
    assert other.wait(timeout=30) == 0
    assert api.wait(start(api, "quick"), timeout=MINUTE).status is Status.ENDED_SUCCESS
    assert events(store, sleepers_id) == ["WorkerStarted", "WorkerLost", "WorkerStarted"]
    assert events(store, lost) == ["ExecutionCreated", "ExecutionStarted", "ExecutionChanged", "ExecutionEnded"]
    assert api.execution(lost) == ended
    assert begun(workspace).count(lost) == 1


def test_what_a_stopped_worker_had_not_begun_is_run_by_another_one_once(
    workspace: Workspace, store: Store, api: Service, start_worker: StartWorker
) -> None:
    sleeper = start_worker()
    until(lambda: sleeper.pid in heartbeats(store))
    execution_id = start(api, "quick")
    until(lambda: api.execution(execution_id).status is Status.RUNNING)  # its runner takes a second to begin
    sleeper.send_signal(signal.SIGSTOP)
    assert api.execution(execution_id).started_at is None
    other = start_worker()
    ended = api.wait(execution_id, timeout=MINUTE)
    assert (ended.status, ended.attempt) == (Status.ENDED_SUCCESS, 2)
    sleeper.send_signal(signal.SIGCONT)
    until(lambda: not run_processes(workspace.root))
    until(lambda: heartbeats(store).keys() == {sleeper.pid, other.pid})
    assert begun(workspace) == [execution_id]
    assert "ExecutionRequeued" in events(store, execution_id)
    assert api.execution(execution_id) == ended


@pytest.mark.parametrize("hours", [1, -1])
def test_moving_the_clock_takes_no_lease_away(
    tmp_path: Path, workspace: Workspace, store: Store, api: Service, start_worker: StartWorker, hours: int
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    moved = start_worker("--clock", str(clock))
    execution_id = start(api, "waiting")
    until(lambda: begun(workspace), seconds=60)
    start_worker()  # its clock is right; it watches the other one
    clock.write_text(str(hours * 3600))
    before = heartbeats(store)[moved.pid]
    until(lambda: heartbeats(store)[moved.pid] >= before + 4)  # longer than the lease
    (tmp_path / "go").touch()
    assert api.wait(execution_id, timeout=MINUTE).status is Status.ENDED_SUCCESS
    assert "WorkerLost" not in events(store)
