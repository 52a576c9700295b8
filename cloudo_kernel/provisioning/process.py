"""Forked processes, with what callers use of `subprocess.Popen`."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from abc import ABC, abstractmethod


class Process(ABC):
    """A child; whoever hears of its end notes it."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, None while it runs."""
        return self.returncode

    @abstractmethod
    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises `subprocess.TimeoutExpired`."""

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)


class Child(Process):
    """A child of a zygote, which tells how it ended."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self._ended = threading.Event()

    def wait(self, timeout: float | None = None) -> int:
        """See `Process.wait`."""
        if not self._ended.wait(timeout):
            assert timeout is not None
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        assert self.returncode is not None
        return self.returncode

    def note_end(self, code: int) -> None:
        """Note how it ended; called by its zygote's thread."""
        self.returncode = code
        self._ended.set()


class OwnChild(Process):
    """A child that this process forked itself."""

    def poll(self) -> int | None:
        """See `Process.poll`."""
        return self._reap(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int:
        """See `Process.wait`."""
        code = self.poll()
        if code is None:
            end = os.pidfd_open(self.pid)
            try:
                if not select.select([end], [], [], timeout)[0]:
                    assert timeout is not None
                    raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            finally:
                os.close(end)
            code = self._reap(0)
            assert code is not None
        return code

    def _reap(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode
