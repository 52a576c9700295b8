"""The files of a workspace, as flows and REST see them: never `.cloudo/`, and nothing outside."""

from __future__ import annotations

import base64
import errno
import fnmatch
import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath

from cloudo_kernel.errors import MalformedRequest, NoSuchFile, PathInvalid, PermissionDenied, TooLarge, Unavailable
from cloudo_kernel.models import File
from cloudo_kernel.workspace import atomic_write

#: Maximum size of a file that is read or written at once, because it travels as one JSON text.
LIMIT_BYTES = 16 * 1024 * 1024
#: Maximum number of files in one list.
LIST_LIMIT = 10_000
#: Maximum number of files and folders that are visited for one list.
VISIT_LIMIT = 100_000
#: A pattern with more parts exhausts Python's stack, and one with more `**` takes hours.
_MAX_PARTS = 40
_MAX_DEEP = 3
_OWN = ".cloudo"
_WILDCARD = re.compile(r"[*?[]")
#: Control characters, and unpaired surrogates, which UTF-8 cannot encode.
_UNPRINTABLE = {"Cc", "Cs"}
_MISSING = {errno.ENOENT, errno.ENOTDIR}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class WorkspaceFiles:
    """Reads and writes files below a workspace's root."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))

    def read(self, path: str, *, with_content: bool = True) -> File:
        """Return a file. Raises `NoSuchFile`, `PathInvalid`, `TooLarge`."""
        located = self.located(path)
        with _explained(path):
            # Do not block on a pipe without a writer. Do not follow a link that was created since links were resolved.
            flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
            with os.fdopen(os.open(located, flags), "rb") as file:
                found = os.fstat(file.fileno())
                _check_kind(path, found)
                if not with_content:
                    return _record(path, found)
                content = file.read(LIMIT_BYTES + 1)
        if len(content) > LIMIT_BYTES:
            raise _too_large(path, found.st_size)
        text, encoding = encoded(content)
        return _record(path, found, content=text, encoding=encoding)

    def write(self, path: str, content: bytes) -> File:
        """Create a file, or replace an existing one as a whole. Raises `PathInvalid`, `TooLarge`."""
        if len(content) > LIMIT_BYTES:
            raise _too_large(path, len(content))
        located = self.located(path)
        with _explained(path):
            if located.exists():
                _check_kind(path, located.stat())
            located.parent.mkdir(parents=True, exist_ok=True)
            atomic_write.write_over(located, content)
            return _record(path, located.stat())

    def delete(self, path: str) -> None:
        """Delete a file; a link is deleted without its target. Raises `NoSuchFile`, `PathInvalid`."""
        located = self.located(path)
        with _explained(path):
            _check_kind(path, located.stat())
            self._root.joinpath(path).unlink()

    def list(self, folder: str = ".", glob: str = "*") -> tuple[File, ...]:
        """Return the files below a folder whose paths match the pattern, sorted by path; `**` matches any folders.

        Links that leave the workspace are left out. Raises `NoSuchFile` if the folder does not exist.
        """
        here = self.located(folder, field="dir") if folder not in ("", ".", "./") else self._root
        if fault := next(_faults(glob), None):
            raise PathInvalid(glob, fault, field="glob")
        parts = glob.split("/")
        if len(parts) > _MAX_PARTS or parts.count("**") > _MAX_DEEP:
            fits = f"up to {_MAX_PARTS} parts, and up to {_MAX_DEEP} of them are **"
            raise MalformedRequest(f"A pattern of files has {fits}.", field="glob")
        with _explained(folder, field="dir"):
            if not here.is_dir():
                raise NoSuchFile(folder)
        if any("**" in part and part != "**" for part in parts):
            raise MalformedRequest(f"In the pattern {glob!r} ** has to be a whole part, as in **/*.csv.", field="glob")
        found: dict[str, File] = {}
        with _explained(glob, field="glob"):
            for path in _matching(here, [part for part in parts if part not in ("", ".")]):
                found |= {file.path: file for file in self._listed(path)}
                if len(found) > LIST_LIMIT:
                    raise TooLarge(f"More than {LIST_LIMIT:,} files match {glob!r} in {folder!r}.", field="glob")
        return tuple(found[path] for path in sorted(found))

    def located(self, path: str, *, field: str = "path") -> Path:
        """Return the absolute path, with links resolved. Raises `PathInvalid`."""
        if fault := next(_faults(path), None):
            raise PathInvalid(path, fault, field=field)
        located = Path(os.path.realpath(self._root / path))
        # Compare whole parts: `startswith` takes workspace-old/ for a part of workspace (a CVE elsewhere).
        if os.path.commonpath([self._root, located]) != str(self._root):
            raise PathInvalid(path, "it leads out of the workspace", field=field)
        parts = located.relative_to(self._root).parts
        if not parts:
            raise PathInvalid(path, "it is the workspace itself", field=field)
        if parts[0].casefold() == _OWN:  # on some file systems .Cloudo is the same folder
            raise PathInvalid(path, f"{_OWN}/ is for Cloudo alone", field=field)
        return located

    def _listed(self, path: Path) -> Iterator[File]:
        below = path.relative_to(self._root).as_posix()
        try:
            located = self.located(below)
            found = located.stat()
        except (PathInvalid, OSError):  # not accessible, or deleted meanwhile
            return
        if stat.S_ISREG(found.st_mode):
            yield _record(below, found)


def _matching(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yield the paths below a folder that match the parts of a pattern, like `Path.glob`; some come twice.

    `Path.glob` has no limit: `**/x` visits the whole workspace, however few files match. Raises `TooLarge`.
    """
    visited, waiting = 0, [(str(folder), tuple(parts))] if parts else []
    while waiting:
        here, (part, *rest) = waiting.pop()
        if part == "**" and rest:
            waiting.append((here, tuple(rest)))
        for entry, is_folder in _entries(here, part):
            visited += 1
            if visited > VISIT_LIMIT:
                message = f"The pattern looks at more than {VISIT_LIMIT:,} files. Name a folder with `dir`."
                raise TooLarge(message, field="glob")
            if not rest and part != "**":
                yield Path(entry)
            elif is_folder:
                waiting.append((entry, (part, *rest) if part == "**" else tuple(rest)))


