"""Finds people's own dashboards: the notebooks below `dashboards/` of a workspace. Reads only their titles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

from cloudo_kernel.models import OwnDashboard
from cloudo_kernel.workspace.catalog import notebook
from cloudo_kernel.workspace.catalog.places import NOTEBOOK, is_below

#: Maximum number of dashboards in a list. More would not fit on a page.
MAX_DASHBOARDS = 500


def dashboards(folder: Path) -> tuple[OwnDashboard, ...]:
    """Return the notebooks below `folder`, sorted by path.

    Hidden files, links that leave the folder, and names that are not text are left out.
    """
    found = [_described(folder, path) for path in islice(_notebooks(folder), MAX_DASHBOARDS)]
    return tuple(sorted(found, key=lambda one: one.path))


def _notebooks(folder: Path) -> Iterator[Path]:
    for here, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if _is_shown(name))
        for name in sorted(names):
            path = Path(here, name)
            if name.endswith(NOTEBOOK) and _is_shown(name) and path.is_file() and is_below(folder, path):
                yield path


def _is_shown(name: str) -> bool:
    """Return whether a name is not hidden, and can be sent as text."""
    return not name.startswith(".") and not any("\ud800" <= letter <= "\udfff" for letter in name)


def _described(folder: Path, path: Path) -> OwnDashboard:
    name = path.relative_to(folder).as_posix().removesuffix(NOTEBOOK)
    try:
        status = path.stat()
        title = _title(folder, path, status.st_mtime_ns, status.st_size)
    except OSError:  # deleted just now
        title = None
    return OwnDashboard(name=name, title=title or name, path=f"{folder.name}/{name}{NOTEBOOK}")


@lru_cache(maxsize=MAX_DASHBOARDS)
def _title(folder: Path, path: Path, _modified: int, _size: int) -> str | None:
    """Return the title in the notebook's metadata, else its first heading."""
    try:
        book = notebook.parse(notebook.read(folder, path))
    except (notebook.Unreadable, FileNotFoundError):
        return None
    title = book.metadata.get("title")
    return title if isinstance(title, str) and title.strip() else book.heading
