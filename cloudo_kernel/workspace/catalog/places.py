"""Finds the files of flows: first below the workspace's flows folder, then below the folders of the library.

Checks their names, too.
"""

from __future__ import annotations

import os
import re
import sysconfig
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cloudo_kernel.errors import NameInvalid
from cloudo_kernel.models import FlowSource

NOTEBOOK = ".ipynb"
SCRIPT = ".py"
#: The endings of flows. If two files differ only in their ending, the first one wins.
_ENDINGS = (NOTEBOOK, SCRIPT)

_MAX_NAME = 200
_MAX_SEGMENT = 120
#: File systems allow 255 bytes; the ending and the names of executed notebooks need some.
_MAX_SEGMENT_BYTES = 240
#: Devices on Windows, with any ending (learn.microsoft.com: Naming Files, Paths, and Namespaces).
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE)
#: Undecodable file names become unpaired surrogates; bidirectional controls make a name look like another.
_INVISIBLE = {"Cc", "Cs", "Zl", "Zp"}
_BIDIRECTIONAL = {*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}


def sort_key(name: str) -> tuple[str, str]:
    """Return the key that sorts flows by name."""
    return name.casefold(), name


@dataclass(frozen=True)
class Place:
    """A file that is, or claims to be, a flow."""

    #: The path below the root without the ending, or with it if another file has that name (`winner`).
    name: str
    source: FlowSource
    #: The folder that the name is relative to, with links resolved.
    root: Path
    path: Path
    #: The file beside it that has the name.
    winner: Path | None = None

    @property
    def ending(self) -> str:
        """The ending of the file name."""
        return SCRIPT if self.path.name.endswith(SCRIPT) else NOTEBOOK


class Places:
    """The folders of flows, in the order in which they are searched."""

    def __init__(self, own: Path, library: Sequence[Path]) -> None:
        folders = [(FlowSource.WORKSPACE, own), *((FlowSource.LIBRARY, folder) for folder in library)]
        self._roots = [(source, Path(os.path.realpath(folder))) for source, folder in folders]

    @property
    def own(self) -> Path:
        """The folder of the workspace's flows, with links resolved."""
        return self._roots[0][1]

    def all(self) -> dict[str, Place]:
        """Return the files in all folders by name; the first file of a name wins.

        A script beside a notebook of the same name is listed under its file name.
        """
        found: dict[str, Place] = {}
        for source, root in self._roots:
            for folder, below, names in os.walk(root):
                below[:] = sorted(name for name in below if name[0] != "." and name != "__pycache__")
                files = [name for name in names if _is_flow(name)]
                for file in sorted(files, key=lambda name: (not name.endswith(NOTEBOOK), name)):
                    place = _place(source, root, f"{folder}/{file}")
                    winner = found.setdefault(place.name, place)
                    if winner is place:
                        continue
                    if winner.path.parent == place.path.parent and winner.path.suffix != place.path.suffix:
                        name = f"{place.name}{place.ending}"
                        found.setdefault(name, Place(name, source, root, place.path, winner.path))
        return found

    def find(self, name: str) -> Place | None:
        """Return the file of a flow, or None if it does not exist. Raises `NameInvalid`."""
        normal = check_name(name)
        below, _, last = normal.rpartition("/")
        for source, root in self._roots:
            # Strings, not paths: creating a path takes as long as checking whether the file exists.
            top = str(root)
            # Resolve links among the folders, so that each file has one name and no path leaves the root later.
            folder = os.path.realpath(f"{top}/{below}")
            if folder != top and not Path(folder).is_relative_to(root):
                raise NameInvalid(name, "its link leaves the folder of the flows")
            for ending in _ENDINGS:
                path = f"{folder}/{last}{ending}"
                if _is_flow(f"{last}{ending}") and os.path.lexists(path):
                    return _place(source, root, path)
            # Some systems write file names decomposed (NFD).
            if not normal.isascii() and (place := self.all().get(normal)) and place.source == source:
                return place
        return None


def printable(name: str) -> str:
    """Return a file name as valid text for JSON: undecodable bytes become `�`."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode(errors="replace"))


def _is_flow(file: str) -> bool:
    """Return whether a file name can be a flow's; Python modules for other flows begin with `_`."""
    return file.endswith(_ENDINGS) and not file.startswith((".", "_") if file.endswith(SCRIPT) else ".")


@lru_cache(maxsize=20_000)
def _place(source: FlowSource, root: Path, file: str) -> Place:
    """Return the place of a file. Cached: for 500 flows the paths take longer than reading the folders."""
    path = Path(file)
    ending = SCRIPT if path.name.endswith(SCRIPT) else NOTEBOOK
    return Place(printable(path.relative_to(root).as_posix()).removesuffix(ending), source, root, path)


def library_folders() -> tuple[Path, ...]:
    """Return `CLOUDO_LIBRARY`, else the checkout's `flows/`, else the installed one, or an empty tuple.

    `CLOUDO_LIBRARY` may name several folders, separated as in `PATH`.
    """
    if named := os.environ.get("CLOUDO_LIBRARY"):
        return tuple(Path(folder).expanduser() for folder in named.split(os.pathsep) if folder)
    checkout = Path(__file__).parents[3]
    places = [checkout / "flows"] if (checkout / "pyproject.toml").is_file() else []
    for scheme in (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")):
        places.append(Path(sysconfig.get_path("data", scheme), "share", "cloudo", "flows"))
    return tuple(place for place in places if place.is_dir())[:1]


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
            yield f"give it without its ending {ending!r}"
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
