"""The command `cloudo`: one module per noun, each over `Api`. `command` joins them.

It is imported by `main` only: the magics use a few of the modules, and must not wait for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code. This is the entry point of the console script."""
    from cloudo_kernel.cli import command

    return command.main(arguments)
