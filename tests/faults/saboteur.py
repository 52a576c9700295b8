"""Breaks background loops of the process that it is loaded into, as bugs and hanging disks would.

It is a server extension, and `tests.faults.worker --saboteur` starts it, too. For each file `kill-NAME` in the
workspace it ends the thread of the loop NAME. For `block-runner-pool` that loop hangs until the file is removed.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
import time
from pathlib import Path
from typing import Any

from cloudo_kernel.worker.runner_pool import RunnerPool


def _load_jupyter_server_extension(server: Any) -> None:
    start(Path(server.root_dir))


def start(folder: Path) -> None:
    """Watch a folder for orders, on a thread."""
    threading.Thread(target=_watch, args=[folder], name="saboteur", daemon=True).start()


def _watch(folder: Path) -> None:
    while True:
        for order in folder.glob("kill-*"):
            order.unlink()
            _kill(f"cloudo-{order.name.removeprefix('kill-')}")
        if (folder / "block-runner-pool").exists():
            _block_runner_pool(folder / "block-runner-pool")
        time.sleep(0.1)


def _kill(thread_name: str) -> None:
    for thread in threading.enumerate():
        if thread.name == thread_name and thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))


def _block_runner_pool(order: Path) -> None:
    """Hold the lock that each step of the pool's loop takes."""
    with contextlib.ExitStack() as held:
        for pool in [one for one in gc.get_objects() if type(one) is RunnerPool]:
            held.enter_context(pool._lock)
        while order.exists():
            time.sleep(0.1)
