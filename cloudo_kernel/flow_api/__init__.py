"""What flow authors touch: `system`, `this`, and the objects they give. `import flow_api` in the kernel is this."""

from __future__ import annotations

from cloudo_kernel.errors import (
    CloudoError,
    DependencyFailedError,
    MessageResponseTimeoutError,
    PermissionDenied,
    ResourceNotFoundError,
)
from cloudo_kernel.flow_api.calls import LazyApi, RunApi
from cloudo_kernel.flow_api.execution import Execution
from cloudo_kernel.flow_api.flow import Flow
from cloudo_kernel.flow_api.follow import follow
from cloudo_kernel.flow_api.message import Message
from cloudo_kernel.flow_api.system import ReturnWhen, System
from cloudo_kernel.flow_api.this import This

__all__ = [
    "CloudoError",
    "DependencyFailedError",
    "Execution",
    "Flow",
    "LazyApi",
    "Message",
    "MessageResponseTimeoutError",
    "PermissionDenied",
    "ResourceNotFoundError",
    "ReturnWhen",
    "RunApi",
    "System",
    "This",
    "follow",
]
