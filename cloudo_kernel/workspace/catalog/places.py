"""Finds the files of flows: first below the workspace's flows folder, then below the folders of the library."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudo_kernel.errors import NameInvalid
from cloudo_kernel.models import FlowSource
from cloudo_kernel.workspace.catalog.names import check_name

NOTEBOOK = ".ipynb"
SCRIPT = ".py"
#: The endings of flows. If two files differ only in their ending, the first one wins.
_ENDINGS = (NOTEBOOK, SCRIPT)


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
                    place = _place(source, root, Path(folder, file))
                    winner = found.setdefault(place.name, place)
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
                    return _place(source, root, Path(path))
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


def _place(source: FlowSource, root: Path, path: Path) -> Place:
    ending = SCRIPT if path.name.endswith(SCRIPT) else NOTEBOOK
    return Place(printable(path.relative_to(root).as_posix()).removesuffix(ending), source, root, path)
