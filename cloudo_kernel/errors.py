"""Every error Cloudo raises on purpose, as one tree.

    CloudoError
    ├── MalformedRequest               a request that makes no sense as such
    ├── InputsInvalid                  inputs that do not fit the flow's schema
    ├── FormInvalid                    a message's body that is no form
    ├── ResponseInvalid                an answer that does not fit the form
    ├── NameInvalid                    a name that cannot be a flow's
    ├── PathInvalid                    a path that leaves the workspace, or is no file's
    ├── TooLarge                       more than is taken at once
    ├── FlowBroken                     a flow that cannot be read
    ├── PermissionDenied               known, but not allowed
    ├── ResourceNotFoundError          FlowNotFound, ExecutionNotFound, NotebookNotFound, MessageNotFound,
    │                                  WorkspaceNotFound, SettingNotFound, NoSuchFile
    ├── Conflict                       FlowExists, IllegalTransition, ExecutionNotEnded, MessageClosed,
    │                                  IdempotencyConflict, SettingExists, WorkedOnByHand, TooDeep, DependencyCycle
    ├── StaleAttempt                   a report of an attempt that is no longer the current one
    ├── Unavailable                    store or server out of reach
    ├── SettingInvalid                 a value that does not fit a documented setting
    ├── DependencyFailedError          a child did not succeed
    ├── ReplayDiffers                  a durable flow that did not make the calls again that it had made
    └── WaitTimeout                    a wait was over before what it waited for: DependencyTimeoutError,
                                       MessageResponseTimeoutError

    ExecutionEnded (BaseException)     not an error: `this.success(...)` stops the notebook with it

`code` is the stable word for programs; which HTTP status belongs to it is decided in the extension only.
"""

from __future__ import annotations

from collections.abc import Sequence


class CloudoError(Exception):
    """Base of all errors of this project."""

    code = "error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        #: The input, parameter or setting that is at fault, where there is one.
        self.field = field


class MalformedRequest(CloudoError):
    """A request that makes no sense as such: not JSON, a wrong type, an unknown or contradictory field."""

    code = "malformed"


class NotConfirmed(CloudoError):
    """What was asked for is unusual, and takes `confirmed` to say that it is meant."""

    code = "not_confirmed"

    def __init__(self, notes: Sequence[str]) -> None:
        super().__init__(f"{' '.join(notes)} If that is meant, say so with confirmed: true.", field="confirmed")


class InputsInvalid(CloudoError):
    """The inputs do not fit the schema of the flow."""

    code = "inputs_invalid"


class FormInvalid(CloudoError):
    """The body of a message is no form; `field` is the place in it."""

    code = "form_invalid"

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"The form cannot be used: {place!r} {what}.", field=place)


class ResponseInvalid(CloudoError):
    """An answer does not fit the form of the input request; `field` is the element's key."""

    code = "response_invalid"

    def __init__(self, key: str | None, what: str) -> None:
        super().__init__(f"The answer {what}." if key is None else f"{key!r} {what}.", field=key or "response")


class NameInvalid(CloudoError):
    """A name that cannot be the name of a flow."""

    code = "name_invalid"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name!r} cannot be the name of a flow: {reason}.", field="name")


class PathInvalid(CloudoError):
    """A path that cannot be the path of a file in the workspace."""

    code = "path_invalid"

    def __init__(self, path: str, reason: str, *, field: str = "path") -> None:
        super().__init__(f"{path!r} cannot be the path of a file in the workspace: {reason}.", field=field)


class TooLarge(CloudoError):
    """More than is taken at once."""

    code = "too_large"


class FlowBroken(CloudoError):
    """The flow exists but cannot be read as a notebook."""

    code = "flow_broken"

    def __init__(self, flow_name: str, reason: str) -> None:
        super().__init__(f"The flow {flow_name!r} is broken: {reason}. Open it, repair it, and start it again.")


class PermissionDenied(CloudoError):
    """The caller is known, but not allowed to do this."""

    code = "permission_denied"


class ResourceNotFoundError(CloudoError):
    """Something that was named does not exist."""

    code = "not_found"


class FlowNotFound(ResourceNotFoundError):
    """No flow has this name."""

    code = "flow_not_found"

    def __init__(self, flow_name: str, *, similar: Sequence[str] = ()) -> None:
        hint = f" Did you mean {' or '.join(map(repr, similar))}?" if similar else ""
        super().__init__(f"There is no flow {flow_name!r}.{hint}", field="flow_name")


class ExecutionNotFound(ResourceNotFoundError):
    """No execution has this id."""

    code = "execution_not_found"

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"There is no execution {execution_id!r}.")


class NotebookNotFound(ResourceNotFoundError):
    """The execution has no executed notebook (yet)."""

    code = "notebook_not_found"

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"The execution {execution_id} has no executed notebook: it has not started yet, or its file was removed."
        )


class MessageNotFound(ResourceNotFoundError):
    """No message has this id (any more)."""

    code = "message_not_found"

    def __init__(self, message_id: str) -> None:
        super().__init__(f"There is no message {message_id!r}; it may have been deleted.")


class ScheduleNotFound(ResourceNotFoundError):
    """No schedule has this id (any more)."""

    code = "schedule_not_found"

    def __init__(self, schedule_id: str) -> None:
        super().__init__(f"There is no schedule {schedule_id!r}; it may have been deleted.")


