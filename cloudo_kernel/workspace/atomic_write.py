"""Writes files whole: whoever reads sees the old text or the new one, also after a power cut unless that is waived."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path

#: What a file system answers to a name that is too long for it, or holds letters that it does not know.
NAME_REFUSED = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ})


def write_new(path: Path, text: str) -> None:
    """Make a file that is not there yet, the folders above it too. Raises `FileExistsError`."""
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
    """Make a file, or give an existing one another content; it keeps its permissions then.

    Without `is_synced` the disk is not waited for: a power cut soon after it may take the file.
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
    """Rename a file, a link as such. Raises `FileExistsError` where another has the new name already."""
    new.parent.mkdir(parents=True, exist_ok=True)
    new.touch(exist_ok=False)  # reserves the name; `replace` alone would overwrite
    try:
        old.replace(new)
    except OSError:
        new.unlink()
        raise
    _sync(new.parent)


def _temporary(folder: Path, content: str | bytes, *, is_synced: bool = True) -> Path:
    """Write the content to a hidden file beside its place, safe on disk if it is to be."""
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
    """Make sure that the names in a folder are on disk; Windows cannot, and does so by itself."""
    if os.name != "nt":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
