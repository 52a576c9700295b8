"""`Service`, the in-process implementation of `Api`. It checks each request, then calls the store and the catalog."""

from __future__ import annotations

from cloudo_kernel.api import Api
from cloudo_kernel.service.due import DueVerbs
from cloudo_kernel.service.events import EventVerbs
from cloudo_kernel.service.executions import ExecutionVerbs
from cloudo_kernel.service.follow_ups import FollowUpVerbs
from cloudo_kernel.service.messages import MessageVerbs
from cloudo_kernel.service.notebooks import NotebookVerbs
from cloudo_kernel.service.queue import QueueVerbs
from cloudo_kernel.service.settings import SettingVerbs
from cloudo_kernel.service.tokens import TokenVerbs
from cloudo_kernel.service.workspace import WorkspaceVerbs

__all__ = ["Service"]


class Service(
    WorkspaceVerbs,
    FollowUpVerbs,
    ExecutionVerbs,
    NotebookVerbs,
    DueVerbs,
    MessageVerbs,
    EventVerbs,
    QueueVerbs,
    SettingVerbs,
    TokenVerbs,
    Api,
):
    """Implement `Api` over a store and a catalog for one caller. Cheap to create: use one per request."""
