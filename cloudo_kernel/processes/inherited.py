"""Resets the process state that a forked kernel inherits, so that it equals that of a kernel started on its own.

The modules are loaded and remember the process before the fork: its folder, its arguments, the time of its start.
`tests/acceptance/test_before_the_fork.py` compares forked kernels with Jupyter's own.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: The folder in which a zygote imports. No module finds a file there, such as a `matplotlibrc`.
NEUTRAL_FOLDER = "/"


def begin(arguments: Sequence[str]) -> None:
    """Reset arguments, start time, temporary folder, key and random state; called once, in the forked kernel."""
    kernel = "cloudo_kernel.kernel"
    sys.argv = [str(Path(__file__).parents[1] / "kernel" / "__main__.py"), *arguments]
    sys.orig_argv = [sys.executable, "-m", kernel, *arguments]
    began: Any = logging
    began._startTime = time.time_ns() if isinstance(began._startTime, int) else time.time()  # Python 3.13 counts in ns
    tempfile.tempdir = None
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None:  # otherwise the children of one run could connect to those of another
        multiprocessing.current_process().authkey = os.urandom(32)
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:  # Python itself reseeds the generator of the standard library
        numpy_random.seed()


def enter(folder: str) -> None:
    """Change to a folder as if the process had been started there. Raises `OSError`."""
    os.chdir(folder)
    folder = str(Path.cwd())
    multiprocessing: Any = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None:
        multiprocessing.ORIGINAL_DIR = folder
    for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if "PYTHONPATH" in os.environ else ():
        before = os.path.normpath(f"{NEUTRAL_FOLDER}/{entry}")
        if not entry.startswith(os.sep) and before in sys.path:
            sys.path[sys.path.index(before)] = os.path.normpath(f"{folder}/{entry}")
    matplotlib: Any = sys.modules.get("matplotlib")
    if matplotlib is not None and Path("matplotlibrc").is_file():
        given = matplotlib.rc_params_from_file("matplotlibrc", use_default_template=False)
        given.pop("backend", None)  # the backend of the environment wins; ipykernel sets it
        matplotlib.rcParams.update(given)
        matplotlib.rcParamsOrig.update(given)
