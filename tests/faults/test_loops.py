"""A background loop that has died or is stuck is named, with a hint, by the health and by `cloudo doctor`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from cloudo_kernel.workspace.layout import Workspace
from tests.faults.conftest import probed
from tests.server import WITHOUT_LAB, RunningServer, until
from tests.workers import StartWorker

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there is no pool of runners elsewhere"),
    pytest.mark.timeout(180),
]

OF_A_WORKER = {
    *("dispatcher", "heartbeat", "scheduler", "notifier"),
    *("housekeeping", "text-index", "runner-pool", "event-tail"),
}


def health(server: RunningServer) -> dict[str, Any]:
    headers = {"Authorization": f"token {server.token}"}
    return dict(httpx.get(f"{server.api}/health", headers=headers, timeout=30).json())


def loops(server: RunningServer, pid: int) -> dict[str, dict[str, Any]]:
    return {loop["name"]: loop for loop in health(server)["loops"] if loop["pid"] == pid}


def doctor(server: RunningServer) -> list[dict[str, Any]]:
    """Return what `cloudo doctor` reports about the loops."""
    variables = os.environ | {"JUPYTER_RUNTIME_DIR": str(server.runtime)}
    words = [sys.executable, "-m", "cloudo_kernel", "doctor", "--workspace", str(server.workspace), "--json"]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False, timeout=120)
    return [check for check in json.loads(done.stdout) if check["part"] == "loops"]


def test_a_loop_of_the_server_that_died_is_named_with_a_hint(
    workspace: Workspace, start_server: Callable[..., RunningServer]
) -> None:
    server = start_server(workspace.root, extensions={**WITHOUT_LAB, "tests.faults.saboteur": True})
    pid = server.process.pid
    until(lambda: loops(server, pid).keys() == OF_A_WORKER, seconds=60, what=lambda: str(health(server)))
    assert all(loop["alive"] and not loop["stuck"] and loop["hint"] is None for loop in loops(server, pid).values())
    (workspace.root / "kill-scheduler").touch()
    until(lambda: not loops(server, pid)["scheduler"]["alive"])
    found = health(server)
    assert (found["status"], found["reason"]) == (
        "unavailable",
        "the loop scheduler has died: restart the server",
    )
    assert found["failing_loops"] == ["scheduler"]
    dead = loops(server, pid)["scheduler"]
    assert dead["error"] == "SystemExit"
    assert dead["hint"] == f"Restart the process {pid}. Its log says why the loop died."
    assert probed(server) == (503, {"status": "unavailable", "reason": found["reason"]})
    [problem] = [check for check in doctor(server) if check["state"] == "problem"]
    assert f"(process {pid}): the loop scheduler has died (SystemExit)." in problem["message"]
    assert problem["hint"] == dead["hint"]


def test_a_stuck_loop_of_another_process_is_named_with_a_hint_until_it_goes_on(
    workspace: Workspace,
    start_server: Callable[..., RunningServer],
    start_worker: StartWorker,
) -> None:
    server = start_server(workspace.root, config={"Cloudo": {"embedded_worker": False}})
    assert loops(server, server.process.pid).keys() <= {"event-tail"}
    assert probed(server) == (503, {"status": "no worker", "reason": "no worker is running"})
    worker = start_worker("--saboteur")
    until(lambda: loops(server, worker.pid).keys() == OF_A_WORKER, what=lambda: str(health(server)))
    assert health(server)["status"] == "ok"
    order = workspace.root / "block-runner-pool"
    order.touch()
    until(lambda: loops(server, worker.pid)["runner-pool"]["stuck"], seconds=60)
    stuck, found = loops(server, worker.pid)["runner-pool"], health(server)
    assert stuck["alive"]
    assert stuck["idle_seconds"] > 30
    assert stuck["hint"] == f"Restart the process {worker.pid}."
    assert (found["status"], found["workers"]) == ("unavailable", 1)
    assert found["reason"] == "the loop runner-pool is stuck: restart the worker"
    checks = doctor(server)
    [problem] = [check for check in checks if check["state"] == "problem"]
    assert f"(process {worker.pid}): the loop runner-pool is stuck" in problem["message"]
    assert problem["hint"] == stuck["hint"]
    assert any("dispatcher" in check["message"] for check in checks if check["state"] == "well")
    order.unlink()
    until(lambda: health(server)["status"] == "ok")
