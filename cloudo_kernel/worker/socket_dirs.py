"""Where runners and kernels have their sockets: in one folder of the worker, which is removed as a whole.

The worker holds a lock on it as long as it lives, which the system lets go however it ends, and which keeps
systemd's cleaner of temporary files away, too. What a killed worker left is removed by the next one that starts.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from cloudo_kernel.runner.kernel_connection import has_room

try:
    import fcntl
except ImportError:  # Windows has no such sockets
    fcntl = None  # type: ignore[assignment]  # stands for "not here"

#: Short, as the path of a socket must be (107 bytes).
_PREFIX = "cloudo-run-"
#: What `mkdtemp` and the numbers of the runners add.
_LONGEST_NAME = f"{_PREFIX}12345678/1234567890"
#: Where the folders are when the folder for temporary files has a long path, in this order.
_SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 -- `mkdtemp` makes a folder that only this user can enter


class SocketDirs:
    """The folder of one living worker, which only this user can enter."""

    def __init__(self) -> None:
        _remove_stale()
        self._numbers = itertools.count(1)
        self._make()

    def folder(self) -> Path:
        """Make a folder for one runner and return it; whoever asks removes it. Raises `OSError`."""
        while True:
            folder = self._folder / str(next(self._numbers))
            try:
                folder.mkdir(mode=0o700)
            except FileNotFoundError:  # somebody cleans up here
                self._let_go()
                self._make()
            else:
                return folder

    def close(self) -> None:
        """Remove everything; called when no runner is left."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._let_go()

    @property
    def has_room(self) -> bool:
        """Whether Unix sockets fit into the folders; else kernels have TCP."""
        return has_room(self._folder / "1234567890")

    def _make(self) -> None:
        while True:
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_base()))
            self._descriptor = _lock(self._folder)
            if self._folder.exists():  # else another worker found it without a lock yet
                return
            self._let_go()

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def _base() -> str:
    """Return the folder for temporary files, or a shorter one where sockets would not fit into that."""
    usual = tempfile.gettempdir()
    others = [os.environ.get("XDG_RUNTIME_DIR", ""), *_SHORT_FOLDERS]
    return next((base for base in [usual, *others] if _is_fit(base)), usual)


def _is_fit(base: str) -> bool:
    return has_room(Path(base, _LONGEST_NAME)) and Path(base).is_absolute() and os.access(base, os.W_OK | os.X_OK)


def _lock(folder: Path) -> int | None:
    """Wait for the lock; None: it has none, or is gone."""
    if fcntl is None:
        return None
    try:
        # Not inherited by a child that executes another program (PEP 446): it ends with this very process.
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
        with suppress(OSError):  # it is gone, a living worker's, or none of ours
            if folder.lstat().st_uid != os.getuid():
                continue
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
