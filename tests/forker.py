"""Starts programs of ours in forked processes: importing what they need would take most of their time.

The process that forks is this module as a program. Each is a process of its own, with its own folder, environment and
output; only what a program does at its import is done once for all of them.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

_CHECKOUT = Path(__file__).parents[1]


class Forked:
    """A forked process, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, forker: Forker, pid: int) -> None:
        self.pid = pid
        self._forker = forker

    def poll(self) -> int | None:
        return self._forker.code_of(self.pid, seconds=0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._forker.code_of(self.pid, seconds=timeout)
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return code

    def send_signal(self, how: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, how)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forker:
    """A process that has imported a module, and forks to call the module's `main`. Use `forker_of`."""

    def __init__(self, module: str) -> None:
        command = [sys.executable, "-m", __name__, module]
        # Those of one test would be found in the processes of others.
        variables = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDO_")}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(command, cwd=_CHECKOUT, env=variables, **pipes)
        self._codes: dict[int, int] = {}
        self._unread = b""
        self._lock = threading.Lock()
        atexit.register(self._process.communicate)

    def start(
        self, words: Sequence[str], *, cwd: str | Path, environment: Mapping[str, str], out: Path, err: Path
    ) -> Forked:
        """Call `main` with `words` in a new process whose outputs go into files; errors are added to theirs."""
        request = {"words": words, "cwd": str(cwd), "environment": dict(environment), "out": str(out), "err": str(err)}
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            while (pid := self._next(seconds=None)) is None:
                pass
            self._codes.pop(pid, None)
        return Forked(self, pid)

    def code_of(self, pid: int, *, seconds: float | None) -> int | None:
        """Return the exit code of a process, or None if it still runs after `seconds`."""
        end = None if seconds is None else time.monotonic() + seconds
        with self._lock:
            while pid not in self._codes:
                left = None if end is None else max(0.0, end - time.monotonic())
                self._next(seconds=left)
                if left == 0:
                    break
            return self._codes.get(pid)

    def _next(self, *, seconds: float | None) -> int | None:
        """Read what the forker says next, if it says something in time; return the id of a process that it started."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            if not select.select([descriptor], [], [], seconds)[0]:
                return None
            read = os.read(descriptor, 65536)
            assert read, "the forker has ended"
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        pid, code = json.loads(line)
        if code is None:
            return int(pid)
        self._codes[pid] = code
        return None


@cache
def forker_of(module: str) -> Forker:
    """Return the forker of this process for a module."""
    return Forker(module)


def _serve(module: str) -> None:
    # jsonschema imports it to check IRIs, and building its grammar takes a third of a server's start.
    sys.modules["rfc3987_syntax"] = None  # None makes the import fail
    main = import_module(module).main
    gc.freeze()  # else each process looks at all that was imported when it collects garbage
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes)
    unread = b""
    while True:
        if 0 in select.select([0, woken], [], [])[0]:
            if not (read := os.read(0, 1_000_000)):
                return
            unread += read
        else:
            os.read(woken, 1000)
        *requests, unread = unread.split(b"\n")
        for request in requests:
            if (pid := os.fork()) == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(woken)
                os.close(wakes)
                _become(json.loads(request))
                sys.exit(main(json.loads(request)["words"]))
            print(json.dumps([pid, None]), flush=True)
        _reap()


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        print(json.dumps([pid, os.waitstatus_to_exitcode(status)]), flush=True)


def _become(request: dict[str, Any]) -> None:
    """Make this process what a shell would start for the request."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    tempfile.tempdir = None  # TMPDIR may be another
    sys.path[0] = ""
    for descriptor, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND),
        (2, request["err"], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        opened = os.open(path, flags)
        os.dup2(opened, descriptor)
        os.close(opened)
    # They live as long as the process.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    _serve(sys.argv[1])
