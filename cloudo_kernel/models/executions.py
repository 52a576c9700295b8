"""The record of an execution, its parts, and the requests about it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import FailFast, Field

from cloudo_kernel.models.base import JsonObject, Record, Request, UtcTime


class Status(StrEnum):
    """Where an execution is in its life; `lifecycle` knows which moves are legal."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    PAUSED = "PAUSED"
    ENDED_SUCCESS = "ENDED_SUCCESS"
    ENDED_ERROR = "ENDED_ERROR"
    ENDED_CANCELLED = "ENDED_CANCELLED"

    @property
    def is_ended(self) -> bool:
        """Whether nothing will happen to the execution any more."""
        return self.value.startswith("ENDED_")


class ExecutionType(StrEnum):
    """What kind of source an execution runs."""

    FLOW = "FLOW"
    SCRIPT = "SCRIPT"
    #: A notebook worked on by hand: it runs nothing itself, and holds no slot.
    INTERACTIVE = "INTERACTIVE"


class Trigger(StrEnum):
    """The door through which an execution was started."""

    UI = "ui"
    API = "api"
    CELL = "cell"
    CLI = "cli"
    FLOW = "flow"
    SCHEDULE = "schedule"
    WEBHOOK = "webhook"


class LogLine(Record):
    """One line of an execution's log."""

    time: UtcTime
    level: str = "info"
    text: str


class Progress(Record):
    """How far an execution is: `done` of `total` cells, and a word for the current cell."""

    done: int = 0
    total: int = 0
    cell: str | None = None


class ErrorDetail(Record):
    """Why an execution ended in error."""

    name: str
    value: str = ""
    cell: int | None = Field(
        default=None, description="Number of the cell in the executed notebook, from 0; None when no cell is to blame."
    )
    traceback: tuple[str, ...] = Field(default=(), description="Lines without terminal colours; left out in lists.")


class Execution(Record):
    """One run of a flow or of source sent with the request."""

    id: str = Field(description="UUIDv7: sorts by the time of creation.")
    name: str
    type: ExecutionType = ExecutionType.FLOW
    flow_name: str | None = Field(
        default=None, description="None for a `SCRIPT`, and for an `INTERACTIVE` one of a notebook that is no flow."
    )
    status: Status
    message: str | None = None
    input_value: JsonObject = Field(default_factory=dict)
    output_value: JsonObject = Field(default_factory=dict)
    log: tuple[LogLine, ...] | None = Field(default=None, description="The last 1,000 lines; None in lists.")
    parent_id: str | None = None
    retry_of: str | None = None
    schedule_id: str | None = None
    webhook_name: str | None = None
    trigger: Trigger
    user_name: str
    created_at: UtcTime
    scheduled_for: UtcTime | None = Field(default=None, description="Not claimable before this moment.")
    started_at: UtcTime | None = None
    ended_at: UtcTime | None = None
    attempt: int = Field(
        default=0, description="Counts the runs; also the fencing token of whoever reports about the execution."
    )
    progress: Progress = Progress()
    error: ErrorDetail | None = None
    notebook: str | None = Field(
        default=None, description="Path of the executed notebook below the workspace, `/`-separated."
    )
    source_sha256: str
    kernel: str = Field(default="cloudo", description="The kernelspec that it runs in.")
    tags: tuple[str, ...] = ()
    retention_minutes: int | None = None
    expires_at: UtcTime | None = None

    @property
    def is_ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status.is_ended


class ExecutionBrief(Record):
    """The few fields of an execution that a flow's record shows of its last runs."""

    id: str
    status: Status
    created_at: UtcTime
    ended_at: UtcTime | None = None


#: Lists show all of them.
Tags = Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=100), FailFast()]


class StartExecution(Request):
    """A request to start an execution: of a flow, or of source sent along."""

    flow_name: str | None = None
    script: str | None = Field(default=None, description="Python source, or a notebook as JSON text.")
    script_encoding: str | None = Field(
        default=None,
        pattern="^(base64|plain)$",
        description="`base64` or `plain`; undeclared, `script` is plain if it parses and base64 otherwise.",
    )
    name: str | None = Field(
        default=None, min_length=1, max_length=500, description="Of the execution; default: the flow's name."
    )
    inputs: JsonObject = Field(default_factory=dict)
    timeout_seconds: float | None = Field(default=None, gt=0, description="Limits the run.")
    kernel: str | None = Field(
        default=None, min_length=1, max_length=200, description="The kernelspec to run in; default: the flow's."
    )
    cell_timeout_seconds: float | None = Field(default=None, gt=0, description="Limits each cell.")
    report_mode: bool | None = Field(
        default=None,
        description="Hides the sources of the cells in the executed notebook, as papermill does; default: as "
        "the flow says.",
    )
    scheduled_at: UtcTime | None = None
    delay_seconds: float | None = Field(default=None, ge=0)
    tags: Tags = ()


class ExecutionFilter(Request):
    """Which executions a list holds; fields that are None do not restrict it."""

    status: tuple[Status, ...] | None = Field(default=None, max_length=20)
    flow_name: str | None = None
    parent_id: str | None = None
    schedule_id: str | None = None
    user_name: str | None = None
    since: UtcTime | None = Field(default=None, description="Created at or after this moment.")
    q: str | None = Field(
        default=None, description="Quick filter: part of the name, the flow's name, the message or the id."
    )
