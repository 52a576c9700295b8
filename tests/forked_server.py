"""Jupyter's server as `tests.forker` starts it."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from jupyter_server import serverapp

# What the server imports when it starts, and at its first request.
from cloudo_extension import app  # noqa: F401
from cloudo_extension.backend import backend  # noqa: F401
from cloudo_kernel.worker import worker  # noqa: F401

_CHECKOUT = str(Path(__file__).parents[1])


def main(words: Sequence[str]) -> None:
    """Serve until SIGTERM, or until the process of the tests is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    sys.path.insert(1, _CHECKOUT)  # as PYTHONPATH says
    serverapp.main(argv=list(words))
