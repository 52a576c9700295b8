"""Forked child processes, with the part of `subprocess.Popen` that callers use, and the tail of a child's stderr."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress

#: How much of a child's standard error is kept.
_TAIL_BYTES = 4_000


class Process(ABC):
    """A child process; subclasses set `returncode` once it has ended."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        return self.returncode

    @abstractmethod
    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code. Raises `subprocess.TimeoutExpired`."""

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
    """A child of a zygote, which reports the exit code."""

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
        """Set the exit code; called by the owner's side of its zygote."""
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


class StderrTail:
    """The tail of a child's standard error, read by a thread so that the child never blocks on a full pipe."""

    def __init__(self) -> None:
        self._reading, self.descriptor = os.pipe()
        self._tail = b""
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Close `descriptor` and start reading; called when the child has inherited it."""
        os.close(self.descriptor)
        self._thread = threading.Thread(target=self._read, name="cloudo-stderr", daemon=True)
        self._thread.start()

    def lines(self, *, wait_seconds: float) -> list[str]:
        """Return the last lines, after waiting up to `wait_seconds` for all holders of the descriptor to end."""
        if self._thread is not None:
            self._thread.join(wait_seconds)
        lines = self._tail.decode(errors="replace").splitlines()
        # The first line may be cut, and half a secret in it would not be redacted.
        return lines[1:] if len(self._tail) == _TAIL_BYTES else lines

    def _read(self) -> None:
        with suppress(OSError):
            while some := os.read(self._reading, 65_536):
                self._tail = (self._tail + some)[-_TAIL_BYTES:]