class WorkspaceNotFound(ResourceNotFoundError):
    """No folder here or above holds a workspace."""

    code = "workspace_not_found"

    def __init__(self, start: str) -> None:
        super().__init__(
            f"No Cloudo workspace at or above {start}. Make one with `cloudo up {start}`, "
            "or name one with --workspace or CLOUDO_WORKSPACE."
        )


class SettingNotFound(ResourceNotFoundError):
    """No setting of this name was saved, and the system reads none of this name."""

    code = "setting_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no setting {name!r}.", field="name")


class NoSuchFile(ResourceNotFoundError):
    """There is no file at this path."""

    code = "file_not_found"

    def __init__(self, path: str) -> None:
        super().__init__(f"There is no file {path!r} in the workspace.", field="path")


class Conflict(CloudoError):
    """The state of things does not allow this now."""

    code = "conflict"


class FlowExists(Conflict):
    """A flow of this name is already there."""

    code = "flow_exists"

    def __init__(self, flow_name: str) -> None:
        super().__init__(
            f"There is already a flow {flow_name!r}. Choose another name, or change that one.", field="name"
        )


class SettingExists(Conflict):
    """A setting of this name was saved before."""

    code = "setting_exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is already a setting {name!r}. Change that one, or choose another name.", field="name")


class IllegalTransition(Conflict):
    """An execution cannot go from its state to the one asked for."""

    code = "illegal_transition"

    def __init__(self, execution_id: str, status: str, wanted: str, history: Sequence[str] = ()) -> None:
        story = f" Its history: {', '.join(history)}." if history else ""
        super().__init__(f"The execution {execution_id} is {status} and cannot become {wanted}.{story}")


class ExecutionNotEnded(Conflict):
    """Only an ended execution can be deleted or retried."""

    code = "execution_not_ended"

    def __init__(self, execution_id: str, status: str) -> None:
        super().__init__(
            f"The execution {execution_id} is {status}. Only ended ones can be deleted or retried: "
            "wait for its end, or cancel it."
        )


class MessageClosed(Conflict):
    """The message takes no answer (any more): it has one, has expired, was withdrawn, or never asked for one."""

    code = "message_closed"

    def __init__(self, message_id: str, why: str) -> None:
        super().__init__(f"The message {message_id} takes no answer: {why}.")


class WorkedOnByHand(Conflict):
    """What goes for a run does not go for a notebook that somebody works on by hand."""

    code = "worked_on_by_hand"

    def __init__(self, execution_id: str, verb: str) -> None:
        super().__init__(
            f"The execution {execution_id} is a notebook worked on by hand, which cannot be {verb}. "
            "Run its flow instead."
        )


class IdempotencyConflict(Conflict):
    """The idempotency key was used before with another request."""

    code = "idempotency_conflict"

    def __init__(self, key: str) -> None:
        super().__init__(f"The idempotency key {key!r} was used in the last 24 hours with another body.")


class TooDeep(Conflict):
    """An execution would have more executions above it than the setting allows."""

    code = "too_deep"

    def __init__(self, name: str, most: int) -> None:
        super().__init__(
            f"{name!r} would have more than {most} executions above it, parent over parent. Does a flow start itself "
            "without end? If not, raise the setting client.execution.max_depth."
        )


class DependencyCycle(Conflict):
    """Executions would wait for each other, and none of them could ever go on."""

    code = "dependency_cycle"

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__(f"These executions would wait for each other for ever: {' → '.join(cycle)}.")


class StaleAttempt(CloudoError):
    """A report of an attempt that is no longer the current one. Nothing was changed."""

    code = "stale_attempt"

    def __init__(self, execution_id: str, attempt: int) -> None:
        super().__init__(
            f"Attempt {attempt} of the execution {execution_id} is not the current one; its report was ignored."
        )


class Unavailable(CloudoError):
    """The store or the server cannot be reached."""

    code = "unavailable"


class SettingInvalid(CloudoError):
    """A value that does not fit a documented setting."""

    code = "setting_invalid"

    def __init__(self, name: str, fits: str) -> None:
        super().__init__(f"The setting {name!r} takes {fits}.", field=name)


class DependencyFailedError(CloudoError):
    """A child did not succeed."""

    code = "dependency_failed"


class ReplayDiffers(CloudoError):
    """A durable flow was replayed, and made another call than the one that is recorded."""

    code = "replay_differs"

    def __init__(self, position: int, *, now: str, recorded: str) -> None:
        super().__init__(
            f"Call {position} of this replay is {now}; the record has {recorded}. A durable flow has to make the same "
            "calls each time: put what depends on time, chance or the world outside into this.step."
        )


class WaitTimeout(CloudoError):
    """A wait was over before what it waited for."""

    code = "wait_timeout"


class DependencyTimeoutError(WaitTimeout):
    """A wait for other executions was over before they had ended."""

    code = "dependency_timeout"


class MessageResponseTimeoutError(WaitTimeout):
    """An input request was not answered in time."""

    code = "message_response_timeout"


class ExecutionEnded(BaseException):
    """Stop the notebook here; raised by `this.success`, `this.error` and `this.end`."""


def _tree(root: type[CloudoError]) -> dict[str, type[CloudoError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def from_code(code: str, message: str, field: str | None = None) -> CloudoError:
    """Rebuild an error that came over HTTP or a channel; an unknown code gives a plain `CloudoError`."""
    kind = _tree(CloudoError).get(code, CloudoError)
    error = kind.__new__(kind)
    CloudoError.__init__(error, message, field=field)
    return error
