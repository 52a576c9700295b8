"""Every error Cloudo raises on purpose, as one tree.

    CloudoError
    ├── MalformedRequest               a request that is invalid by itself
    ├── NotConfirmed                   an unusual request without a confirmation
    ├── InputsInvalid                  inputs that do not match the flow's schema
    ├── FormInvalid                    a message body that is not a valid form
    ├── ResponseInvalid                an answer that does not match the form
    ├── NameInvalid                    an invalid name for a flow
    ├── PathInvalid                    a path outside of the workspace, or not of a file
    ├── TooLarge                       a request, body or value above a size limit
    ├── BodyTooSlow                    a request body that did not arrive in time
    ├── FlowBroken                     a flow that cannot be read
    ├── PermissionDenied               a known caller without the permission
    ├── ResourceNotFoundError          FlowNotFound, ExecutionNotFound, NotebookNotFound, MessageNotFound,
    │                                  ScheduleNotFound, WorkspaceNotFound, SettingNotFound, NoSuchFile,
    │                                  WebhookNotFound, DeliveryNotFound, TokenNotFound
    ├── Conflict                       FlowExists, IllegalTransition, ExecutionNotEnded, MessageClosed,
    │                                  IdempotencyConflict, SettingExists, WorkedOnByHand, TooDeep, DependencyCycle,
    │                                  WebhookExists
    ├── Outdated                       a change to something that changed since the caller read it
    ├── StaleAttempt                   a report of an attempt that is no longer the current one
    ├── Unavailable                    an unreachable store or server
    ├── SignatureInvalid               a webhook call without a valid signature
    ├── MethodNotAllowed               a method that a webhook does not accept
    ├── ContentTypeRefused             a content type that a webhook does not accept
    ├── TooManyCalls                   too many webhook calls by one caller
    │   └── TooManyUnended             the setting's limit of unended executions of a tree or webhook is reached
    ├── AddressRefused                 an outside address that may not be called
    ├── SettingInvalid                 an invalid value for a documented setting
    ├── DependencyFailedError          a child that did not succeed
    ├── ReplayDiffers                  a durable flow whose replay made other calls than the recorded ones
    ├── StepFailed                     a step's recorded error whose type cannot be recreated
    └── WaitTimeout                    a wait that timed out or was interrupted: DependencyTimeoutError,
                                       MessageResponseTimeoutError

    ExecutionEnded (BaseException)     not an error: `this.success(...)` raises it to stop the notebook

`code` is the stable identifier for programs. Only the extension maps errors to HTTP status codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloudo_kernel.errors.base import MAX_ERRORS, CloudoError, raise_all, rebuilt
from cloudo_kernel.errors.calls import (
    AddressRefused,
    ContentTypeRefused,
    MethodNotAllowed,
    SignatureInvalid,
    TooManyCalls,
    TooManyUnended,
)
from cloudo_kernel.errors.conflicts import (
    Conflict,
    DependencyCycle,
    ExecutionNotEnded,
    FlowExists,
    IdempotencyConflict,
    IllegalTransition,
    MessageClosed,
    Outdated,
    SettingExists,
    TooDeep,
    WebhookExists,
    WorkedOnByHand,
)
from cloudo_kernel.errors.missing import (
    DeliveryNotFound,
    ExecutionNotFound,
    FlowNotFound,
    MessageNotFound,
    NoSuchFile,
    NotebookNotFound,
    ResourceNotFoundError,
    ScheduleNotFound,
    SettingNotFound,
    TokenNotFound,
    WebhookNotFound,
    WorkspaceNotFound,
)
from cloudo_kernel.errors.requests import (
    BodyTooSlow,
    FlowBroken,
    FormInvalid,
    InputsInvalid,
    MalformedRequest,
    NameInvalid,
    NotConfirmed,
    PathInvalid,
    PermissionDenied,
    ResponseInvalid,
    SettingInvalid,
    TooLarge,
)
from cloudo_kernel.errors.runs import (
    DependencyFailedError,
    DependencyTimeoutError,
    ExecutionEnded,
    MessageResponseTimeoutError,
    ReplayDiffers,
    SecretLost,
    StaleAttempt,
    StepFailed,
    Unavailable,
    WaitTimeout,
)

__all__ = [
    "MAX_ERRORS",
    "AddressRefused",
    "BodyTooSlow",
    "CloudoError",
    "Conflict",
    "ContentTypeRefused",
    "DeliveryNotFound",
    "DependencyCycle",
    "DependencyFailedError",
    "DependencyTimeoutError",
    "ExecutionEnded",
    "ExecutionNotEnded",
    "ExecutionNotFound",
    "FlowBroken",
    "FlowExists",
    "FlowNotFound",
    "FormInvalid",
    "IdempotencyConflict",
    "IllegalTransition",
    "InputsInvalid",
    "MalformedRequest",
    "MessageClosed",
    "MessageNotFound",
    "MessageResponseTimeoutError",
    "MethodNotAllowed",
    "NameInvalid",
    "NoSuchFile",
    "NotConfirmed",
    "NotebookNotFound",
    "Outdated",
    "PathInvalid",
    "PermissionDenied",
    "ReplayDiffers",
    "ResourceNotFoundError",
    "ResponseInvalid",
    "ScheduleNotFound",
    "SecretLost",
    "SettingExists",
    "SettingInvalid",
    "SettingNotFound",
    "SignatureInvalid",
    "StaleAttempt",
    "StepFailed",
    "TokenNotFound",
    "TooDeep",
    "TooLarge",
    "TooManyCalls",
    "TooManyUnended",
    "Unavailable",
    "WaitTimeout",
    "WebhookExists",
    "WebhookNotFound",
    "WorkedOnByHand",
    "WorkspaceNotFound",
    "from_code",
    "raise_all",
]


def _tree(root: type[CloudoError]) -> dict[str, type[CloudoError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def from_code(code: str, message: str, field: str | None = None, errors: Sequence[dict[str, Any]] = ()) -> CloudoError:
    """Rebuild an error received over HTTP or a channel. An unknown code gives a plain `CloudoError`."""
    return rebuilt(_tree(CloudoError).get(code, CloudoError), message, field, errors)
