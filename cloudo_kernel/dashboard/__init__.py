"""The dashboard: a thin widget layer over `Api`, the same in Voila, JupyterLab and Notebook.

`Dashboard` is the widget. The page side is the hand-written ES modules and style sheets beside this file; they ask
the fixed verbs of `calls`, and `watcher` pushes what changed. Nothing is kept here: the service has the truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudo_kernel.dashboard.widget import Dashboard

__all__ = ["Dashboard"]


def __getattr__(name: str) -> Any:
    # The server reads `page_source` for the page's first paint; it has no use for ipywidgets.
    if name == "Dashboard":
        from cloudo_kernel.dashboard.widget import Dashboard

        return Dashboard
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
