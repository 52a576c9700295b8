"""Every error Cloudo raises on purpose, as one tree.

    CloudoError
    ├── MalformedRequest               a request that makes no sense as such
    ├── NotConfirmed                   something unusual that nobody said is meant
    ├── InputsInvalid                  inputs that do not fit the flow's schema
    ├── FormInvalid                    a message's body that is no form
    ├── ResponseInvalid                an answer that does not fit the form
    ├── NameInvalid                    a name that cannot be a flow's
    ├── PathInvalid                    a path that leaves the workspace, or is no file's
    ├── TooLarge                       more than is taken at once
    ├── BodyTooSlow                    a body that does not come
    ├── FlowBroken                     a flow that cannot be read
    ├── PermissionDenied               known, but not allowed
    ├── ResourceNotFoundError          FlowNotFound, ExecutionNotFound, NotebookNotFound, MessageNotFound,
    │                                  ScheduleNotFound, WorkspaceNotFound, SettingNotFound, NoSuchFile,
    │                                  WebhookNotFound, DeliveryNotFound, TokenNotFound
    ├── Conflict                       FlowExists, IllegalTransition, ExecutionNotEnded, MessageClosed,
    │                                  IdempotencyConflict, SettingExists, WorkedOnByHand, TooDeep, DependencyCycle,
    │                                  WebhookExists
    ├── Outdated                       a change of what was changed since it was read
    ├── StaleAttempt                   a report of an attempt that is no longer the current one
    ├── Unavailable                    store or server out of reach
    ├── SignatureInvalid               a call of a webhook that is not signed as it should be
    ├── MethodNotAllowed               a method that a webhook does not take
    ├── ContentTypeRefused             a kind of body that a webhook does not take
    ├── TooManyCalls                   of a webhook, by one caller
    │   └── TooManyUnended             as many executions of a tree, or of a webhook, as the setting allows
    ├── AddressRefused                 an address outside that may not be called
    ├── SettingInvalid                 a value that does not fit a documented setting
    ├── DependencyFailedError          a child did not succeed
    ├── ReplayDiffers                  a durable flow that did not make the calls again that it had made
    ├── StepFailed                     a step had raised an error that cannot be made again
    └── WaitTimeout                    a wait was over before what it waited for: DependencyTimeoutError,
                                       MessageResponseTimeoutError

    ExecutionEnded (BaseException)     not an error: `this.success(...)` stops the notebook with it

`code` is the stable word for programs; which HTTP status belongs to it is decided in the extension only.
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
    """Rebuild an error that came over HTTP or a channel; an unknown code gives a plain `CloudoError`."""
    return rebuilt(_tree(CloudoError).get(code, CloudoError), message, field, errors)
