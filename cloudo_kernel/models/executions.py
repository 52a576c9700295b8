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
    #: Number of the cell in the executed notebook, from 0; None when no cell is to blame.
    cell: int | None = None
    #: Lines without terminal colours; left out in lists.
    traceback: tuple[str, ...] = ()


class Execution(Record):
    """One run of a flow or of source sent with the request."""

    #: UUIDv7: sorts by the time of creation.
    id: str
    name: str
    type: ExecutionType = ExecutionType.FLOW
    #: None for a `SCRIPT`, and for an `INTERACTIVE` one of a notebook that is no flow.
    flow_name: str | None = None
    status: Status
    message: str | None = None
    input_value: JsonObject = Field(default_factory=dict)
    output_value: JsonObject = Field(default_factory=dict)
    #: The last 1,000 lines; None in lists.
    log: tuple[LogLine, ...] | None = None
    parent_id: str | None = None
    retry_of: str | None = None
    schedule_id: str | None = None
    webhook_name: str | None = None
    trigger: Trigger
    user_name: str
    created_at: UtcTime
    #: Not claimable before this moment.
    scheduled_for: UtcTime | None = None
    started_at: UtcTime | None = None
    ended_at: UtcTime | None = None
    #: Counts the runs. Reports about the execution carry it as their fencing token.
    attempt: int = 0
    progress: Progress = Progress()
    error: ErrorDetail | None = None
    #: Path of the executed notebook below the workspace, `/`-separated.
    notebook: str | None = None
    source_sha256: str
    #: The kernelspec that it runs in.
    kernel: str = "cloudo"
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
    #: Python source, or a notebook as JSON text.
    script: str | None = None
    #: `base64` or `plain`; undeclared, `script` is plain if it parses and base64 otherwise.
    script_encoding: str | None = Field(default=None, pattern="^(base64|plain)$")
    #: Of the execution; default: the flow's name.
    name: str | None = Field(default=None, min_length=1, max_length=500)
    inputs: JsonObject = Field(default_factory=dict)
    #: Limits the run.
    timeout_seconds: float | None = Field(default=None, gt=0)
    #: The kernelspec to run in; default: the flow's.
    kernel: str | None = Field(default=None, min_length=1, max_length=200)
    #: Limits each cell.
    cell_timeout_seconds: float | None = Field(default=None, gt=0)
    #: Hides the sources of the cells in the executed notebook, as papermill does; default: as the flow says.
    report_mode: bool | None = None
    scheduled_at: UtcTime | None = None
    delay_seconds: float | None = Field(default=None, ge=0)
    tags: Tags = ()


class ExecutionFilter(Request):
    """Filters a list of executions. Unset fields do not restrict it."""

    status: tuple[Status, ...] | None = Field(default=None, max_length=20)
    flow_name: str | None = None
    parent_id: str | None = None
    schedule_id: str | None = None
    user_name: str | None = None
    #: Created at or after this moment.
    since: UtcTime | None = None
    #: Quick filter: part of the name, the flow's name, the message or the id.
    q: str | None = None