def _entries(folder: str, part: str) -> Iterator[tuple[str, bool]]:
    """Yield the entries of a folder that match a part of a pattern, and whether each is a folder to search.

    `**` does not follow links. A folder that cannot be read yields nothing.
    """
    if part != "**" and not _WILDCARD.search(part):
        path = Path(folder, part)
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            path.lstat()
            yield str(path), path.is_dir()
        return
    fits = re.compile(fnmatch.translate("*" if part == "**" else part)).match
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if fits(entry.name):
                is_link_to_folder = part != "**" and entry.is_symlink() and Path(entry.path).is_dir()
                yield entry.path, is_link_to_folder or entry.is_dir(follow_symlinks=False)


def encoded(content: bytes) -> tuple[str, str]:
    """Return content for JSON and its encoding: UTF-8 text unchanged as `text`, anything else as `base64`."""
    try:
        return content.decode(), "text"
    except UnicodeDecodeError:
        return base64.b64encode(content).decode("ascii"), "base64"


def decoded(content: str, encoding: str) -> bytes:
    """Return the bytes that `encoded` encoded. Raises `MalformedRequest`."""
    try:
        if encoding == "text":
            return content.encode()
        if encoding == "base64":
            return base64.b64decode(content, validate=True)
    except ValueError as error:
        raise MalformedRequest(f"The content is not {encoding}: {error}.", field="content") from error
    raise MalformedRequest(f"The encoding is text or base64, not {encoding!r}.", field="encoding")


def _faults(path: str) -> Iterator[str]:
    if not path:
        yield "it is empty"
    if any(unicodedata.category(letter) in _UNPRINTABLE for letter in path):
        yield "it holds a control character"
    if "\\" in path:
        yield "it holds a backslash; folders are separated by '/'"
    if path.startswith("/") or (os.name == "nt" and PureWindowsPath(path).drive):
        yield "it is absolute; paths begin at the workspace"
    if ".." in path.split("/"):
        yield "it holds '..'"


def _check_kind(path: str, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise PathInvalid(path, "it is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise PathInvalid(path, "it is not a regular file")


def _record(path: str, found: os.stat_result, *, content: str | None = None, encoding: str = "text") -> File:
    modified_at = datetime.fromtimestamp(found.st_mtime, UTC)
    name = "/".join(part for part in path.split("/") if part not in ("", "."))
    return File(path=name, size=found.st_size, modified_at=modified_at, content=content, encoding=encoding)


def _too_large(path: str, size: int) -> TooLarge:
    return TooLarge(
        f"{path!r} has {size / 2**20:.1f} MiB; up to {LIMIT_BYTES / 2**20:.0f} MiB can be read or written at once. "
        "A flow can open large files itself.",
        field="content",
    )


@contextmanager
def _explained(path: str, *, field: str = "path") -> Iterator[None]:
    """Turn errors of the operating system into our own."""
    try:
        yield
    except OSError as error:
        if error.errno in _MISSING:
            raise NoSuchFile(path) from error
        if error.errno in _FORBIDDEN:
            raise PermissionDenied(f"{path!r}: {error.strerror}.", field=field) from error
        if error.errno == errno.EEXIST:  # in the place of a folder to create
            raise PathInvalid(path, "a part of it is a file", field=field) from error
        if error.errno in (errno.EISDIR, errno.ELOOP, errno.ENXIO, *atomic_write.NAME_REFUSED):
            raise PathInvalid(path, str(error.strerror).lower(), field=field) from error
        raise Unavailable(f"{path!r} cannot be read or written now: {error.strerror}.") from error
