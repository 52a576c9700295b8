"""The `system` of a shell: the kernel's own, or a connection that is made on first use."""

from __future__ import annotations

from functools import cache
from typing import Any

from cloudo_kernel.flow_api import System


def system_of(shell: Any) -> System:
    """Return the kernel's own `system`, which knows the running flow, or a connection in other kernels."""
    own = shell.builtin_trap.auto_builtins.get("system")
    return own if isinstance(own, System) else _connected()


@cache
def _connected() -> System:
    from cloudo_kernel.discovery import connect

    return System(connect())
