"""Writes files atomically: a reader sees the old text or the new one, by default also after a power cut."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path

#: The errors of a file system for a name that is too long or contains unsupported characters.
NAME_REFUSED = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ})


def write_new(path: Path, text: str) -> None:
    """Create a new file and the folders above it. Raises `FileExistsError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path.parent, text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        move(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def write_over(path: Path, content: str | bytes, *, is_synced: bool = True) -> None:
    """Create a file, or replace the content of an existing one, which keeps its permissions.

    Without `is_synced` this does not wait for the disk: a power cut soon afterwards may lose the file.
    """
    temporary = _temporary(path.parent, content, is_synced=is_synced)
    try:
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if is_synced:
        _sync(path.parent)


def move(old: Path, new: Path) -> None:
    """Rename a file; a link itself is renamed. Raises `FileExistsError` if the new name is taken."""
    new.parent.mkdir(parents=True, exist_ok=True)
    new.touch(exist_ok=False)  # reserves the name; `replace` alone would overwrite
    try:
        old.replace(new)
    except OSError:
        new.unlink()
        raise
    _sync(new.parent)


def _temporary(folder: Path, content: str | bytes, *, is_synced: bool = True) -> Path:
    """Write the content to a hidden file in the folder, synced to disk if `is_synced`; return its path."""
    path = folder / f".{secrets.token_hex(8)}.tmp"
    try:
        with path.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            if is_synced:
                os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _sync(folder: Path) -> None:
    """Sync the names in a folder to disk; Windows has no such call, and does so by itself."""
    if os.name != "nt":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
