"""The records that are too small for a module of their own."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from cloudo_kernel.models.base import JsonObject, Record, UtcTime


class Event(Record):
    """One line of history: what changed, when, by whom."""

    id: int = Field(description="Increasing.")
    time: UtcTime
    type: str = Field(description="Past tense, e.g. `ExecutionStarted`; see `events`.")
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
        default=None, description="None for a documented default that nobody has changed."
    )
    modified_by: str | None = None
    locked_by: str | None = Field(
        default=None,
        description="The execution that holds the lock of this name; a name that is only locked is listed too.",
    )


class File(Record):
    """A file in the workspace."""

    path: str = Field(description="Below the workspace, `/`-separated.")
    size: int
    modified_at: UtcTime
    content: str | None = Field(
        default=None, description="Text, or Base64 if it is no UTF-8; None where it was not asked for."
    )
    encoding: str = Field(default="text", description="`text` or `base64`.")


class User(Record):
    """Who is calling."""

    name: str


class OwnClient(Record):
    """Where a flow runs, in the original's words."""

    name: str = Field(description="Of the workspace's folder.")
    env_name: str = Field(description="`CLOUDO_ENV_NAME` of the worker, else the name of its machine.")


class Health(Record):
    """Whether the service can do its work."""

    status: str = Field(description="`ok`, `no worker`, or `unavailable`.")
    reason: str | None = Field(default=None, description="Why executions cannot be started or run, null when they can.")
    version: str
    workers: int = Field(description="Workers with a live lease.")
    running: int
    pending: int
    overdue_schedules: int = Field(
        default=0,
        description="Schedules whose time has come while no worker was alive, or one lived and did not start it.",
    )
    failing_loops: tuple[str, ...] = Field(
        default=(), description="Background loops of this server whose last try failed, or which have died."
    )
