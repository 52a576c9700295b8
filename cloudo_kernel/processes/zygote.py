"""The zygote: a process that has everything imported and forks runners and kernels in milliseconds.

`python -m cloudo_kernel.processes SOCKET LIFELINE JSON`. `processes.zygotes` holds the other end of the socket.
It has one thread and no event loop, so that forking it is safe. It ends with its owner, and its children end with it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from cloudo_kernel.processes import fork, iri_grammar, lifeline, preloaded
from cloudo_kernel.processes.lifeline import Lifeline

#: The largest request. A larger one, such as for a large environment, leads to a cold start.
MESSAGE_BYTES = 64 * 1024
_DESCRIPTORS = 8


def fingerprint(paths: Iterable[str]) -> dict[str, int]:
    """Return the modification times of files and folders in nanoseconds, leaving out missing ones."""
    times = {}
    for path in paths:
        try:
            times[path] = os.stat(path).st_mtime_ns  # noqa: PTH116 -- dozens per run, and a Path takes most of the time
        except OSError:
            continue
    return times


class Zygote:
    """Serves one owner."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._lifelines: dict[int, Lifeline] = {}
        self._is_draining = False
        self._ended, wakeup = os.pipe()
        os.set_blocking(self._ended, False)
        os.set_blocking(wakeup, False)
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Fork for the owner until the owner is gone, or until this zygote is drained and its last child has ended."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._ended, select.POLLIN)
        while not (self._is_draining and not self._lifelines):
            ready = dict(poll.poll())
            if self._ended in ready:
                os.read(self._ended, 4096)
                self._reap()
            if self._control.fileno() in ready and not self._answer():
                return

    def _answer(self) -> bool:
        """Answer one request; return False if the owner is gone."""
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, _DESCRIPTORS)
        except ConnectionResetError:  # it had not read all replies
            return False
        if not message:
            return False
        request: dict[str, Any] = json.loads(message)
        if "drain" in request:
            self._is_draining = True
            return True
        try:
            reply = {"number": request["number"], "pid": self._fork(request, descriptors)}
        except OSError as error:
            reply = {"number": request["number"], "error": str(error)}
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._tell(reply)
        return True

    def _fork(self, request: dict[str, Any], descriptors: list[int]) -> int:
        given = dict(zip(request["descriptors"], descriptors, strict=True))
        stderr, owners = given.pop("stderr", None), given.pop("lifeline")
        ours = Lifeline()
        try:
            pid = fork.fork(
                "cloudo_kernel.processes.zygote:become",
                {
                    "call": request["call"],
                    "arguments": {**request["arguments"], **given},
                    "environment": request["environment"],
                    "folder": request["folder"],
                },
                lifelines=(owners, ours.descriptor),
                keep=tuple(given.values()),
                streams={} if stderr is None else {2: stderr},
            )
        except BaseException:
            ours.cut()
            raise
        ours.hand_over()
        self._lifelines[pid] = ours
        return pid

    def _reap(self) -> None:
        while self._lifelines:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._lifelines.pop(pid).cut()
            self._tell({"ended": pid, "code": os.waitstatus_to_exitcode(status)})

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self._control.send(json.dumps(message).encode())
        except OSError:  # the owner is gone, which the next read shows
            return


def become(call: str, arguments: dict[str, Any], environment: dict[str, str | None], folder: str | None) -> None:
    """Apply the environment and the folder, and call the requested function; called in the child."""
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if folder is not None:
        os.chdir(folder)
    module, _, function = call.partition(":")
    getattr(import_module(module), function)(**arguments)


def warm_up(entries: list[str], preload: list[str], left_out: dict[str, str]) -> None:
    """Call each entry's `preload`, then import the modules of `preload` that are not in `left_out`.

    Adds modules that cannot be imported to `left_out`. If a module makes forking impossible, the process starts again
    without it.
    """
    iri_grammar.leave_out()
    for entry in entries:
        import_module(entry).preload()
    # matplotlib reads its backend when it is imported. A kernel started on its own would set this one before.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    for module in preload:
        if module in left_out:
            continue
        try:
            with preloaded.noting(module):
                import_module(module)
        except ModuleNotFoundError:
            left_out[module] = "it is not installed"
        except Exception as error:  # noqa: BLE001 -- a broken package must only fail the runs that import it
            left_out[module] = f"{type(error).__name__}: {error}"
        obstacle = fork.obstacle()
        if obstacle is not None:
            _start_anew(left_out | {module: obstacle})


def _start_anew(left_out: dict[str, str]) -> None:
    """Execute this program again without the modules in `left_out`, because an import cannot be undone."""
    *words, given = sys.argv
    changed = json.dumps(json.loads(given) | {"left_out": left_out})
    for descriptor in map(int, words[1:]):
        os.set_inheritable(descriptor, True)
    interpreter = sys.orig_argv[: sys.orig_argv.index("-m")]
    os.execv(sys.executable, [*interpreter, "-m", "cloudo_kernel.processes", *words[1:], changed])  # noqa: S606 -- itself again


def main() -> None:
    """Warm up, tell the owner, and serve its requests."""
    descriptor, lifeline_descriptor, given = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    fork.name_process("cloudo-zygote")
    fork.gather()
    lifeline.hold(lifeline_descriptor)
    os.set_inheritable(descriptor, False)
    if not sys.flags.safe_path:
        sys.path.pop(0)  # the folder in which this was started
    sys._xoptions.pop("frozen_modules", None)  # forked processes must not pass the option on to theirs
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=descriptor)
    backend = os.environ.get("MPLBACKEND")
    warm_up(given["entries"], given["preload"], given["left_out"])
    if backend is None:
        os.environ.pop("MPLBACKEND")
    files = [file for entry in given["last_entries"] for file in import_module(entry).preload()]
    preloaded.note_loaded()
    assert threading.active_count() == 1, threading.enumerate()
    fork.freeze()
    ready = {"ready": True, "left_out": given["left_out"], "path": sys.path, "files": fingerprint(files)}
    control.send(json.dumps(ready | {"all_files": files}).encode())
    zygote = Zygote(control)
    zygote.serve()
