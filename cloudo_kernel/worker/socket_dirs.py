"""Creates one folder per worker for the sockets of its runners and kernels, and removes it as a whole.

The worker holds a lock on the folder as long as it lives; the system releases the lock however the worker ends. The
lock also keeps systemd's cleaner of temporary files away. The next worker that starts removes what a killed one left.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from cloudo_kernel.processes.sockets import has_room

try:
    import fcntl
except ImportError:  # Windows has no such sockets
    fcntl = None  # type: ignore[assignment]  # None means "not available"

#: Short, because the path of a socket is limited to 107 bytes.
_PREFIX = "cloudo-run-"
#: A name of maximum length: `mkdtemp` and the numbers of the runners extend the prefix.
_LONGEST_NAME = f"{_PREFIX}12345678/1234567890"
#: Alternatives, in this order, if the path of the folder for temporary files is too long.
_SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 -- `mkdtemp` creates a folder that only this user can enter


class SocketDirs:
    """The folder of one living worker, which only this user can enter."""

    def __init__(self) -> None:
        _remove_stale()
        self._numbers = itertools.count(1)
        self._make()

    def folder(self) -> Path:
        """Create a folder for one runner and return it; the caller removes it. Raises `OSError`."""
        while True:
            folder = self._folder / str(next(self._numbers))
            try:
                folder.mkdir(mode=0o700)
            except FileNotFoundError:  # the worker's folder was removed by others
                self._unlock()
                self._make()
            else:
                return folder

    def close(self) -> None:
        """Remove the folder and its contents; called when no runner is left."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._unlock()

    @property
    def has_room(self) -> bool:
        """Whether the paths of Unix sockets are short enough; otherwise kernels use TCP."""
        return has_room(self._folder / "1234567890")

    def _make(self) -> None:
        while True:
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_base()))
            self._descriptor = _lock(self._folder)
            if self._folder.exists():  # otherwise another worker removed it before it was locked
                return
            self._unlock()

    def _unlock(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def _base() -> str:
    """Return the folder for temporary files, or a shorter one if socket paths would be too long there."""
    usual = tempfile.gettempdir()
    others = [os.environ.get("XDG_RUNTIME_DIR", ""), *_SHORT_FOLDERS]
    return next((base for base in [usual, *others] if _is_fit(base)), usual)


def _is_fit(base: str) -> bool:
    return has_room(Path(base, _LONGEST_NAME)) and Path(base).is_absolute() and os.access(base, os.W_OK | os.X_OK)


def _lock(folder: Path) -> int | None:
    """Wait for the lock and return its descriptor; None without file locks, or if the folder is gone."""
    if fcntl is None:
        return None
    try:
        # A child that executes another program does not inherit it (PEP 446), so it ends with this process.
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _remove_stale() -> None:
    """Remove the folders of this user whose workers have died."""
    if fcntl is None:
        return
    for folder in Path(_base()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is gone, locked by a living worker, or not ours
            if folder.lstat().st_uid != os.getuid():
                continue
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
