"""`Service`: the rules, in process. Every door ends here; it checks, then has the store and the catalog act."""

from __future__ import annotations

from cloudo_kernel.service.events import EventVerbs
from cloudo_kernel.service.executions import ExecutionVerbs
from cloudo_kernel.service.files import FileVerbs
from cloudo_kernel.service.flows import FlowVerbs
from cloudo_kernel.service.settings import SettingVerbs
from cloudo_kernel.service.starts import StartVerbs

__all__ = ["Service"]


class Service(FlowVerbs, StartVerbs, ExecutionVerbs, EventVerbs, SettingVerbs, FileVerbs):
    """`Api` over a store and a catalog, for one caller. Cheap to make: one per request."""
