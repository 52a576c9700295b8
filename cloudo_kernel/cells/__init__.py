"""What a shell of IPython gets for the cells of a notebook: short errors, completion, and magics on `%load_ext`."""

from __future__ import annotations

from typing import Any

from cloudo_kernel.cells import completion, tracebacks


def install(shell: Any) -> None:
    """Shorten errors and complete names of flows and inputs in this shell. Doing it twice has no effect."""
    tracebacks.install(shell)
    completion.install(shell)
