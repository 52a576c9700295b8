"""Starts and ends the process of a runner for its worker, with its channels and its lifeline."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from cloudo_kernel.processes import channel
from cloudo_kernel.processes.child import Child
from cloudo_kernel.processes.lifeline import Lifeline
from cloudo_kernel.processes.zygotes import FORK_SECONDS, Zygote
from cloudo_kernel.worker.socket_dirs import SocketDirs

#: Bytes of a runner's standard error that are kept, in case it dies without a report.
_COMPLAINTS_BYTES = 4_000

Process = subprocess.Popen[bytes] | Child


class RunnerProcess:
    """A runner that asks for its assignment now or later. It is used for one run."""

    def __init__(
        self, start: Callable[[Mapping[str, int]], Process], folder: Path, *, zygote: Zygote | None = None
    ) -> None:
        """Start the runner; `start` gets its descriptors by name. `folder` is for its sockets. Raises `OSError`."""
        #: The zygote that forked it; None for a cold runner.
        self.zygote = zygote
        self._folder = folder
        with ExitStack() as on_failure, ExitStack() as handed_over:
            on_failure.callback(shutil.rmtree, folder, ignore_errors=True)
            self._lifeline = Lifeline()
            on_failure.callback(self._lifeline.cut)
            self._complaints = on_failure.enter_context(tempfile.TemporaryFile())
            self.runner_end, runner = channel.pair()
            on_failure.enter_context(self.runner_end)
            handed_over.callback(os.close, runner)
            self.kernel_end, kernel = channel.pair()
            on_failure.enter_context(self.kernel_end)
            handed_over.callback(os.close, kernel)
            self._process = start(
                {
                    "channel": runner,
                    "kernel_channel": kernel,
                    "lifeline": self._lifeline.descriptor,
                    "stderr": self._complaints.fileno(),
                }
            )
            self._lifeline.hand_over()
            on_failure.pop_all()

    @classmethod
    def cold(cls, sockets: SocketDirs) -> RunnerProcess:
        """Start a runner as a program of its own. Raises `OSError`."""
        folder = sockets.folder()

        def start(descriptors: Mapping[str, int]) -> Process:
            inherited = [descriptors[name] for name in ("channel", "kernel_channel", "lifeline")]
            return subprocess.Popen(
                # `-P`, as the folder in which the server was started may contain a `json.py`.
                [sys.executable, "-P", "-m", "cloudo_kernel.runner", *map(str, inherited), str(folder)],
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                stderr=descriptors["stderr"],
            )

        return cls(start, folder)

    @classmethod
    def warm(cls, zygote: Zygote, sockets: SocketDirs, *, wait_seconds: float = FORK_SECONDS) -> RunnerProcess:
        """Have the zygote fork a runner with the kernel `cloudo`. Raises `OSError`, also after `wait_seconds`."""
        folder = sockets.folder()

        def start(descriptors: Mapping[str, int]) -> Process:
            call, arguments = "cloudo_kernel.runner.run:standby", {"folder": str(folder)}
            return zygote.fork(call, arguments, descriptors, wait_seconds=wait_seconds)

        return cls(start, folder, zygote=zygote)

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def is_fit(self) -> bool:
        """Whether it and its kernel are alive. Only valid in the pool, where a kernel sends nothing."""
        return self.is_alive and not self.kernel_end.poll(0)

    def wait(self) -> int:
        """Wait for its end and return the exit code."""
        return self._process.wait()

    def ask_to_stop(self) -> None:
        """Ask it to interrupt its kernel."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """Kill its process group. That cuts the kernel's lifeline, which kills the kernel, too."""
        if self.is_alive:
            with suppress(ProcessLookupError):  # just forked: it leads no group yet
                os.killpg(self._process.pid, signal.SIGKILL)
        self.cut()  # so that it ends itself as soon as it does

    def complaints(self) -> str:
        """Return the last part of its standard error."""
        size = os.fstat(self._complaints.fileno()).st_size
        text = os.pread(self._complaints.fileno(), _COMPLAINTS_BYTES, max(0, size - _COMPLAINTS_BYTES))
        return text.decode(errors="replace").strip()

    def cut(self) -> None:
        """Cut the lifeline, which kills whatever is left in the runner's process group."""
        self._lifeline.cut()

    def close(self) -> None:
        """End the process, close the channels, and remove the folder."""
        self.cut()
        if isinstance(self._process, subprocess.Popen):  # nobody else reaps it; a zygote reaps its own children
            self._process.kill()  # its interpreter may not have tied itself yet
            self._process.wait()
        channel.hang_up(self.runner_end)
        channel.hang_up(self.kernel_end)
        self._complaints.close()
        shutil.rmtree(self._folder, ignore_errors=True)  # it only exists if the runner was killed
