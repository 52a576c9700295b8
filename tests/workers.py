"""Starts workers as processes for tests, and finds the processes of their runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.forker import Forked, forker_of
from tests.server import CAN_FORK, until

#: In the environment of a worker and of all that it starts; tells them from those of other tests.
VARIABLE = "CLOUDO_TEST_WORKSPACE"

Worker = subprocess.Popen[bytes] | Forked
StartWorker = Callable[..., Worker]

#: The workspaces of forked workers, by process id: the system shows the environment of the process that forked them.
_forked: dict[int, Path] = {}


def start_worker(
    workspace: Path,
    *options: str,
    module: str = "",
    environment: Mapping[str, str] | None = None,
    through: Sequence[str] = (),
) -> Worker:
    """Start `cloudo worker`, or another module that says the same when it is ready; the caller ends it.

    It is forked from a process that has imported what it needs, unless it is started through another program.
    """
    words = [*options]
    if not module:  # as in servers of tests, nothing is imported beforehand
        words = ["--workspace", str(workspace), "worker", "--preload", "", *options]
    variables = os.environ | {VARIABLE: str(workspace)} | dict(environment or {})
    errors = workspace / ".cloudo" / "worker-errors.log"
    worker: Worker
    with tempfile.NamedTemporaryFile(prefix="worker") as out:
        if CAN_FORK and not through:
            where: dict[str, Any] = {"cwd": Path.cwd(), "out": Path(out.name), "err": errors}
            worker = forker_of("tests.forked_worker").start([module, *words], environment=variables, **where)
            _forked[worker.pid] = workspace
        else:
            command = [*through, sys.executable, "-m", module or "cloudo_kernel", *words]
            with errors.open("ab") as log:
                worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=log, env=variables)
        until(
            lambda: b"Ctrl-C ends it" in Path(out.name).read_bytes() or worker.poll() is not None,
            seconds=60,
            what=errors.read_text,
        )
    assert worker.poll() is None, errors.read_text()
    return worker


def end_worker(worker: Worker) -> None:
    """Kill a worker that is still there."""
    worker.kill()
    worker.wait()


def processes(workspace: Path) -> list[psutil.Process]:
    """Return all processes of the workspace, workers, zygotes and those of runs alike."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_ours = process.environ().get(VARIABLE) == str(workspace) or _forked.get(process.pid) == workspace
            if is_ours and is_alive(process):
                found.append(process)
    return found


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process still runs; one that only waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
