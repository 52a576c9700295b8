"""A worker that has no descriptor left to start a run with."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable
from datetime import timedelta

import psutil
import pytest

from cloudo_kernel.models import Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace import Workspace
from tests.faults.conftest import begun, events, start
from tests.server import until


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere one process cannot limit another")
def test_a_worker_without_descriptors_puts_runs_back_until_it_has_some(
    workspace: Workspace, store: Store, api: Service, start_worker: Callable[..., subprocess.Popen[bytes]]
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
