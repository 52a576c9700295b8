"""Tells at once whether a worker of this machine is dead: it holds a locked file as long as it lives.

The operating system lets the lock go when the process ends, however it ends. Workers elsewhere, and ones that
live but do not move, are known by their heartbeat only (`dispatcher`).
"""

from __future__ import annotations

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there the heartbeat alone decides
    fcntl = None  # type: ignore[assignment]  # stands for "not here"


class Lease:
    """The lock file of a living worker."""

    def __init__(self, state: Path, worker_id: str) -> None:
        """Take the lock below the workspace's state folder. Whoever had this id before has lost it, or has died."""
        self._path = _path(state, worker_id)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = self._lock()
        while not self._is_there():  # somebody forgot a former holder in between
            os.close(self._descriptor)
            self._descriptor = self._lock()

    def close(self) -> None:
        """Let the lock go and remove the file."""
        self._path.unlink(missing_ok=True)
        self.let_go()

    def let_go(self) -> None:
        """Let the lock go but leave the file, so that others see at once that the worker is dead."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _lock(self) -> int:
        # Not inherited by a child that executes another program (PEP 446): it ends with this very process.
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # one who looks whether a former holder is dead has it for a moment
        return descriptor

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False


def is_dead(state: Path, worker_id: str) -> bool:
    """Return whether the worker has certainly ended; False when it lives, or when that cannot be told."""
    if fcntl is None:
        return False
    try:
        descriptor = os.open(_path(state, worker_id), os.O_RDWR)
    except FileNotFoundError:
        return False  # of another machine
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def forget(state: Path, worker_id: str) -> None:
    """Remove the lock file of a worker that has ended."""
    _path(state, worker_id).unlink(missing_ok=True)


def _path(state: Path, worker_id: str) -> Path:
    return state / "workers" / f"{worker_id}.lock"
