"""The owner's side of zygotes: requests forks, receives exit codes, and replaces outdated, worn and dead zygotes."""

from __future__ import annotations

import atexit
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from cloudo_kernel.processes.child import Child
from cloudo_kernel.processes.inherited import NEUTRAL_FOLDER
from cloudo_kernel.processes.lifeline import Lifeline
from cloudo_kernel.processes.zygote import MESSAGE_BYTES, fingerprint

_log = logging.getLogger(__name__)

#: Modules whose `preload` imports what their functions need, before the modules of `c.Cloudo.preload` or after them.
#: The last ones return the files that they have read. A change to one of these makes a zygote outdated.
_ENTRIES = ("cloudo_kernel.runner.run", "cloudo_kernel.kernel.app")
_LAST_ENTRIES = ("cloudo_kernel.kernel.fast_kernel", "cloudo_kernel.runner.prewarm")
#: The packages that flows import most and that take longest to import.
PRELOAD = ("numpy", "pandas", "matplotlib.pyplot")
#: Maximum age of a zygote, so that its open files and imports do not grow as old as the server.
_AGE_SECONDS = 12 * 3600.0
_FORKS = 10_000
#: Delay before the next zygote after one died while warming up. Meanwhile starts are cold.
_DISAPPOINTED_SECONDS = 30.0
#: Maximum time until a zygote has answered a request, unless its caller has less.
FORK_SECONDS = 15.0
#: How long a zygote's process may outlive its socket.
_DEATH_SECONDS = 1.0
_IS_POSSIBLE = sys.platform == "linux"


