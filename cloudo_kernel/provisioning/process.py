"""Forked processes, with what callers use of `subprocess.Popen`."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
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
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """See `Process.wait`."""
        began = time.monotonic()
        while (code := self.poll()) is None:
            waited = time.monotonic() - began
            if timeout is not None and waited > timeout:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(min(0.05, max(0.002, waited / 10)))
        return code
