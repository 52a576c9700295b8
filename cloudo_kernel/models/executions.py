"""The record of an execution, its parts, and the requests about one or many."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import FailFast, Field, model_validator

from cloudo_kernel.models.base import FieldError, JsonObject, Record, Request, UtcTime

#: Maximum number of executions or flows in one bulk request.
BULK_LIMIT: Final = 500


class Status(StrEnum):
    """The state of an execution."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    PAUSED = "PAUSED"
    ENDED_SUCCESS = "ENDED_SUCCESS"
    ENDED_ERROR = "ENDED_ERROR"
    ENDED_CANCELLED = "ENDED_CANCELLED"

    @property
    def is_ended(self) -> bool:
        """Whether the execution has ended."""
        return self.value.startswith("ENDED_")


class ExecutionType(StrEnum):
    """The kind of source that an execution runs."""

    FLOW = "FLOW"
    SCRIPT = "SCRIPT"
    #: A notebook worked on by hand: it runs nothing itself, and holds no slot.
    INTERACTIVE = "INTERACTIVE"


class Trigger(StrEnum):
    """The origin of an execution: how it was started."""

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
    """The progress of an execution: `done` of `total` cells, and the first line of the current one."""

    done: int = 0
    total: int = 0
    cell: str | None = None


class ErrorDetail(Record):
    """The error that ended an execution."""

    name: str
    value: str = ""
    #: Number of the cell in the executed notebook, from 0; None when no cell is to blame.
    cell: int | None = None
    #: Lines without terminal colours; left out in lists.
    traceback: tuple[str, ...] = ()


class Execution(Record):
    """One run of a flow, or of source sent with the request."""

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
    #: Counts the runs; also the fencing token of whoever reports about the execution.
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
        """Whether it has ended."""
        return self.status.is_ended


class ExecutionBrief(Record):
    """The fields of an execution that are shown in the record of its flow."""

    id: str
    status: Status
    created_at: UtcTime
    ended_at: UtcTime | None = None


#: Lists show all of them.
Tags = Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=100), FailFast()]


class StartExecution(Request):
    """A request to start an execution of a flow, or of source sent with the request."""

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
    """A filter for lists of executions. Fields that are None match any execution."""

    status: tuple[Status, ...] | None = Field(default=None, max_length=20)
    flow_name: str | None = None
    parent_id: str | None = None
    schedule_id: str | None = None
    user_name: str | None = None
    #: Created at or after this moment.
    since: UtcTime | None = None
    #: Quick filter: part of the name, the flow's name, the message or the id.
    q: str | None = None


Names = Annotated[
    tuple[Annotated[str, Field(max_length=1000)], ...], Field(min_length=1, max_length=BULK_LIMIT, fail_fast=True)
]


class BulkAction(StrEnum):
    """The action of a bulk request."""

    #: Of flows; all others are of executions.
    START = "start"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    DELETE = "delete"


class BulkRequest(Request):
    """A request to start many flows, or to apply one action to many executions."""

    action: BulkAction
    #: Of executions, for every action but `start`.
    ids: Names | None = None
    #: For `start`.
    flow_names: Names | None = None
    #: For `start`, and for `retry` in place of the earlier ones: the same for each.
    inputs: JsonObject | None = None
    #: For `cancel`: everything below them ends, too, also where they have ended themselves.
    tree: bool = False

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        takes, other = ("flow_names", "ids") if self.action is BulkAction.START else ("ids", "flow_names")
        if getattr(self, takes) is None or getattr(self, other) is not None:
            raise ValueError(f"{self.action} takes {takes}, not {other}")
        if self.inputs is not None and self.action not in (BulkAction.START, BulkAction.RETRY):
            raise ValueError(f"{self.action} takes no inputs")
        if self.tree and self.action is not BulkAction.CANCEL:
            raise ValueError(f"{self.action} takes no tree")
        return self


class BulkError(Record):
    """The error of one item, the same as for a request about this item alone."""

    code: str
    message: str
    #: The input or parameter that is at fault, where there is one; the first of several.
    field: str | None = None
    #: Each mistake by itself, where there are several.
    errors: tuple[FieldError, ...] = ()


class BulkItem(Record):
    """The result for one item of a bulk request."""

    #: The execution that was asked for; null for a start.
    id: str | None = None
    #: The flow that was asked for; null for all but a start.
    flow_name: str | None = None
    ok: bool
    #: As it is now; of a start and a retry, the new one; null where it was not done, and of what was deleted.
    execution: ExecutionBrief | None = None
    error: BulkError | None = None


class BulkOutcome(Record):
    """The result for each item, in the order of the request."""

    items: tuple[BulkItem, ...]
