"""A worker that has no descriptor, or no thread, left to start a run with."""

from __future__ import annotations

import resource
from datetime import timedelta

import psutil
import pytest

from cloudo_kernel.models import Status
from cloudo_kernel.service import Service
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.layout import Workspace
from tests.faults.conftest import begun, events, start
from tests.server import until
from tests.workers import StartWorker


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere one process cannot limit another")
def test_a_worker_without_descriptors_puts_runs_back_until_it_has_some(
    workspace: Workspace, store: Store, api: Service, start_worker: StartWorker
) -> None:
    worker = psutil.Process(start_worker().pid)
    [before] = store.workers.all()
    limits = worker.rlimit(resource.RLIMIT_NOFILE)
    worker.rlimit(resource.RLIMIT_NOFILE, (worker.num_fds(), limits[1]))
    execution_id = start(api, "quick")
    until(lambda: "ExecutionRequeued" in events(store, execution_id))
    until(lambda: store.workers.all()[0].heartbeat > before.heartbeat + 2)
    worker.rlimit(resource.RLIMIT_NOFILE, limits)
    ended = api.wait(execution_id, timeout=timedelta(minutes=1))
    assert ended.status is Status.ENDED_SUCCESS, ended.error
    assert begun(workspace) == [execution_id]


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere one process cannot limit another")
def test_a_worker_without_threads_puts_runs_back_until_it_has_some_and_says_so_once(
    workspace: Workspace, store: Store, api: Service, start_worker: StartWorker
) -> None:
    worker = psutil.Process(start_worker().pid)
    log = workspace.state / "worker-errors.log"
    api.save_setting(MAX_RUNNING, 8)
    assert api.wait(start(api, "quick"), timeout=timedelta(minutes=1)).status is Status.ENDED_SUCCESS
    [before] = store.workers.all()
    limits = worker.rlimit(resource.RLIMIT_AS)
    worker.rlimit(resource.RLIMIT_AS, (worker.memory_info().vms + 4 * 2**20, limits[1]))  # no room for a stack
    ids = [start(api, "waiting") for _ in range(8)]  # more than the stacks that the system keeps for reuse
    until(lambda: sum(events(store, one).count("ExecutionRequeued") for one in ids) > 3, seconds=60)
    until(lambda: store.workers.all()[0].heartbeat > before.heartbeat + 2, seconds=60)
    worker.rlimit(resource.RLIMIT_AS, limits)
    (workspace.root / "go").touch()
    for one in ids:
        ended = api.wait(one, timeout=timedelta(minutes=1))
        assert ended.status is Status.ENDED_SUCCESS, ended.error
    assert sorted(begun(workspace)[1:]) == sorted(ids)
    until(lambda: "works again." in log.read_text())
    text = log.read_text()
    assert "can't start new thread" in text
    assert text.count("fails and is retried") <= 4, text
