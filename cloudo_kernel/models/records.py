"""Small records: events, settings, files, users and the health of the service."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from cloudo_kernel.models.base import JsonObject, Record, UtcTime


class Event(Record):
    """One entry of the history: the change, its time and its user."""

    #: Increasing.
    id: int
    time: UtcTime
    #: Past tense, e.g. `ExecutionStarted`; see `events`.
    type: str
    subject_type: str
    subject_id: str
    user_name: str | None = None
    data: JsonObject = Field(default_factory=dict)


class Setting(Record):
    """A named value."""

    name: str
    value: Any = None
    secret: bool = False
    #: None for a documented default that nobody has changed.
    modified_at: UtcTime | None = None
    modified_by: str | None = None
    #: The execution that holds the lock of this name; a name that is only locked is listed too.
    locked_by: str | None = None


class File(Record):
    """A file in the workspace."""

    #: Below the workspace, `/`-separated.
    path: str
    size: int
    modified_at: UtcTime
    #: Text, or Base64 if it is no UTF-8; None where it was not asked for.
    content: str | None = None
    #: `text` or `base64`.
    encoding: str = "text"


class User(Record):
    """The calling user."""

    name: str


class OwnClient(Record):
    """The workspace and environment of a flow, with the names of the original's API."""

    #: Of the workspace's folder.
    name: str
    #: `CLOUDO_ENV_NAME` of the worker, else the name of its machine.
    env_name: str


class Health(Record):
    """The health of the service."""

    #: `ok`, `no worker`, or `unavailable`.
    status: str
    #: Why executions cannot be started or run, null when they can.
    reason: str | None = None
    version: str
    #: Workers with a live lease.
    workers: int
    running: int
    pending: int
    #: Schedules whose time has come while no worker was alive, or one lived and did not start it.
    overdue_schedules: int = 0
    #: Background loops of this server whose last try failed, or which have died.
    failing_loops: tuple[str, ...] = ()
