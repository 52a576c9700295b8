"""Starts workers as processes for tests, and finds the processes of their runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

#: In the environment of a worker and of all that it starts; tells them from those of other tests.
VARIABLE = "CLOUDO_TEST_WORKSPACE"


def start_worker(
    workspace: Path, *options: str, module: str | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start `cloudo worker`, or another module that says the same when it is ready; the caller ends it."""
    words = ["-m", module]
    if module is None:  # as in servers of tests, nothing is imported beforehand
        words = ["-m", "cloudo_kernel", "--workspace", str(workspace), "worker", "--preload", ""]
    log = (workspace / ".cloudo" / "worker-errors.log").open("ab")
    with log:
        worker = subprocess.Popen(
            [sys.executable, *words, *options],
            stdout=subprocess.PIPE,
            stderr=log,
            env=os.environ | {VARIABLE: str(workspace)} | dict(environment or {}),
        )
    assert worker.stdout is not None
    line = worker.stdout.readline()
    assert b"Ctrl-C ends it" in line, (workspace / ".cloudo" / "worker-errors.log").read_text()
    return worker


def end_worker(worker: subprocess.Popen[bytes]) -> None:
    """Kill a worker that is still there, and forget it."""
    worker.kill()
    worker.wait()
    if worker.stdout is not None:
        worker.stdout.close()


def processes(workspace: Path) -> list[psutil.Process]:
    """Return all processes of the workspace, workers, zygotes and those of runs alike."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_ours = process.environ().get(VARIABLE) == str(workspace)
            if is_ours and is_alive(process):
                found.append(process)
    return found


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process still runs; one that only waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
