"""Warm processes that die before a cell has begun: the run gets others, and nobody notices."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudo_kernel.client import Client
from cloudo_kernel.models import Execution, StartExecution, Status
from cloudo_kernel.processes.zygotes import Zygotes
from cloudo_kernel.worker.runner_pool import RunnerPool
from cloudo_kernel.worker.socket_dirs import SocketDirs
from tests.flows import notebook
from tests.server import WITHOUT_LAB, RunningServer, Servers, until
from tests.workers import is_alive

#: A module to preload. zmq retries a connection after 0.1 to 0.2 s, each socket by itself. With these delays the
#: kernel's control socket and its outputs are connected before the shell socket is, as happens on a busy machine.
SLOW_TO_CONNECT = """
import time
from ipykernel.kernelapp import IPKernelApp
from jupyter_client import BlockingKernelClient

def late(call, seconds):
    def delayed(self, *args, **options):
        time.sleep(seconds)
        return call(self, *args, **options)
    return delayed

IPKernelApp.init_sockets = late(IPKernelApp.init_sockets, 0.145)
BlockingKernelClient.connect_control = late(BlockingKernelClient.connect_control, 0.2)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, temporary: Path) -> Iterator[RunningServer]:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        yield servers.start(config={"Cloudo": {"preload": []}}, environment={"TMPDIR": str(temporary)})


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's folder of temporary files."""
    return tmp_path_factory.mktemp("t")


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    client = server.client()
    yield client
    client.close()


def start(api: Client) -> str:
    source = "import psutil\nme = psutil.Process()\nthis.set_output('names', [me.name(), me.parent().name()])"
    return api.start_execution(StartExecution(script=source)).id


def zygote(server: RunningServer) -> psutil.Process:
    found: list[psutil.Process] = []

    def is_there() -> bool:
        found[:] = [one for one in psutil.Process(server.process.pid).children() if one.name() == "cloudo-zygote"]
        return len(found) == 1

    until(is_there)
    return found[0]


def standing_by(server: RunningServer, api: Client, temporary: Path) -> list[psutil.Process]:
    """Return the two runners that stand by, connected to their kernels."""
    api.wait(start(api), timeout=timedelta(minutes=1))
    found: list[psutil.Process] = []

    def are_there() -> bool:
        found[:] = [one for one in zygote(server).children() if one.name() == "cloudo-standby"]
        # Who is connected needs the names of its sockets no more.
        return len(found) == 2 and all(kernel_of(one) for one in found) and not list(temporary.glob("cloudo-run-*/*"))

    until(are_there)
    return found


def kernel_of(runner: psutil.Process) -> psutil.Process | None:
    return next((one for one in runner.children() if one.name() == "cloudo-kernel"), None)


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has died with its parent
            process.kill()


def check(api: Client, execution_id: str, *, seconds: float = 60) -> None:
    """Check that it ran once, warm, and succeeded."""
    record: Execution = api.wait(execution_id, timeout=timedelta(seconds=seconds))
    assert (record.status, record.attempt) == (Status.ENDED_SUCCESS, 1), record.error
    assert record.output_value == {"names": ["cloudo-kernel", "cloudo-run"]}


def test_kernels_that_died_while_they_stood_by_are_not_used(
    server: RunningServer, api: Client, temporary: Path
) -> None:
    kill([kernel for runner in standing_by(server, api, temporary) if (kernel := kernel_of(runner))])
    check(api, start(api))


def test_a_kernel_that_dies_at_its_assignment_is_followed_by_another(
    server: RunningServer, api: Client, temporary: Path
) -> None:
    runners = standing_by(server, api, temporary)
    kernels = [kernel for runner in runners if (kernel := kernel_of(runner))]
    for kernel in kernels:
        kernel.suspend()
    started = start(api)
    until(lambda: any(runner.name() == "cloudo-run" for runner in runners))
    kill(kernels)
    check(api, started)


def test_a_runner_that_dies_at_its_assignment_is_followed_by_another(
    server: RunningServer, api: Client, temporary: Path
) -> None:
    runners = standing_by(server, api, temporary)
    for runner in runners:
        runner.suspend()
    started = start(api)
    until(lambda: api.execution(started).started_at is not None)
    kill(runners)
    check(api, started)


def test_a_zygote_that_dies_at_an_assignment_is_followed_by_another(
    server: RunningServer, api: Client, temporary: Path
) -> None:
    runners = standing_by(server, api, temporary)
    before = zygote(server)
    before.suspend()  # it cannot tell that its runners are dead
    kill(runners)
    started = start(api)
    until(lambda: api.execution(started).status is Status.RUNNING)
    before.kill()
    check(api, started)


def test_a_file_in_the_folder_of_the_server_is_no_change_of_its_environment(server: RunningServer, api: Client) -> None:
    before = zygote(server)
    (server.workspace / "new.txt").touch()  # the server was started there with `python -m`
    check(api, start(api))
    assert zygote(server) == before


