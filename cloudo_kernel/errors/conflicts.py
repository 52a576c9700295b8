"""Errors of requests that conflict with the current state."""

from __future__ import annotations

from collections.abc import Sequence

from cloudo_kernel.errors.base import CloudoError


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


class WebhookExists(Conflict):
    """A webhook of this name is already there."""

    code = "webhook_exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is already a webhook {name!r}. Change that one, or choose another name.", field="name")


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
    """The execution would have more ancestors than the setting allows."""

    code = "too_deep"

    def __init__(self, name: str, most: int) -> None:
        super().__init__(
            f"{name!r} would have more than {most} executions above it, parent over parent. Does a flow start itself "
            "without end? If not, raise the setting client.execution.max_depth."
        )


class DependencyCycle(Conflict):
    """The executions would wait for each other forever."""

    code = "dependency_cycle"

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__(f"These executions would wait for each other for ever: {' → '.join(cycle)}.")
