"""The commands `cloudo worker` and `cloudo up`: real processes, real workspaces, real kernels."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from cloudo_kernel.models import Status
from tests.acceptance.shell import ENDLESS, Shell, Up, end_of, living, opened_by, pending
from tests.flows import write_flow
from tests.server import free_port, until

pytestmark = pytest.mark.timeout(180)


def test_a_worker_runs_the_queue_until_ctrl_c(shell: Shell) -> None:
    pending(shell, "this.success('by a worker')")
    process = shell.start("worker", "--slots", "1")
    try:
        assert shell.until_status(Status.ENDED_SUCCESS).message == "by a worker"
        pending(shell, ENDLESS)
        shell.until_status(Status.RUNNING)
    finally:
        process.send_signal(signal.SIGINT)
        code = end_of(process)
    assert (code, shell.err) == (0, "")
    assert str(shell.workspace) in shell.out
    assert shell.until_status(Status.ENDED_CANCELLED).message == "server stopped"
    until(lambda: not living(shell))


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("--Cloudo.worker_labels=GPU", "c.Cloudo.worker_labels: 'GPU' is not a label"),
        ("--Cloudo.executor=nowhere", "c.Cloudo.executor: no executor 'nowhere' is installed. Installed: dask, local"),
        ("--Cloudo.executor=dask --Cloudo.slots=2", "slots: the executor 'dask' has as many slots as its Dask workers"),
        ("--Cloudo.allowed_private_networks=here", "c.Cloudo.allowed_private_networks: 'here' does not appear to be"),
        ("--Cloudo.slots=0", "The value of the 'slots' trait of a Cloudo instance should not be less than 1, but a"),
    ],
)
def test_up_refuses_values_that_its_worker_cannot_use(shell: Shell, flag: str, reason: str) -> None:
    done = shell.run("up", "--no-browser", "--port", str(free_port()), *flag.split())
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Cloudo cannot start with this configuration" in done.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--executor", "nowhere"), "--executor: no executor 'nowhere' is installed. Installed: dask, local"),
        (("--executor", "dask", "--slots", "2"), "slots: the executor 'dask' has as many slots as its Dask workers"),
        (("--dask-address", "tls://host:8786"), "dask_address: only the executor 'dask' uses 'tls://host:8786'"),
        (("--executor", "dask", "--dask-address", "nowhere"), "dask_address: 'nowhere' is not an address"),
        (("--executor", "dask", "--dask-address", "tcp://192.0.2.1:8786"), "is not encrypted, and everyone who"),
        (("--executor", "dask", "--dask-address", "tls://192.0.2.1:8786"), "tls://192.0.2.1:8786 needs certificates."),
        (("--executor", "dask", "--dask-address", "tcp://127.0.0.1:1"), "tcp://127.0.0.1:1 cannot be reached"),
    ],
)
def test_a_worker_refuses_an_executor_that_it_cannot_use(shell: Shell, words: tuple[str, ...], reason: str) -> None:
    done = shell.run("worker", *words)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("missing", ["dask", "distributed"])
def test_without_dask_a_worker_says_how_to_install_it(shell: Shell, missing: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from cloudo_kernel.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["--workspace", str(shell.workspace), "worker", "--executor", "dask"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Dask is not installed")
    assert done.stderr.endswith("Run: pip install 'cloudo[dask]'\n")


def test_dask_leaves_the_loggers_of_the_server_alone() -> None:
    program = """
import logging
from cloudo_kernel.worker.executors import load
load("dask")
print({(one.level, *one.handlers) for one in map(logging.getLogger, ["tornado", "tornado.application", "distributed"])})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "{(0,)}\n"


def test_a_bad_network_of_the_environment_is_refused(shell: Shell) -> None:
    shell.environment["CLOUDO_ALLOWED_PRIVATE_NETWORKS"] = "10.0.0.0/8,here"
    for command in (("worker",), ("up", "--no-browser", "--port", str(free_port()))):
        done = shell.run(*command)
        assert done.returncode == 1
        assert "Error: CLOUDO_ALLOWED_PRIVATE_NETWORKS: 'here' does not appear to be an IPv4 or IPv6" in done.stderr


def test_up_serves_the_workspace_until_it_is_stopped(shell: Shell, tmp_path: Path) -> None:
    write_flow(shell.workspace, "endless", ENDLESS)
    write_flow(shell.workspace, "quick", "this.success('on the server')")
    port = free_port()
    server = Up(shell, "--port", str(port), str(shell.workspace), cwd=tmp_path)
    try:
        address, token = server.dashboard.split("?token=")
        assert address == server.opens == f"http://localhost:{port}/cloudo/"
        with urllib.request.urlopen(f"{address}api/1/health", timeout=10) as reply:
            assert json.load(reply)["status"] == "ok"
        # No proxy leads to this machine: what follows finds the server without one.
        shell.environment |= {"http_proxy": "http://127.0.0.1:9", "ALL_PROXY": "socks5://127.0.0.1:9"}
        assert [flow["name"] for flow in shell.json("flows")] == ["endless", "quick"]
        record = shell.json("run", "quick", "--url", f"http://localhost:{port}", "--token", token)
        assert (record["message"], record["trigger"]) == ("on the server", "cli")
        assert opened_by(shell, "up", told=server.dashboard) == server.dashboard
        assert shell.run("run", "endless", "--detach", seconds=20).returncode == 0
        shell.until_status(Status.RUNNING)
    finally:
        code = server.end(signal.SIGTERM)
    assert code == 0
    assert [line for line in server.shown.splitlines() if re.match(r"\[[A-Z] |.*Warning", line)] == []
    ended = shell.until_status(Status.ENDED_CANCELLED)
    assert (ended.flow_name, ended.message) == ("endless", "server stopped")
    assert not list((tmp_path / "runtime").glob("jpserver-*"))
    until(lambda: not living(shell))


def test_ctrl_c_stops_up_without_asking_and_a_taken_port_is_no_obstacle(shell: Shell) -> None:
    ours, theirs = pty.openpty()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = Up(shell, f"--port={port}", "--lab", "--Cloudo.preload=[]", stdin=theirs)
        try:
            assert f":{port}/" not in server.lab
            assert f"Port {port} was taken" in server.shown
            assert server.opens == server.lab.partition("?")[0]
            with urllib.request.urlopen(server.lab, timeout=10) as reply:
                assert b"jupyter-config-data" in reply.read()
        finally:
            code = server.end(signal.SIGINT)
    os.close(theirs)
    os.close(ours)
    assert code == 0
    assert "Stopping" in server.shown
    assert "Shut down" not in server.shown


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is warned")
def test_up_as_root_explains_itself(shell: Shell) -> None:
    done = shell.run("up", "--no-browser")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"Error: Running as root.*--allow-root\.\n", done.stderr)