def test_who_waits_for_a_zygote_that_dies_meanwhile_gets_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudo_kernel.processes.zygotes._DISAPPOINTED_SECONDS", 0.0)
    zygotes = Zygotes(())
    try:
        assert zygotes.get() is None  # it warms up
        _newest_zygote().kill()
        found = zygotes.get(wait_seconds=60)
        assert found is not None
        assert found.is_ready
    finally:
        zygotes.close()


def test_a_start_waits_for_zygotes_up_to_a_limit_in_all_and_then_starts_cold(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr("cloudo_kernel.processes.zygotes._DISAPPOINTED_SECONDS", 0.0)
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("t")))
    zygotes, sockets = Zygotes(()), SocketDirs()
    pool = RunnerPool(zygotes, sockets)
    try:
        ready = zygotes.get(wait_seconds=60)
        assert ready is not None
        psutil.Process(ready.pid).suspend()  # it takes requests, and never answers
        assert _seconds_of_cold_start(pool) < 6
        psutil.Process(ready.pid).kill()
        until(lambda: ready.is_dead)
        assert zygotes.get() is None  # the next one warms up
        _newest_zygote().suspend()
        assert _seconds_of_cold_start(pool) < 6
    finally:
        zygotes.close()
        pool.close()
        sockets.close()


def _seconds_of_cold_start(pool: RunnerPool) -> float:
    """Take a runner with a limit of 2 s; return how long that took."""
    began = time.monotonic()
    runner = pool.take(wait_seconds=2.0)
    seconds = time.monotonic() - began
    assert runner.zygote is None
    runner.close()
    return seconds


def _newest_zygote() -> psutil.Process:
    """Return the zygote that was started last: tests before this one may have left another in this process."""
    children = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return max((one for one in children if "cloudo_kernel.processes" in one.cmdline()), key=psutil.Process.create_time)


def test_killed_processes_leave_no_folders_of_sockets(tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("short")  # else there is no room for sockets
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        config: dict[str, Any] = {"Cloudo": {"preload": []}}
        environment = {"TMPDIR": str(tmp_path)}
        server = servers.start(config=config, environment=environment)
        with server.client() as api:
            cold = notebook("this.set_output('began', 1)\nimport time\ntime.sleep(99)", metadata={"engine": "cold"})
            started = api.start_execution(StartExecution(script=cold)).id
            until(lambda: api.execution(started).output_value, seconds=60)
            [own] = tmp_path.glob("cloudo-run-*")
            assert own.stat().st_mode & 0o777 == 0o700
            until(lambda: len(list(own.iterdir())) == 1)  # of the one that runs; the others are connected
            kill([one for one in zygote(server).children() if one.name() == "cloudo-standby"])
            [runner] = [one for one in psutil.Process(server.process.pid).children() if _is_runner(one)]
            runner.kill()
            api.wait(started, timeout=timedelta(minutes=1))
            until(lambda: not list(own.iterdir()))
        server.stop(signal.SIGKILL)
        assert own.exists()
        other = servers.start(server.workspace, config=config, environment=environment)
        until(lambda: len(list(tmp_path.glob("cloudo-run-*"))) == 1 and not own.exists())
        other.stop()
        assert not list(tmp_path.iterdir())


def _is_runner(process: psutil.Process) -> bool:
    return process.status() != psutil.STATUS_ZOMBIE and "cloudo_kernel.runner" in process.cmdline()


def test_a_kernel_that_is_started_cold_dies_with_a_runner_that_is_killed_meanwhile(
    server: RunningServer, api: Client
) -> None:
    cold = notebook("import time\ntime.sleep(99)", metadata={"engine": "cold"})
    killed: set[int] = set()
    for _ in range(2):
        started = api.start_execution(StartExecution(script=cold)).id
        kernel = first_child_of_a_cold_runner(server, killed)
        killed.add(kernel.ppid())
        psutil.Process(kernel.ppid()).kill()
        until(lambda kernel=kernel: not is_alive(kernel), seconds=10)  # type: ignore[misc]  # mypy cannot infer it
        api.cancel_execution(started)
        api.wait(started, timeout=timedelta(minutes=1))


def first_child_of_a_cold_runner(server: RunningServer, but_of: set[int]) -> psutil.Process:
    """Return the kernel of a runner that was started cold, in the moment in which it is there."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        for runner in psutil.Process(server.process.pid).children():
            with contextlib.suppress(psutil.Error):
                if "cloudo_kernel.runner" in runner.cmdline() and runner.pid not in but_of:
                    found.extend(runner.children())
        return bool(found)

    until(is_there)
    return found[0]


def test_a_socket_that_is_slow_to_connect_is_waited_for(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "slow_to_connect.py").write_text(SLOW_TO_CONNECT)
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        server = servers.start(
            config={"Cloudo": {"preload": ["slow_to_connect"]}}, environment={"PYTHONPATH": str(tmp_path)}
        )
        with server.client() as api:
            check(api, start(api), seconds=30)
