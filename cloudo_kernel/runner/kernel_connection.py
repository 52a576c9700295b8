"""Starts, connects, interrupts and ends the kernel of one run, for its runner."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_client import BlockingKernelClient, KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory
from jupyter_client.session import new_id
from nbclient.exceptions import DeadKernelError

from cloudo_kernel.processes import fork, priority
from cloudo_kernel.processes.channel import DESCRIPTOR_VARIABLE
from cloudo_kernel.processes.child import OwnChild, StderrTail
from cloudo_kernel.processes.lifeline import Lifeline
from cloudo_kernel.processes.provisioner import NAME as PROVISIONER
from cloudo_kernel.processes.sockets import has_room

#: Programs that are known to bind `ipc://{ip}-{port}`. Others, such as the xeus kernels, use another path or only TCP.
_SPEAK_IPC = frozenset({"cloudo_kernel.kernel", "ipykernel", "ipykernel_launcher"})
_START_TIMEOUT_SECONDS = 60.0
_NO_ANSWER = f"The kernel did not answer within {_START_TIMEOUT_SECONDS:.0f} seconds."
#: From the request to shut down to the kill: the time for exit handlers that the notebook registered.
_SHUTDOWN_SECONDS = 5.0
#: Poll interval for whether a silent kernel is still alive.
_POLL_INTERVAL_SECONDS = 0.5
#: How long jupyter_client waits for the first output after the first reply; until then, outputs may be lost.
_SUBSCRIBED_SECONDS = 0.2
#: Seconds to wait for the last lines of a dead kernel: processes that it started may still hold its stderr.
_LAST_WORDS_SECONDS = 0.5


#: Created before the fork.
_prepared: BlockingKernelClient | None = None


class KernelConnection:
    """One kernel, reached over sockets in a folder that only this user can open.

    `client` is jupyter_client's, for nbclient to use once the kernel is connected. Nothing here needs an event loop.
    """

    client: BlockingKernelClient

    def __init__(self, descriptor: int, sockets: Path) -> None:
        """Keep the descriptor of the channel to the worker, which only the kernel uses.

        `sockets` is a folder that only this runner uses.
        """
        self._descriptor = descriptor
        self._sockets = sockets
        #: Jupyter's manager of a kernel that was started cold.
        self._manager: KernelManager | None = None
        self._process: Any = None
        self._lifeline: Lifeline | None = None
        self._stderr = StderrTail()
        #: Process group of the kernel, while it runs.
        self.group: int | None = None
        self.language_info: dict[str, Any] = {}
        #: Whether it can be asked to end, and whether it was asked.
        self._is_connected = self._is_ending = False

    def fork(self) -> None:
        """Fork the kernel `cloudo` from this process, which must be freshly forked by a zygote."""
        # The content of a connection file; the forked process gets it without one.
        connection: dict[str, Any] = {"transport": "ipc", "ip": f"{self._sockets}/kernel", "key": os.urandom(16).hex()}
        connection |= {f"{name}_port": number for number, name in enumerate(("shell", "iopub", "stdin", "control"), 1)}
        lifeline = Lifeline()
        nowhere = os.open(os.devnull, os.O_RDWR)
        pid = fork.fork(
            "cloudo_kernel.kernel.fast_kernel:serve_run",
            {"connection": connection, "channel": self._descriptor},
            lifelines=(lifeline.descriptor,),
            keep=(self._descriptor,),
            streams={0: nowhere, 1: nowhere, 2: self._stderr.descriptor},
        )
        os.close(nowhere)
        self._stderr.begin()
        lifeline.hand_over()
        os.close(self._descriptor)  # only the kernel keeps its end of the channel
        self.group = pid  # it leads a session of its own
        self._process, self._lifeline = OwnChild(pid), lifeline
        assert _prepared is not None, "it is made before the fork"
        self.client = _prepared
        self.client.session.session, self.client.session.pid = new_id(), os.getpid()
        self.client.load_connection_info(connection)
        self._connect()
        priority.lower_session(pid)
        # Everything is connected: the names of the sockets are no longer needed.
        shutil.rmtree(self._sockets, ignore_errors=True)

    def start(self, kernel_name: str, folder: str) -> None:
        """Start the kernel in `folder`, or have a forked kernel change to it."""
        if self.group is None:
            self._start_cold(kernel_name, folder)
            return
        if not self.is_alive:
            raise DeadKernelError("The kernel died.")
        request = self.client.session.msg("enter_request", {"folder": folder})
        self.client.shell_channel.send(request)
        reply = self._reply_to(request["header"]["msg_id"])
        if reply["status"] != "ok":
            raise FileNotFoundError(f"The flow's folder cannot be entered: {reply['evalue']}")

    def execute_silently(self, code: str) -> None:
        """Execute code between two cells. Raises `RuntimeError`, which does not show the code, if it fails."""
        reply = self._reply_to(self.client.execute(code, silent=True, store_history=False))
        if reply["status"] != "ok":
            raise RuntimeError(f"The kernel did not take the protected inputs: {reply.get('ename', reply['status'])}.")

    def limit_memory(self, megabytes: int) -> None:
        """Let its process use up to `megabytes` more; beyond that it gets a MemoryError. Ignored outside Linux."""
        if sys.platform != "linux" or self.group is None:
            return
        import resource  # Unix only

        lines = Path(f"/proc/{self.group}/status").read_text().splitlines()
        [has] = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")]
        limit = has + megabytes * 2**20
        resource.prlimit(self.group, resource.RLIMIT_DATA, (limit, limit))

    def interrupt(self) -> None:
        """Interrupt the process group of the kernel."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill the process group of the kernel."""
        self._signal(signal.SIGKILL)

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self.group is not None and self.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """The exit code of its process, negative for a signal; None while it runs."""
        code: int | None = None if self._process is None else self._process.poll()
        return code

    def last_words(self) -> list[str]:
        """Return the last lines of the kernel's standard error; called when it has died."""
        return self._stderr.lines(wait_seconds=_LAST_WORDS_SECONDS)

    def ask_to_end(self) -> None:
        """Ask the kernel to end, without waiting for it."""
        if self._is_connected and not self._is_ending and self.is_alive:
            self._is_ending = True
            self.client.shutdown()

    def close(self) -> None:
        """End the kernel; kill it if it does not end on request."""
        self.ask_to_end()
        if self.group is not None:
            self._await_end()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _start_cold(self, kernel_name: str, folder: str) -> None:
        # Ties the kernel to this process, unless its kernelspec names a provisioner of its own.
        KernelProvisionerFactory.instance().default_provisioner_name = PROVISIONER
        # Otherwise the manager's file is in the folder for temporary files, and stays there if this process is killed.
        self._manager = KernelManager(kernel_name=kernel_name, connection_file=str(self._sockets / "manager.json"))
        is_known = any(word in _SPEAK_IPC for word in self._manager.kernel_spec.argv)
        if is_known and hasattr(socket, "AF_UNIX") and has_room(self._sockets):
            self._manager.transport = "ipc"
            self._manager.ip = f"{self._sockets}/kernel"
        self._manager.start_kernel(
            cwd=folder,
            env={**os.environ, DESCRIPTOR_VARIABLE: str(self._descriptor)},
            pass_fds=(self._descriptor,),
            # Printed text arrives as messages; this is only an unused echo of it.
            stdout=subprocess.DEVNULL,
            stderr=self._stderr.descriptor,
            extra_arguments=["--HistoryManager.hist_file=:memory:"] if is_known else [],
        )
        self._stderr.begin()
        provisioner = self._manager.provisioner
        self._process, self.group = provisioner.process, provisioner.pgid
        os.close(self._descriptor)  # only the kernel keeps its end of the channel
        self._connect_cold(self._manager.client())
        if self.group is not None:
            priority.lower_session(self.group)

    def _connect_cold(self, client: BlockingKernelClient) -> None:
        self.client = client
        client.context.rcvhwm = 0  # otherwise outputs that arrive faster than they are read get lost
        client.start_channels(stdin=False, hb=False)
        client.allow_stdin = False
        end = time.monotonic() + _START_TIMEOUT_SECONDS
        while not self._is_connected:
            client.kernel_info()
            self._await_answer(end)

    def _await_answer(self, end: float) -> None:
        """Wait a second for the first reply, and accept it if outputs arrive as well. Raises `DeadKernelError`."""
        again = time.monotonic() + 1
        while time.monotonic() < again:
            with suppress(queue.Empty):
                reply = self.client.shell_channel.get_msg(timeout=_POLL_INTERVAL_SECONDS)
                if reply["msg_type"] == "kernel_info_reply":
                    self.client.iopub_channel.get_msg(timeout=_SUBSCRIBED_SECONDS)
                    self.language_info = dict(reply["content"]["language_info"])
                    self._is_connected = True
                    return
            if not self.is_alive:
                raise DeadKernelError("The kernel died.")
        if time.monotonic() > end:
            raise DeadKernelError(_NO_ANSWER)

    def _connect(self) -> None:
        """Connect to the kernel `cloudo`, without the fixed wait that jupyter_client needs for other kernels."""
        self.client.start_channels(stdin=False, hb=False)
        self.client.allow_stdin = False
        # ipykernel's message that its outputs arrive from now on: earlier ones would be lost.
        self._message(self.client.iopub_channel)
        # Await a reply on each: a socket whose first connect failed may be 0.1 s behind the others.
        for channel in (self.client.control_channel, self.client.shell_channel):
            channel.send(self.client.session.msg("kernel_info_request"))
            self.language_info = self._message(channel)["content"]["language_info"]
        self._is_connected = True

    def _reply_to(self, asked: str) -> dict[str, Any]:
        while True:
            reply = self._message(self.client.shell_channel)
            if reply["parent_header"].get("msg_id") == asked:
                return dict(reply["content"])

    def _message(self, channel: Any) -> dict[str, Any]:
        end = time.monotonic() + _START_TIMEOUT_SECONDS
        while True:
            try:
                return dict(channel.get_msg(timeout=_POLL_INTERVAL_SECONDS))
            except queue.Empty:
                if not self.is_alive:
                    raise DeadKernelError("The kernel died.") from None
                if time.monotonic() > end:
                    raise DeadKernelError(_NO_ANSWER) from None

    def _await_end(self) -> None:
        if self._is_ending:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_SHUTDOWN_SECONDS)
        self.kill()  # and what it started: the lifeline of a dead kernel signals no process any more
        if self._lifeline is not None:
            self._lifeline.cut()
        if self._manager is not None:
            self._manager.cleanup_resources()

    def _signal(self, number: int) -> None:
        if self.group is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.group, number)


def preload() -> None:
    """Create the client that connects to the kernel; called before processes are forked."""
    global _prepared  # noqa: PLW0603 -- one per process, as a process has one kernel
    _prepared = BlockingKernelClient()
    _prepared.session  # noqa: B018 -- created on first access
