"""Validates names of flows, and maps them to paths below a folder. Accesses files only to resolve links."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from cloudo_kernel.errors import NameInvalid

_MAX_NAME = 200
_MAX_SEGMENT = 120
#: File systems allow 255 bytes; the ending and the names of executed notebooks need some.
_MAX_SEGMENT_BYTES = 240
#: Devices on Windows, with any ending (learn.microsoft.com: Naming Files, Paths, and Namespaces).
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE)
#: Undecodable file names become unpaired surrogates; bidirectional controls make a name look like another.
_INVISIBLE = {"Cc", "Cs", "Zl", "Zp"}
_BIDIRECTIONAL = {*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}


def check_name(name: str) -> str:
    """Return the name in Unicode's form NFC. Raises `NameInvalid`."""
    if len(name) > 10 * _MAX_NAME:  # neither processed nor shown in full
        raise NameInvalid(f"{name[:_MAX_NAME]}…", f"it has more than {_MAX_NAME} characters")
    normal = unicodedata.normalize("NFC", name)
    if fault := name_fault(normal):
        raise NameInvalid(name, fault)
    return normal


@lru_cache(maxsize=1024)
def name_fault(name: str) -> str | None:
    """Return why a flow cannot have this name, or None if it can."""
    return next(_faults(name), None)


def _faults(name: str) -> Iterator[str]:
    if not name:
        yield "it is empty"
    if len(name) > _MAX_NAME:
        yield f"it has more than {_MAX_NAME} characters"
    if any(unicodedata.category(letter) in _INVISIBLE or letter in _BIDIRECTIONAL for letter in name):
        yield "it holds a control character"
    if "\\" in name:
        yield "it holds a backslash; folders are separated by '/'"
    if name.startswith("/") or name.endswith("/"):
        yield "it starts or ends with '/'"
    for ending in (".ipynb", ".py"):
        if name.casefold().endswith(ending):
            yield f"it goes without its ending {ending!r}"
    for segment in name.split("/"):
        yield from _segment_faults(segment)


def _segment_faults(segment: str) -> Iterator[str]:
    if not segment:
        yield "it holds '//'"
    if segment in (".", ".."):
        yield f"it holds the folder {segment!r}"
    if segment.startswith("."):
        yield f"{segment!r} starts with a dot, which hides files"
    if segment.endswith((" ", ".")):
        yield f"{segment!r} ends in a space or a dot"
    if len(segment) > _MAX_SEGMENT or len(segment.encode()) > _MAX_SEGMENT_BYTES:
        yield f"a part of it is longer than {_MAX_SEGMENT} characters or {_MAX_SEGMENT_BYTES} bytes"
    if _RESERVED.match(segment):
        yield f"Windows reserves the name {segment!r}"


def contained(folder: Path, name: str, ending: str) -> Path:
    """Return the path of the flow below `folder`, with links resolved.

    Raises `NameInvalid` for an invalid name and for a link that leaves the folder.
    """
    path = folder / f"{check_name(name)}{ending}"
    if not is_below(folder, path):
        raise NameInvalid(name, "its link leaves the folder of the flows")
    return Path(os.path.realpath(path))


def is_below(folder: Path, path: Path) -> bool:
    """Return whether `path`, with links resolved, is `folder` or inside it."""
    root = os.path.realpath(folder)
    try:
        # Compare whole segments: `startswith` takes flows-old/ for a part of flows (a CVE elsewhere).
        return os.path.commonpath([root, os.path.realpath(path)]) == root
    except ValueError:  # two drives on Windows
        return False
