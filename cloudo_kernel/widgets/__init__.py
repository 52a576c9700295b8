"""Cloudo as ipywidgets, for notebooks and for people's own dashboards in JupyterLab, Voila and VS Code.

The front end is the same as that of the page. Its requests reach `Api` through the kernel (see `relay`).
"""

from __future__ import annotations

from cloudo_kernel.widgets.dashboard import Dashboard
from cloudo_kernel.widgets.lists import Executions, Flows, InputRequests
from cloudo_kernel.widgets.runs import ExecutionView, FlowForm, PlayButton, ScheduleForm

__all__ = [
    "Dashboard",
    "ExecutionView",
    "Executions",
    "FlowForm",
    "Flows",
    "InputRequests",
    "PlayButton",
    "ScheduleForm",
]
