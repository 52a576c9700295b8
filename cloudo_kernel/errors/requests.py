"""Errors of requests: invalid, forbidden, about a missing thing, or in conflict with the current state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from cloudo_kernel.errors.base import CloudoError

#: Delay before a caller may retry. A fixed number, because the end of an execution cannot be predicted.
_RETRY_AFTER_SECONDS = 10


class MalformedRequest(CloudoError):
    """A request that makes no sense as such: not JSON, a wrong type, an unknown or contradictory field."""

    code = "malformed"


class NotConfirmed(CloudoError):
    """The request is unusual, and needs `confirmed` to be true."""

    code = "not_confirmed"

    def __init__(self, notes: Sequence[str]) -> None:
        super().__init__(f"{' '.join(notes)} To proceed anyway, set confirmed to true.", field="confirmed")


class InputsInvalid(CloudoError):
    """The inputs do not match the schema of the flow."""

    code = "inputs_invalid"


class FormInvalid(CloudoError):
    """The body of a message is not a valid form; `field` is the place in it."""

    code = "form_invalid"

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"The form cannot be used: {place!r} {what}.", field=place)


class ResponseInvalid(CloudoError):
    """An answer does not match the form of the input request; `field` is the element's key."""

    code = "response_invalid"

    def __init__(self, key: str | None, what: str) -> None:
        end = "" if what.endswith("?") else "."
        super().__init__(f"The answer {what}{end}" if key is None else f"{key!r} {what}{end}", field=key or "response")


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
    """The request, the body or a value exceeds a size limit."""

    code = "too_large"


class BodyTooSlow(CloudoError):
    """The request body did not arrive in time."""

    code = "too_slow"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The body did not arrive within {seconds:g} seconds. Send it again.")


class FlowBroken(CloudoError):
    """The flow exists but cannot be read as a notebook."""

    code = "flow_broken"

    def __init__(self, flow_name: str, reason: str) -> None:
        super().__init__(f"The flow {flow_name!r} is broken: {reason}. Open it, repair it, and start it again.")


class PermissionDenied(CloudoError):
    """The caller is known, but not allowed to do this."""

    code = "permission_denied"


class SettingInvalid(CloudoError):
    """A value that is invalid for a documented setting."""

    code = "setting_invalid"

    def __init__(self, name: str, fits: str) -> None:
        super().__init__(f"The setting {name!r} takes {fits}.", field=name)


class ResourceNotFoundError(CloudoError):
    """The named resource does not exist."""

    code = "not_found"
    #: The message, with `{!r}` in the place of the name or id.
    template: ClassVar[str] = "{}"
    #: The field of a request that has the name. None if the URL has it.
    named_by: ClassVar[str | None] = None

    def __init__(self, name: str) -> None:
        super().__init__(self.template.format(name), field=self.named_by)


class FlowNotFound(ResourceNotFoundError):
    """No flow has this name."""

    code = "flow_not_found"

    def __init__(self, flow_name: str, *, similar: Sequence[str] = ()) -> None:
        hint = f" Did you mean {' or '.join(map(repr, similar))}?" if similar else ""
        CloudoError.__init__(self, f"There is no flow {flow_name!r}.{hint}", field="flow_name")


class ExecutionNotFound(ResourceNotFoundError):
    """No execution has this id."""

    code = "execution_not_found"
    template = "There is no execution {!r}."


class NotebookNotFound(ResourceNotFoundError):
    """The execution has no executed notebook (yet)."""

    code = "notebook_not_found"
    template = "The execution {} has no executed notebook: it has not started yet, or its file was removed."


class ResultNotFound(ResourceNotFoundError):
    """The execution has no result of this name."""

    code = "result_not_found"
    template = "The execution has no result {!r}."


class MessageNotFound(ResourceNotFoundError):
    """No message has this id (any more)."""

    code = "message_not_found"
    template = "There is no message {!r}; it may have been deleted."


class ScheduleNotFound(ResourceNotFoundError):
    """No schedule has this id (any more)."""

    code = "schedule_not_found"
    template = "There is no schedule {!r}; it may have been deleted."


class TokenNotFound(ResourceNotFoundError):
    """The caller has no token of this id (any more)."""

    code = "token_not_found"
    template = "You have no token {!r}; it may have been revoked."


class WorkspaceNotFound(ResourceNotFoundError):
    """Neither the folder nor any folder above it is a workspace."""

    code = "workspace_not_found"
    template = (
        "No Cloudo workspace at or above {0}. Create one with `cloudo up {0}`, "
        "or name one with --workspace or CLOUDO_WORKSPACE."
    )