class Zygote:
    """One zygote process, as its owner sees it."""

    def __init__(self, preload: Sequence[str], *, on_change: Callable[[], None]) -> None:
        """Start the process. `on_change` is called on another thread when it is ready and when it has died."""
        self._seen = fingerprint(sys.path)
        #: The paths that it imports from and the files that it has read; None until it is ready.
        self._sources: list[str] | None = None
        self.is_dead = False
        #: Whether it has ever been ready.
        self.was_ready = False
        self._on_change = on_change
        self._ready = threading.Event()
        self._born = time.monotonic()
        #: Its environment variables. Its children have to be told the changes since.
        self.variables = dict(os.environ)
        self._forks = 0
        self._number = 0
        self._turn = threading.Lock()
        self._children: dict[int, Child] = {}
        self._early: dict[int, int] = {}
        self._replies: dict[int, dict[str, Any]] = {}
        self._replied = threading.Condition()
        with ExitStack() as on_failure:
            self._lifeline = Lifeline()
            on_failure.callback(self._lifeline.cut)
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            on_failure.enter_context(self._socket)
            with theirs:
                self._process = _start_process(preload, theirs.fileno(), self._lifeline.descriptor)
            on_failure.callback(self._process.wait)
            on_failure.callback(self._process.kill)
            self._lifeline.hand_over()
            threading.Thread(target=self._listen, name="cloudo-zygote", daemon=True).start()
            on_failure.pop_all()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it accepts requests to fork."""
        return self.was_ready and not self.is_dead

    @property
    def is_outdated(self) -> bool:
        """Whether a package was installed, upgraded or removed, or IPython configured, since it was started."""
        # Only the owner's path has the folder in which the owner was started, which changes with each file there.
        sources = self._sources or self._seen.keys() | sys.path
        today = fingerprint(sources)
        return any(self._seen.get(source) != today.get(source) for source in sources)

    @property
    def is_worn(self) -> bool:
        """Whether it has reached the maximum age or number of forks."""
        return self._forks >= _FORKS or time.monotonic() - self._born >= _AGE_SECONDS

    def wait_ready(self, seconds: float) -> bool:
        """Wait up to `seconds` until it is ready; return False if it died or is still warming up."""
        return self._ready.wait(seconds) and not self.is_dead

    def fork(
        self,
        call: str,
        arguments: Mapping[str, Any],
        descriptors: Mapping[str, int],
        *,
        environment: Mapping[str, str | None] | None = None,
        folder: str | None = None,
        wait_seconds: float = FORK_SECONDS,
    ) -> Child:
        """Fork a child that calls `module:function` with the arguments and, by name, the descriptors.

        The descriptor `lifeline` ties the child to this process, and `stderr` becomes its standard error.
        Raises `OSError` if the zygote cannot fork or is gone, and its subclass `TimeoutError` if it does not answer
        within `wait_seconds`.
        """
        end = time.monotonic() + wait_seconds
        with self._one_at_a_time(wait_seconds):
            self._number += 1
            self._forks += 1
            request = {
                "number": self._number,
                "call": call,
                "arguments": arguments,
                "descriptors": list(descriptors),
                "environment": environment or {},
                "folder": folder,
            }
            message = json.dumps(request).encode()
            if len(message) > MESSAGE_BYTES:
                raise OSError(f"a request of {len(message)} bytes is more than a zygote takes")
            try:
                socket.send_fds(self._socket, [message], list(descriptors.values()))
            except OSError:
                with self._replied:  # the next caller must find it dead
                    self._replied.wait_for(lambda: self.is_dead, _DEATH_SECONDS)
                raise
            return self._child(self._number, wait_seconds=max(0.0, end - time.monotonic()))

    def drain(self) -> None:
        """Tell it to end once its last child has ended."""
        try:
            self._socket.send(json.dumps({"drain": True}).encode())
        except OSError:
            return  # it is dead

    def close(self) -> None:
        """End it and all its children."""
        self._lifeline.cut()
        self._process.kill()  # it may not have tied itself yet
        self._process.wait()

    @contextmanager
    def _one_at_a_time(self, wait_seconds: float) -> Iterator[None]:
        """Keep other threads from asking. Raises `TimeoutError` if another one still waits for its answer."""
        if not self._turn.acquire(timeout=wait_seconds):
            raise TimeoutError("the zygote does not answer")
        try:
            yield
        finally:
            self._turn.release()

    def _child(self, number: int, *, wait_seconds: float) -> Child:
        with self._replied:
            is_there = self._replied.wait_for(lambda: number in self._replies or self.is_dead, wait_seconds)
            reply = self._replies.pop(number, None)
            if reply is None:
                raise OSError("the zygote died") if is_there else TimeoutError("the zygote does not answer")
            if "error" in reply:
                raise OSError(reply["error"])
            child = Child(reply["pid"])
            if child.pid in self._early:
                child.note_end(self._early.pop(child.pid))
            elif self.is_dead:
                child.note_end(-signal.SIGKILL)
            else:
                self._children[child.pid] = child
            return child

    def _listen(self) -> None:
        try:
            while message := self._receive():
                if "ready" in message:
                    self._note_ready(message)
                else:
                    self._note_reply(message)
        finally:
            self._note_death()

    def _note_ready(self, message: dict[str, Any]) -> None:
        for module, reason in message["left_out"].items():
            _log.info("A module is not preloaded", extra={"preload": module, "reason": reason})
        self._seen |= message["files"]
        self._sources = message["path"] + message["all_files"]
        self.was_ready = True
        self._ready.set()
        self._on_change()

    def _note_reply(self, message: dict[str, Any]) -> None:
        with self._replied:
            if "number" in message:
                self._replies[message["number"]] = message
                self._replied.notify_all()
            elif message["ended"] in self._children:
                self._children.pop(message["ended"]).note_end(message["code"])
            else:
                self._early[message["ended"]] = message["code"]

    def _receive(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._socket.recv(MESSAGE_BYTES) or b"{}"))
        except OSError:
            return {}

    def _note_death(self) -> None:
        self._lifeline.cut()
        self._process.kill()  # it has ended by itself, unless this thread failed
        self._process.wait()
        with self._replied:
            self.is_dead = True
            children, self._children = self._children, {}
            self._replied.notify_all()
        for child in children.values():  # their lifelines ended with it
            child.note_end(-signal.SIGKILL)
        self._socket.close()
        self._ready.set()
        self._on_change()


def _start_process(preload: Sequence[str], *inherited: int) -> subprocess.Popen[bytes]:
    """Start the program of a zygote, which takes the descriptors of its socket and of its lifeline."""
    given = {"entries": _ENTRIES, "last_entries": _LAST_ENTRIES, "preload": preload, "left_out": {}}
    # The debugger of kernels cannot see frozen modules, and warns about them on the terminal.
    command = [sys.executable, "-Xfrozen_modules=off", "-m", "cloudo_kernel.processes"]
    return subprocess.Popen(
        [*command, *map(str, inherited), json.dumps(given)],
        pass_fds=inherited,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        cwd=NEUTRAL_FOLDER,
    )


class Zygotes:
    """The current zygote, its successor while that warms up, and former ones until their children end."""

    def __init__(self, preload: Sequence[str] = PRELOAD) -> None:
        #: The modules that each zygote imports.
        self.preload = tuple(preload)
        self._current: Zygote | None = None
        self._successor: Zygote | None = None
        self._draining: list[Zygote] = []
        self._disappointed_until = 0.0
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._is_closed = False

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener`, on another thread, whenever a zygote becomes ready or dies."""
        self._listeners.append(listener)

    def get(self, *, wait_seconds: float = 0.0) -> Zygote | None:
        """Return a zygote that is ready and up to date, or None if a cold start is needed.

        The first call starts one. If it dies during the wait, the wait continues with its successor, if there is one.
        """
        if not _IS_POSSIBLE:
            return None
        end = time.monotonic() + wait_seconds
        while True:
            with self._lock:
                if self._is_closed:
                    return None
                self._look_after()
                zygote = self._current
            if zygote is None:
                return None
            if zygote.wait_ready(max(0.0, end - time.monotonic())):
                return zygote
            if not zygote.is_dead or time.monotonic() >= end:
                return None

    def close(self) -> None:
        """End all zygotes and all their children."""
        with self._lock:
            self._is_closed = True
            zygotes = [self._current, self._successor, *self._draining]
        for zygote in zygotes:
            if zygote is not None:
                zygote.close()

    def _look_after(self) -> None:
        self._draining = [zygote for zygote in self._draining if not zygote.is_dead]
        zygote, successor = self._current, self._successor
        if successor is not None and (successor.is_ready or successor.is_dead):
            self._successor = None
            if successor.is_ready:
                if zygote is not None:
                    self._retire(zygote)
                self._current = successor
        self._reap_dead()
        zygote = self._current
        if zygote is not None and zygote.is_outdated:
            self._retire(zygote)
            zygote = self._current = None
        if zygote is None:
            if time.monotonic() >= self._disappointed_until:
                self._current = Zygote(self.preload, on_change=self._note_change)
        elif zygote.is_worn and self._successor is None:
            self._successor = Zygote(self.preload, on_change=self._note_change)

    def _retire(self, zygote: Zygote) -> None:
        if zygote.is_dead:
            return
        zygote.drain()
        self._draining.append(zygote)

    def _reap_dead(self) -> None:
        zygote = self._current
        if zygote is None or not zygote.is_dead:
            return
        self._current = None
        if not zygote.was_ready:
            self._disappointed_until = time.monotonic() + _DISAPPOINTED_SECONDS
            _log.warning("The zygote died while it warmed up; starts are cold for a while.")

    def _note_change(self) -> None:
        with self._lock:
            if not self._is_closed:
                self._reap_dead()
        for listener in self._listeners:
            listener()


_shared: Zygotes | None = None


def shared_zygotes(preload: Sequence[str] = PRELOAD) -> Zygotes:
    """Return the zygotes of this process, from which both runs and kernels started by Jupyter are forked.

    The first call determines what is preloaded. A process that never calls this starts its kernels cold, such as one
    that runs a single notebook: there a zygote costs more than it saves.
    """
    global _shared  # noqa: PLW0603 -- one per process: Jupyter creates the provisioners, and we cannot pass it to them
    if _shared is None:
        _shared = Zygotes(preload)
        atexit.register(_shared.close)
    return _shared


def existing_zygotes() -> Zygotes | None:
    """Return the zygotes of this process, or None before the first call of `shared_zygotes`."""
    return _shared
