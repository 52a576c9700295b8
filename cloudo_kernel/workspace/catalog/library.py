"""The location of the flows that come with Cloudo."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path


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
