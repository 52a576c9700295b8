"""The records that are too small for a module of their own."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from cloudo_kernel.models.base import JsonObject, Record, UtcTime


class Event(Record):
    """One entry of the history: the change, its time and its user."""

    id: int = Field(description="Increases with each event.")
    time: UtcTime
    type: str = Field(description="Event type in the past tense, such as `ExecutionStarted`.")
    subject_type: str
    subject_id: str
    user_name: str | None = None
    data: JsonObject = Field(default_factory=dict)


class Setting(Record):
    """A named value."""

    name: str
    value: Any = None
    secret: bool = False
    modified_at: UtcTime | None = Field(
        default=None, description="Null if the setting still has its documented default."
    )
    modified_by: str | None = None
    locked_by: str | None = Field(
        default=None,
        description="Id of the execution that holds the lock of this name. Locks without a setting are listed, too.",
    )


class File(Record):
    """A file in the workspace."""

    path: str = Field(description="Path relative to the workspace.")
    size: int
    modified_at: UtcTime
    content: str | None = Field(
        default=None, description="The content as text, or as Base64 if it is not UTF-8; null if it was not requested."
    )
    encoding: str = Field(default="text", description="`text` or `base64`.")


class User(Record):
    """The caller."""

    name: str


class OwnClient(Record):
    """Where a flow runs, in the original's words."""

    name: str = Field(description="Name of the workspace's folder.")
    env_name: str = Field(description="`CLOUDO_ENV_NAME` of the worker, or the name of its machine.")


class Health(Record):
    """The state of the service."""

    status: str = Field(description="`ok`, `no worker`, or `unavailable`.")
    reason: str | None = Field(default=None, description="Reason why executions cannot start or run, or null.")
    version: str
    workers: int = Field(description="Number of live workers.")
    running: int
    pending: int
    overdue_schedules: int = Field(
        default=0,
        description="Number of schedules that are due but have not started.",
    )
    failing_loops: tuple[str, ...] = Field(
        default=(), description="Background loops of this server that are failing or have died."
    )
