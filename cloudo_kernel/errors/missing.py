"""Errors about things that do not exist."""

from __future__ import annotations

from collections.abc import Sequence

from cloudo_kernel.errors.base import CloudoError


class ResourceNotFoundError(CloudoError):
    """The named resource does not exist."""

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


class TokenNotFound(ResourceNotFoundError):
    """The caller has no token of this id (any more)."""

    code = "token_not_found"

    def __init__(self, token_id: str) -> None:
        super().__init__(f"You have no token {token_id!r}; it may have been revoked.")


class WorkspaceNotFound(ResourceNotFoundError):
    """Neither the folder nor any folder above it is a workspace."""

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


class WebhookNotFound(ResourceNotFoundError):
    """No webhook has this name, or none that this caller may know of."""

    code = "webhook_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no webhook {name!r}.")


class DeliveryNotFound(ResourceNotFoundError):
    """The webhook has no delivery with this id (any more)."""

    code = "delivery_not_found"

    def __init__(self, delivery_id: str) -> None:
        super().__init__(f"There is no delivery {delivery_id!r} of this webhook; it may have been deleted.")
