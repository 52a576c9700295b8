"""Child processes: forked ones with what callers use of `subprocess.Popen`, and the end of what one wrote to stderr."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress

#: As much of a child's standard error is kept.
_TAIL_BYTES = 4_000


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


class StderrTail:
    """The end of what a child writes to its standard error, read by a thread so that the child never waits for it."""

    def __init__(self) -> None:
        self._reading, self.descriptor = os.pipe()
        self._tail = b""
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Read; called when the child has inherited `descriptor`, which this closes."""
        os.close(self.descriptor)
        self._thread = threading.Thread(target=self._read, name="cloudo-stderr", daemon=True)
        self._thread.start()

    def lines(self, *, wait_seconds: float) -> list[str]:
        """Return the last lines, waiting for the end of the child and of what inherited the descriptor from it."""
        if self._thread is not None:
            self._thread.join(wait_seconds)
        lines = self._tail.decode(errors="replace").splitlines()
        # The first one may be cut, and half of a secret in it would not be masked.
        return lines[1:] if len(self._tail) == _TAIL_BYTES else lines

    def _read(self) -> None:
        with suppress(OSError):
            while some := os.read(self._reading, 65_536):
                self._tail = (self._tail + some)[-_TAIL_BYTES:]
