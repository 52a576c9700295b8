"""The command line as `tests.forker` starts it."""

from __future__ import annotations

# What most commands import.
import httpx  # noqa: F401
import rich.table  # noqa: F401
import yaml  # noqa: F401

from cloudo_kernel import discovery  # noqa: F401
from cloudo_kernel.cli import main
from cloudo_kernel.service import local  # noqa: F401

__all__ = ["main"]
