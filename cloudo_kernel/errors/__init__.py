"""Every error Cloudo raises on purpose, as one tree.

    CloudoError
    ├── MalformedRequest               a request that is invalid by itself
    ├── NotConfirmed                   an unusual request without a confirmation
    ├── InputsInvalid                  inputs that do not match the flow's schema
    ├── FormInvalid                    a message body that is not a valid form
    ├── ResponseInvalid                an answer that does not match the form
    ├── NameInvalid                    an invalid name for a flow
    ├── PathInvalid                    a path outside of the workspace, or not of a file
    ├── SettingInvalid                 an invalid value for a documented setting
    ├── TooLarge                       a request, body or value above a size limit
    ├── BodyTooSlow                    a request body that did not arrive in time
    ├── FlowBroken                     a flow that cannot be read
    ├── PermissionDenied               a known caller without the permission
    ├── ResourceNotFoundError          a missing thing
    │   ├── FlowNotFound
    │   ├── ExecutionNotFound
    │   ├── NotebookNotFound
    │   ├── ResultNotFound
    │   ├── MessageNotFound
    │   ├── ScheduleNotFound
    │   ├── TokenNotFound
    │   ├── WorkspaceNotFound
    │   ├── SettingNotFound
    │   ├── NoSuchFile
    │   ├── WebhookNotFound
    │   └── DeliveryNotFound
    ├── Conflict                       a request that the current state does not allow
    │   ├── FlowExists
    │   ├── SettingExists
    │   ├── WebhookExists
    │   ├── IllegalTransition
    │   ├── ExecutionNotEnded
    │   ├── MessageClosed
    │   ├── WorkedOnByHand
    │   ├── IdempotencyConflict
    │   ├── TooDeep
    │   └── DependencyCycle
    ├── Outdated                       a change to something that changed since the caller read it
    ├── SignatureInvalid               a webhook call without a valid signature
    ├── MethodNotAllowed               a method that a webhook does not accept
    ├── ContentTypeRefused             a content type that a webhook does not accept
    ├── TooManyCalls                   too many webhook calls by one caller
    │   └── TooManyUnended             the limit of unended executions of a tree or webhook is reached
    ├── AddressRefused                 an outside address that may not be called
    ├── StaleAttempt                   a report of an attempt that is no longer the current one
    ├── Unavailable                    an unreachable store or server
    ├── SecretLost                     a secret whose key is missing or another one
    ├── DependencyFailedError          a child that did not succeed
    ├── ReplayDiffers                  a durable flow whose replay made other calls than the recorded ones
    ├── StepFailed                     a step's recorded error whose type cannot be recreated
    └── WaitTimeout                    a wait that timed out or was interrupted
        ├── DependencyTimeoutError
        └── MessageResponseTimeoutError

    ExecutionEnded (BaseException)     not an error: `this.success(...)` raises it to stop the notebook

`code` is the stable identifier for programs. `http_status` maps errors to HTTP status codes.
"""

from __future__ import annotations

from cloudo_kernel.errors.base import MAX_ERRORS as MAX_ERRORS
from cloudo_kernel.errors.base import CloudoError as CloudoError
from cloudo_kernel.errors.base import from_code as from_code
from cloudo_kernel.errors.base import raise_all as raise_all
from cloudo_kernel.errors.requests import AddressRefused as AddressRefused
from cloudo_kernel.errors.requests import BodyTooSlow as BodyTooSlow
from cloudo_kernel.errors.requests import Conflict as Conflict
from cloudo_kernel.errors.requests import ContentTypeRefused as ContentTypeRefused
from cloudo_kernel.errors.requests import DeliveryNotFound as DeliveryNotFound
from cloudo_kernel.errors.requests import DependencyCycle as DependencyCycle
from cloudo_kernel.errors.requests import ExecutionNotEnded as ExecutionNotEnded
from cloudo_kernel.errors.requests import ExecutionNotFound as ExecutionNotFound
from cloudo_kernel.errors.requests import FlowBroken as FlowBroken
from cloudo_kernel.errors.requests import FlowExists as FlowExists
from cloudo_kernel.errors.requests import FlowNotFound as FlowNotFound
from cloudo_kernel.errors.requests import FormInvalid as FormInvalid
from cloudo_kernel.errors.requests import IdempotencyConflict as IdempotencyConflict
from cloudo_kernel.errors.requests import IllegalTransition as IllegalTransition
from cloudo_kernel.errors.requests import InputsInvalid as InputsInvalid
from cloudo_kernel.errors.requests import MalformedRequest as MalformedRequest
from cloudo_kernel.errors.requests import MessageClosed as MessageClosed
from cloudo_kernel.errors.requests import MessageNotFound as MessageNotFound
from cloudo_kernel.errors.requests import MethodNotAllowed as MethodNotAllowed
from cloudo_kernel.errors.requests import NameInvalid as NameInvalid
from cloudo_kernel.errors.requests import NoSuchFile as NoSuchFile
from cloudo_kernel.errors.requests import NotConfirmed as NotConfirmed
from cloudo_kernel.errors.requests import NotebookNotFound as NotebookNotFound
from cloudo_kernel.errors.requests import Outdated as Outdated
from cloudo_kernel.errors.requests import PathInvalid as PathInvalid
from cloudo_kernel.errors.requests import PermissionDenied as PermissionDenied
from cloudo_kernel.errors.requests import ResourceNotFoundError as ResourceNotFoundError
from cloudo_kernel.errors.requests import ResponseInvalid as ResponseInvalid
from cloudo_kernel.errors.requests import ResultNotFound as ResultNotFound
from cloudo_kernel.errors.requests import ScheduleNotFound as ScheduleNotFound
from cloudo_kernel.errors.requests import SettingExists as SettingExists
from cloudo_kernel.errors.requests import SettingInvalid as SettingInvalid
from cloudo_kernel.errors.requests import SettingNotFound as SettingNotFound
from cloudo_kernel.errors.requests import SignatureInvalid as SignatureInvalid
from cloudo_kernel.errors.requests import TokenNotFound as TokenNotFound
from cloudo_kernel.errors.requests import TooDeep as TooDeep
from cloudo_kernel.errors.requests import TooLarge as TooLarge
from cloudo_kernel.errors.requests import TooManyCalls as TooManyCalls
from cloudo_kernel.errors.requests import TooManyUnended as TooManyUnended
from cloudo_kernel.errors.requests import WebhookExists as WebhookExists
from cloudo_kernel.errors.requests import WebhookNotFound as WebhookNotFound
from cloudo_kernel.errors.requests import WorkedOnByHand as WorkedOnByHand
from cloudo_kernel.errors.requests import WorkspaceNotFound as WorkspaceNotFound
from cloudo_kernel.errors.runs import DependencyFailedError as DependencyFailedError
from cloudo_kernel.errors.runs import DependencyTimeoutError as DependencyTimeoutError
from cloudo_kernel.errors.runs import ExecutionEnded as ExecutionEnded
from cloudo_kernel.errors.runs import MessageResponseTimeoutError as MessageResponseTimeoutError
from cloudo_kernel.errors.runs import ReplayDiffers as ReplayDiffers
from cloudo_kernel.errors.runs import SecretLost as SecretLost
from cloudo_kernel.errors.runs import StaleAttempt as StaleAttempt
from cloudo_kernel.errors.runs import StepFailed as StepFailed
from cloudo_kernel.errors.runs import Unavailable as Unavailable
from cloudo_kernel.errors.runs import WaitInterrupted as WaitInterrupted
from cloudo_kernel.errors.runs import WaitTimeout as WaitTimeout
