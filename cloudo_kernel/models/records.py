"""Small records: events, settings, files, users and the health of the service."""

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


class SettingDescription(Record):
    """A setting that Cloudo reads."""

    name: str
    pattern: str | None = Field(
        default=None, description="Name of a user's own value, with `*` for the user; null if users have none."
    )
    meaning: str
    fits: str = Field(description="The valid values, in words.")
    value_schema: JsonObject = Field(description="JSON Schema of the valid values.")
    default: Any = None
    value: Any = Field(default=None, description="The current value.")


class Worker(Record):
    """A worker with a live lease."""

    id: str
    name: str = Field(description="Its machine and its process.")
    host: str
    pid: int
    private: bool = Field(description="Whether it runs only the executions of one process without a server.")
    slots: int = Field(description="Maximum number of executions that run at once in the whole store.")
    running: tuple[str, ...] = Field(default=(), description="Ids of the executions that it runs.")
    started_at: UtcTime
    lease_age_seconds: float = Field(description="Seconds since its last heartbeat.")
    labels: tuple[str, ...] = Field(default=(), description="It also runs executions that require these.")
    draining: bool = Field(
        default=False, description="Whether it takes nothing more, and ends once what it runs has ended."
    )


class QueueState(Record):
    """The queue of executions."""

    pending: int
    paused: bool = Field(description="Whether nothing starts. Running executions go on.")


class OwnDashboard(Record):
    """A notebook in `dashboards/`, which Voila shows as a page."""

    name: str = Field(description="Path relative to `dashboards/`, without its extension.")
    title: str = Field(description="Title in the metadata of the notebook, else its first heading, else its name.")
    path: str = Field(description="Path relative to the workspace.")
    url: str | None = Field(
        default=None, description="Address of its page below the base URL of the server; null without Voila."
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
    """The workspace and environment of a flow, with the names of the original's API."""

    name: str = Field(description="Name of the workspace's folder.")
    env_name: str = Field(description="`CLOUDO_ENV_NAME` of the worker, or the name of its machine.")


class LoopHealth(Record):
    """A background loop of the server or of a worker."""

    name: str
    worker_id: str | None = Field(
        default=None, description="The worker that it belongs to; null for a loop of the server itself."
    )
    pid: int = Field(description="Its process.")
    alive: bool = Field(description="Whether its thread runs.")
    stuck: bool = Field(
        description="Whether its step hangs: it is alive, but has had no turn for six times its interval, and "
        "at least for 30 s."
    )
    idle_seconds: float = Field(description="Seconds since its last turn.")
    error: str | None = Field(default=None, description="The kind of error of its last turn, null if that worked.")
    hint: str | None = Field(
        default=None, description="What to do about a loop that has ended or is stuck, otherwise null."
    )


class Alive(Record):
    """The reply of a process that answers requests."""

    alive: bool


class Health(Record):
    """The health of the service. For anonymous callers all but `status` and `reason` is null or empty."""

    status: str = Field(description="`ok`, `no worker`, or `unavailable`.")
    reason: str | None = Field(default=None, description="Why executions cannot be started or run, null when they can.")
    version: str | None = None
    workers: int | None = Field(default=None, description="Workers with a live lease.")
    running: int | None = None
    pending: int | None = None
    queue_paused: bool | None = Field(default=None, description="Whether the queue is paused, so that nothing starts.")
    overdue_schedules: int | None = Field(
        default=None,
        description="Schedules whose time has come while no worker was alive, or one lived and did not start it.",
    )
    failing_loops: tuple[str, ...] = Field(
        default=(),
        description="Background loops of this server whose last try failed, or which have died or are stuck.",
    )
    loops: tuple[LoopHealth, ...] = Field(
        default=(), description="The background loops of this server and of all workers."
    )
