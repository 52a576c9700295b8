"""Forks this process into a child that calls one function and ends.

A process with other threads, an event loop or a zmq context must not be forked: the child would inherit their locks and
descriptors without the threads that serve them. `obstacle` reports them.
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
#: Roughly the memory that the default preloaded modules take.
_GATHERED = 48 * 2**20
#: Sizes in CPython: an arena, the largest object in an arena, and the header of a `bytes` object.
_ARENA, _LARGEST, _HEAD = 2**20, 512, 33
_kept: list[bytes | None] = []
_MADV_COLLAPSE = 25


def obstacle() -> str | None:
    """Return what prevents a fork here, as text, or None."""
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
    if threads:
        return f"a thread runs ({threads[0]})"
    # An event loop has an epoll descriptor, and so has each zmq context, in a native thread.
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
    """Fork a child in its own session that calls `module:function` and ends; return its process id.

    The child closes all descriptors but the standard ones, `keep` and `lifelines`, to which its group is tied.
    `streams` maps standard descriptors (0, 1, 2) to those that replace them. Raises `OSError`.
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
    """Set the name in `ps` and `top`, up to 15 characters, because a fork has its zygote's command line."""
    Path("/proc/self/comm").write_text(name)


def gather() -> None:
    """Allocate the memory for Python's objects in one piece, so that all of it is in huge pages; called before imports.

    By default Python allocates 1 MiB at a time, with the memory of libraries in between. It frees an arena that holds
    no object, so a few objects are kept.
    """
    blocks: list[bytes | None] = [None] * (_GATHERED // _LARGEST)
    for number in range(len(blocks)):
        blocks[number] = bytes(_LARGEST - _HEAD)
    _kept.extend(blocks[:: _ARENA // _LARGEST // 2])


def freeze() -> None:
    """Minimize the shared pages that children copy.

    The garbage collector ignores all objects that exist so far. Each kernel reads the names of all modules, and reading
    a Python object writes to its page; so the names are replaced by copies that lie side by side.
    """
    modules = [(name.encode().decode(), module) for name, module in sys.modules.items()]
    sys.modules.clear()
    sys.modules.update(modules)
    gc.collect()
    gc.freeze()
    _collapse()


def _collapse() -> None:
    """Move the memory to huge pages if the system has them: a fork copies the whole page table, which shrinks."""
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
    """Exit as an interpreter does, but without freeing objects one by one, which would copy shared memory."""
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
    except BaseException:  # noqa: BLE001 -- no caller is left; the parent reads the traceback
        traceback.print_exc()
    finally:
        end(code)


def _close_all_but(keep: set[int]) -> None:
    for descriptor in [int(link.name) for link in _OPEN.iterdir()]:
        if descriptor not in keep:
            with suppress(OSError):
                os.close(descriptor)


def _forget_parent() -> None:
    """Reset the signal handlers that the child inherited."""
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
