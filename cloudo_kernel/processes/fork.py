"""Forks this process into a child that calls one function and ends.

Only a process that has neither threads nor an event loop nor a zmq context may be forked: the child would have their
locks and descriptors without what serves them. `obstacle` says what is in the way.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from cloudo_kernel.processes import lifeline

_OPEN = Path("/proc/self/fd")
_HUGE = 2**21
#: What the modules that are preloaded by default take, about.
_GATHERED = 48 * 2**20
#: Python's own measures: what it takes at once, and of that the most for one object, and for the head of `bytes`.
_ARENA, _LARGEST, _HEAD = 2**20, 512, 33
_kept: list[bytes | None] = []
_MADV_COLLAPSE = 25


def obstacle() -> str | None:
    """Say in words what forbids a fork here, or None."""
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
    if threads:
        return f"a thread runs ({threads[0]})"
    # An event loop has one, and so has each zmq context, in its own native thread.
    if any(_target(link) == "anon_inode:[eventpoll]" for link in _OPEN.iterdir()):
        return "an event loop or a zmq context is open"
    return None


def fork(
    call: str,
    arguments: Mapping[str, Any],
    *,
    lifelines: Sequence[int],
    keep: Sequence[int] = (),
    streams: Mapping[int, int] | None = None,
) -> int:
    """Fork a child, in a session of its own, that calls `module:function` and ends; return its process id.

    Of the open descriptors it has the standard ones, `keep` and `lifelines`, to which its group is tied.
    `streams` says which descriptors become its standard ones (0, 1, 2). Raises `OSError`.
    """
    found = obstacle()
    assert found is None, f"{found}: the child would hang"
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _be_child(call, arguments, lifelines=lifelines, keep=keep, streams=streams or {})
    return pid


def name_process(name: str) -> None:
    """Give this process a name for `ps` and `top`, of at most 15 characters: its command line is its zygote's."""
    Path("/proc/self/comm").write_text(name)


def gather() -> None:
    """Have Python take its memory for objects in one piece, before it takes any: then all of it is in huge pages.

    By itself it takes a mebibyte whenever it needs one, and libraries come to lie between. It gives back what holds no
    object at all, so a few are kept.
    """
    blocks: list[bytes | None] = [None] * (_GATHERED // _LARGEST)
    for number in range(len(blocks)):
        blocks[number] = bytes(_LARGEST - _HEAD)
    _kept.extend(blocks[:: _ARENA // _LARGEST // 2])


def freeze() -> None:
    """Have the children copy as few pages as can be of those that they share.

    The collector keeps off everything there is so far. Each kernel reads the names of all modules, which are copies
    now, side by side: a process that reads an object of Python's writes its page.
    """
    modules = [(name.encode().decode(), module) for name, module in sys.modules.items()]
    sys.modules.clear()
    sys.modules.update(modules)
    gc.collect()
    gc.freeze()
    _collapse()


def _collapse() -> None:
    """Put the memory into huge pages where the system has them: a fork copies the table of pages, of all there are."""
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if advise is None:
        return
    for line in Path("/proc/self/maps").read_text().splitlines():
        area, rights, _, _, inode, *_ = line.split()
        start, end = (int(address, 16) for address in area.split("-"))
        start, end = -(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE
        if rights == "rw-p" and inode == "0" and start < end:
            advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_COLLAPSE)


def end(code: int) -> NoReturn:
    """End as an interpreter does, without taking the shared memory apart object by object."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for the threads, as multiprocessing's children do
        atexit._run_exitfuncs()
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        os._exit(code)


def _be_child(
    call: str,
    arguments: Mapping[str, Any],
    *,
    lifelines: Sequence[int],
    keep: Sequence[int],
    streams: Mapping[int, int],
) -> NoReturn:
    code = 1
    try:
        os.setsid()
        for descriptor in lifelines:
            lifeline.tie_here(descriptor)
        for standard, descriptor in streams.items():
            os.dup2(descriptor, standard)
        _close_all_but({0, 1, 2, *keep, *lifelines})
        _forget_parent()
        module, _, function = call.partition(":")
        getattr(import_module(module), function)(**arguments)
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException:  # noqa: BLE001 -- nobody is left to handle it; whoever waits for the child reads it
        traceback.print_exc()
    finally:
        end(code)


def _close_all_but(keep: set[int]) -> None:
    for descriptor in [int(link.name) for link in _OPEN.iterdir()]:
        if descriptor not in keep:
            with suppress(OSError):
                os.close(descriptor)


def _forget_parent() -> None:
    """Undo what the child has of its parent: signal handlers."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # the descriptor of the listing itself
        return ""
