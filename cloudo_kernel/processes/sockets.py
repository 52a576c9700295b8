"""The paths of the Unix sockets of kernels. Apart from the runner, because a worker needs no notebook libraries."""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: Maximum path length of a Unix socket, without the final zero (`sun_path`; macOS and the BSDs have 4 bytes less).
_MAX_PATH_BYTES = 107 if sys.platform == "linux" else 103


def has_room(folder: Path) -> bool:
    """Return whether the socket paths of a kernel in `folder` are short enough."""
    return len(os.fsencode(folder / "kernel-5")) <= _MAX_PATH_BYTES
