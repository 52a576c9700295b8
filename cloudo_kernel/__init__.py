"""Cloudo: every notebook a flow, every run a durable, visible execution. `import cloudo_kernel as cloudo`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudo_kernel.flow_api import Execution, Flow, System
    from cloudo_kernel.widgets import Dashboard

__all__ = ["Dashboard", "Execution", "Flow", "System", "connect"]


def connect(where: str | None = None, *, token: str | None = None, **options: Any) -> System:
    """Connect to Cloudo and return the way to its flows and executions.

    `where` is a server's URL or a workspace's folder; without it, the running server is found, else the workspace.
    See `cloudo_kernel.discovery.connect` for how, and for the options. In IPython, errors are short from then on, and
    names of flows and inputs are completed.
    """
    from cloudo_kernel.discovery import connect as connect_api
    from cloudo_kernel.flow_api import System

    system = System(connect_api(where, token=token, **options))
    ipython = sys.modules.get("IPython")
    if ipython is not None and (shell := ipython.get_ipython()) is not None:
        from cloudo_kernel.cells import install

        install(shell)
    return system


def load_ipython_extension(shell: Any) -> None:
    """Give a notebook the magics `%flow`, `%%flow`, `%flows`, `%executions` and `%schedule`.

    IPython calls it for `%load_ext cloudo_kernel`.
    """
    from cloudo_kernel.cells import install
    from cloudo_kernel.cells.magics import CloudoMagics

    install(shell)
    CloudoMagics(shell).register()


def __getattr__(name: str) -> Any:
    # What takes long to import is imported when it is asked for: `cloudo --help` needs none of it.
    if name == "Dashboard":
        from cloudo_kernel.widgets import Dashboard

        return Dashboard
    if name in __all__:
        from cloudo_kernel import flow_api

        return getattr(flow_api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
