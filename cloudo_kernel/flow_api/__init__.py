"""What flow authors touch: `system`, `this`, and the objects they give. `import flow_api` in the kernel is this."""

from __future__ import annotations

from cloudo_kernel.errors import (
    CloudoError,
    DependencyFailedError,
    PermissionDenied,
    ResourceNotFoundError,
)
from cloudo_kernel.flow_api.calls import LazyApi, RunApi
from cloudo_kernel.flow_api.execution import Execution
from cloudo_kernel.flow_api.file import File
from cloudo_kernel.flow_api.flow import Flow
from cloudo_kernel.flow_api.follow import follow
from cloudo_kernel.flow_api.setting import Setting
from cloudo_kernel.flow_api.system import ReturnWhen, System
from cloudo_kernel.flow_api.this import This

__all__ = [
    "CloudoError",
    "DependencyFailedError",
    "Execution",
    "File",
    "Flow",
    "LazyApi",
    "PermissionDenied",
    "ResourceNotFoundError",
    "ReturnWhen",
    "RunApi",
    "Setting",
    "System",
    "This",
    "follow",
]
