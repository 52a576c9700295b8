"""A worker as `tests.forker` starts it: `cloudo worker`, or the module that the first word names."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Sequence
from importlib import import_module

# What a worker imports when it starts.
from cloudo_kernel.cli import main as command_line
from cloudo_kernel.worker import worker  # noqa: F401
from tests.faults import worker as faulty_worker  # noqa: F401


def main(words: Sequence[str]) -> int | None:
    """Run the worker until it is stopped, or until the process of the tests is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    module, *options = words
    return command_line(options) if not module else import_module(module).main(options)