class SettingNotFound(ResourceNotFoundError):
    """No setting of this name was saved, and the system reads none of this name."""

    code = "setting_not_found"
    template = "There is no setting {!r}."
    named_by = "name"


class NoSuchFile(ResourceNotFoundError):
    """There is no file at this path."""

    code = "file_not_found"
    template = "There is no file {!r} in the workspace."
    named_by = "path"


class WebhookNotFound(ResourceNotFoundError):
    """No webhook has this name, or none that this caller may know of."""

    code = "webhook_not_found"
    template = "There is no webhook {!r}."


class DeliveryNotFound(ResourceNotFoundError):
    """The webhook has no delivery with this id (any more)."""

    code = "delivery_not_found"
    template = "There is no delivery {!r} of this webhook; it may have been deleted."


class Conflict(CloudoError):
    """The state of things does not allow this now."""

    code = "conflict"


class FlowExists(Conflict):
    """A flow of this name is already there."""

    code = "flow_exists"

    def __init__(self, name: str) -> None:
        super().__init__(_taken("flow", name), field="name")


class SettingExists(Conflict):
    """A setting of this name was saved before."""

    code = "setting_exists"

    def __init__(self, name: str) -> None:
        super().__init__(_taken("setting", name), field="name")


class WebhookExists(Conflict):
    """A webhook of this name is already there."""

    code = "webhook_exists"

    def __init__(self, name: str) -> None:
        super().__init__(_taken("webhook", name), field="name")


class Outdated(CloudoError):
    """It was changed, or deleted, since the caller read it."""

    code = "outdated"

    def __init__(self) -> None:
        super().__init__("It was changed, or deleted, since you read it. Nothing was done: read it again first.")


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
        super().__init__(f"The message {message_id} accepts no answer: {why}.")


class WorkedOnByHand(Conflict):
    """The action is for runs, and the execution is a notebook opened by hand."""

    code = "worked_on_by_hand"

    def __init__(self, execution_id: str, verb: str) -> None:
        super().__init__(
            f"The execution {execution_id} is a notebook opened by hand, which cannot be {verb}. Run its flow instead."
        )


class IdempotencyConflict(Conflict):
    """The idempotency key was used before with another request."""

    code = "idempotency_conflict"

    def __init__(self, key: str) -> None:
        super().__init__(f"The idempotency key {key!r} was used in the last 24 hours with another body.")


class TooDeep(Conflict):
    """The execution would have more ancestors than the setting allows."""

    code = "too_deep"

    def __init__(self, name: str, most: int) -> None:
        super().__init__(
            f"{name!r} would have more than {most} ancestors. Check whether a flow starts itself endlessly. "
            "If not, raise the setting client.execution.max_depth."
        )


class DependencyCycle(Conflict):
    """The executions would wait for each other forever."""

    code = "dependency_cycle"

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__(f"These executions would wait for each other forever: {' → '.join(cycle)}.")


class SignatureInvalid(CloudoError):
    """The call has no valid signature."""

    code = "signature_invalid"


class MethodNotAllowed(CloudoError):
    """The webhook does not accept this method."""

    code = "method_not_allowed"

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f"This webhook accepts {' and '.join(allowed)}, not {method}.")
        self.allowed = tuple(allowed)


class ContentTypeRefused(CloudoError):
    """The webhook does not accept a body of this content type."""

    code = "unsupported_media_type"


class TooManyCalls(CloudoError):
    """The caller has to wait before it calls again."""

    code = "too_many_calls"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"Too many calls. Try again in {retry_after_seconds} s.")
        self.retry_after_seconds = retry_after_seconds


class TooManyUnended(TooManyCalls):
    """The tree or the webhook already has as many unended executions as the setting allows."""

    code = "too_many_unended"

    def __init__(self, setting: str, most: int) -> None:
        which = "started by this webhook" if "webhook" in setting else "below the same root"
        CloudoError.__init__(
            self,
            f"{most:,} executions {which} have not ended, which is the limit. Check whether a flow starts itself "
            f"endlessly. If not, try again when some have ended, or raise the setting {setting}.",
        )
        self.retry_after_seconds = _RETRY_AFTER_SECONDS


class AddressRefused(CloudoError):
    """The address may not be called, because it is not on the public Internet."""

    code = "address_refused"

    def __init__(self, host: str, address: str) -> None:
        which = f"{host!r}" if host == address else f"{host!r} ({address})"
        super().__init__(
            f"{which} may not be called: it is an address of this machine, of a private network, or of no network. "
            "To allow it, add its network to c.Cloudo.allowed_private_networks.",
            field="url",
        )


def _taken(kind: str, name: str) -> str:
    return f"There is already a {kind} {name!r}. Choose another name, or change that {kind}."
