"""Detects at once that a worker of this machine is dead: each worker keeps a file locked as long as it lives.

The operating system releases the lock when the process ends, however it ends. Workers of other machines, and living
ones that hang, are only detected by their heartbeat (`dispatcher`).
"""

from __future__ import annotations

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there the heartbeat alone decides
    fcntl = None  # type: ignore[assignment]  # means "not available"


class Lease:
    """The lock file of a living worker."""

    def __init__(self, state: Path, worker_id: str) -> None:
        """Take the lock below the workspace's state folder. A former holder of this id has lost it, or has died."""
        self._path = _path(state, worker_id)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = self._lock()
        while not self._is_there():  # `forget` removed a former holder's file in between
            os.close(self._descriptor)
            self._descriptor = self._lock()

    def close(self) -> None:
        """Release the lock and remove the file."""
        self._path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Release the lock but leave the file, so that others see at once that the worker is dead."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _lock(self) -> int:
        # A child that executes another program does not inherit it (PEP 446), so the lock ends with this process.
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # `is_dead` in another process may hold it briefly
        return descriptor

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False


def is_dead(state: Path, worker_id: str) -> bool:
    """Return whether the worker has certainly ended; False if it lives or if that is unknown."""
    if fcntl is None:
        return False
    try:
        descriptor = os.open(_path(state, worker_id), os.O_RDWR)
    except FileNotFoundError:
        return False  # a worker of another machine
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
