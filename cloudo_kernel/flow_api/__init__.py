"""The API for flow authors: `system`, `this`, and the objects they return. In a kernel, its name is `flow_api`."""

from __future__ import annotations

from cloudo_kernel import errors as exceptions
from cloudo_kernel.errors import (
    CloudoError,
    DependencyFailedError,
    DependencyTimeoutError,
    InputsInvalid,
    MessageResponseTimeoutError,
    PermissionDenied,
    ResourceNotFoundError,
)
from cloudo_kernel.flow_api.calls import LazyApi, RunApi
from cloudo_kernel.flow_api.execution import Execution, ReturnWhen
from cloudo_kernel.flow_api.file import File
from cloudo_kernel.flow_api.flow import Flow
from cloudo_kernel.flow_api.message import Message
from cloudo_kernel.flow_api.progress import follow
from cloudo_kernel.flow_api.schedule import Schedule
from cloudo_kernel.flow_api.setting import Setting
from cloudo_kernel.flow_api.system import Named, System
from cloudo_kernel.flow_api.this import This

__all__ = [
    "CloudoError",
    "DependencyFailedError",
    "DependencyTimeoutError",
    "Execution",
    "File",
    "Flow",
    "InputsInvalid",
    "LazyApi",
    "Message",
    "MessageResponseTimeoutError",
    "Named",
    "PermissionDenied",
    "ResourceNotFoundError",
    "ReturnWhen",
    "RunApi",
    "Schedule",
    "Setting",
    "System",
    "This",
    "exceptions",
    "follow",
]
