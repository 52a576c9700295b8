"""`Client`: the verbs of a Jupyter server with the extension, over HTTP."""

from __future__ import annotations

from cloudo_kernel.client.executions import ExecutionVerbs
from cloudo_kernel.client.files import FileVerbs
from cloudo_kernel.client.flows import FlowVerbs
from cloudo_kernel.client.messages import MessageVerbs
from cloudo_kernel.client.schedules import ScheduleVerbs
from cloudo_kernel.client.settings import SettingVerbs
from cloudo_kernel.client.tokens import TokenVerbs
from cloudo_kernel.client.webhooks import WebhookVerbs

__all__ = ["Client"]


class Client(FlowVerbs, ExecutionVerbs, MessageVerbs, ScheduleVerbs, WebhookVerbs, SettingVerbs, FileVerbs, TokenVerbs):
    """`Api` over HTTP. Thread-safe."""
