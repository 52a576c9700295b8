"""No process is forgotten: what is started is reaped, also after an error."""

from __future__ import annotations

import gc
import sys
import threading
import warnings
from pathlib import Path

import psutil
import pytest

from cloudo_kernel.models import Origin, StartExecution, Status
from cloudo_kernel.processes.zygotes import Zygote
from cloudo_kernel.service.local import LocalService
from cloudo_kernel.worker.runner_process import RunnerProcess
from cloudo_kernel.worker.socket_dirs import SocketDirs
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow
from tests.server import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there are no zygotes elsewhere")


def children() -> set[int]:
    """Return the ids of this process's children, including those that wait to be reaped."""
    return {child.pid for child in psutil.Process().children()}


def test_a_cold_runner_that_is_closed_is_killed_and_reaped() -> None:
    before, sockets = children(), SocketDirs()
    runner = RunnerProcess.cold(sockets)
    assert len(children() - before) == 1
    runner.close()
    assert children() == before
    sockets.close()


def test_a_zygote_without_a_thread_to_listen_is_killed_and_reaped(monkeypatch: pytest.MonkeyPatch) -> None:
    before = children()

    def fail(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RuntimeError, match="new thread"):
        Zygote((), on_change=lambda: None)
    assert children() == before


def test_a_worker_that_is_left_to_finish_is_kept_until_it_has_ended(tmp_path: Path) -> None:
    write_flow(tmp_path, "quick", "1")
    before = children()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # `Popen` warns when it is dropped while its process runs
        first = left_to_finish(tmp_path)
        [worker] = children() - before
        gc.collect()
    until(lambda: psutil.Process(worker).status() == psutil.STATUS_ZOMBIE, seconds=60)
    second = left_to_finish(tmp_path)
    assert worker not in children(), "the end of the next service reaps it"
    until(lambda: all(psutil.Process(one).status() == psutil.STATUS_ZOMBIE for one in children() - before), seconds=60)
    service = LocalService(Workspace(tmp_path), trigger=Origin.API)
    assert [service.execution(one).status for one in (first, second)] == [Status.ENDED_SUCCESS] * 2
    service.close()


def left_to_finish(folder: Path) -> str:
    """Start an execution with a service that is closed at once; return its id."""
    service = LocalService(Workspace(folder), trigger=Origin.API, keep_running=True)
    execution_id = service.start_execution(StartExecution(flow_name="quick")).id
    service.close()
    return execution_id
