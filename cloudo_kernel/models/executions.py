"""The record of an execution, its parts, requests about one or many, and recent ones for lists and charts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import FailFast, Field, model_validator

from cloudo_kernel.models.base import FieldError, JsonObject, Record, Request, UtcTime

#: Maximum number of executions or flows in one bulk request.
BULK_LIMIT: Final = 500


class Status(StrEnum):
    """The state of an execution. `lifecycle` has the legal transitions."""

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


class Origin(StrEnum):
    """How an execution was started."""

    UI = "ui"
    API = "api"
    CELL = "cell"
    CLI = "cli"
    FLOW = "flow"
    SCHEDULE = "schedule"
    WEBHOOK = "webhook"


class LogSource(StrEnum):
    """The source of a line of a log."""

    #: `this.log`.
    LOG = "log"
    STDOUT = "stdout"
    STDERR = "stderr"


class LogLine(Record):
    """One line of an execution's log, or one that a cell printed."""

    time: UtcTime = Field(description="Of a printed line, the start of its cell.")
    level: str = "info"
    text: str
    source: LogSource = LogSource.LOG
    cell: int | None = Field(default=None, description="Index of the cell that printed it; null for `this.log`.")


class Progress(Record):
    """Progress of an execution: `done` of `total` cells, and a label of the current cell."""

    done: int = 0
    total: int = 0
    cell: str | None = None


class ErrorDetail(Record):
    """The error that ended an execution."""

    name: str
    value: str = ""
    cell: int | None = Field(
        default=None, description="Index of the failed cell in the executed notebook, from 0; null if no cell failed."
    )
    traceback: tuple[str, ...] = Field(default=(), description="Lines without terminal colours; omitted in lists.")


class Execution(Record):
    """One run of a flow, or of source sent with the request."""

    id: str = Field(description="UUIDv7: sorts by the time of creation.")
    name: str
    type: ExecutionType = ExecutionType.FLOW
    flow_name: str | None = Field(
        default=None,
        description="Null for a `SCRIPT`, and for an `INTERACTIVE` execution of a notebook that is not a flow.",
    )
    status: Status
    message: str | None = None
    input_value: JsonObject = Field(default_factory=dict)
    output_value: JsonObject = Field(default_factory=dict)
    log: tuple[LogLine, ...] | None = Field(default=None, description="The last 1,000 lines; null in lists.")
    parent_id: str | None = None
    retry_of: str | None = None
    schedule_id: str | None = None
    webhook_name: str | None = None
    trigger: Origin
    user_name: str
    created_at: UtcTime
    scheduled_for: UtcTime | None = Field(default=None, description="The execution does not start before this time.")
    started_at: UtcTime | None = None
    ended_at: UtcTime | None = None
    attempt: int = Field(
        default=0, description="Number of runs so far. Each report about the execution carries it (fencing)."
    )
    progress: Progress = Progress()
    error: ErrorDetail | None = None
    notebook: str | None = Field(default=None, description="Path of the executed notebook, relative to the workspace.")
    source_sha256: str
    kernel: str = Field(default="cloudo", description="Name of the kernelspec.")
    tags: tuple[str, ...] = ()
    requires: tuple[str, ...] = Field(
        default=(),
        description="Labels that a worker must have to run it. While no live worker has them, the message of a pending "
        "execution says so.",
    )
    retention_minutes: int | None = None
    expires_at: UtcTime | None = None
    has_children: bool | None = Field(
        default=None, description="Whether it has started other executions; null except in lists."
    )
    thumbnail: str | None = Field(
        default=None,
        description="Name of the newest result that it shows as an image of up to 500 kB; null without one, and "
        "except in lists.",
    )

    @property
    def is_ended(self) -> bool:
        """Whether it has ended."""
        return self.status.is_ended


class ExecutionBrief(Record):
    """The main fields of an execution, as used in other records."""

    id: str
    status: Status
    created_at: UtcTime
    ended_at: UtcTime | None = None


#: Lists show all of them.
MAX_TAGS: Final = 100
Tags = Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=MAX_TAGS), FailFast()]


class StartExecution(Request):
    """A request to start a flow, or source sent with the request."""

    flow_name: str | None = None
    script: str | None = Field(default=None, description="Python source, or a notebook as JSON text.")
    script_encoding: str | None = Field(
        default=None,
        pattern="^(base64|plain)$",
        description="`base64` or `plain`. Default: plain if `script` parses, otherwise base64.",
    )
    name: str | None = Field(
        default=None, min_length=1, max_length=500, description="Name of the execution. Default: the flow's name."
    )
    inputs: JsonObject = Field(default_factory=dict)
    timeout_seconds: float | None = Field(default=None, gt=0, description="Time limit of the run.")
    kernel: str | None = Field(
        default=None, min_length=1, max_length=200, description="Name of the kernelspec. Default: the flow's."
    )
    cell_timeout_seconds: float | None = Field(default=None, gt=0, description="Time limit of each cell.")
    report_mode: bool | None = Field(
        default=None,
        description="Hide cell sources in the executed notebook, as papermill's `--report-mode` does. "
        "Default: the flow's setting.",
    )
    scheduled_at: UtcTime | None = None
    delay_seconds: float | None = Field(default=None, ge=0)
    tags: Tags = ()


class ExecutionFilter(Request):
    """Filters of a list of executions. Null fields do not restrict it."""

    status: tuple[Status, ...] | None = Field(default=None, max_length=20)
    ids: tuple[Annotated[str, Field(max_length=100)], ...] | None = Field(
        default=None, max_length=BULK_LIMIT, description="Only executions with these ids."
    )
    flow_name: str | None = None
    tag: str | None = Field(default=None, max_length=200, description="Only executions with this tag.")
    trigger: tuple[Origin, ...] | None = Field(
        default=None, max_length=20, description="Only executions started in one of these ways."
    )
    parent_id: str | None = None
    top_level: bool = Field(default=False, description="Only executions without a parent.")
    ancestor_id: str | None = Field(
        default=None, description="Only descendants of this execution: its children, theirs, and so on."
    )
    schedule_id: str | None = None
    user_name: str | None = None
    since: UtcTime | None = Field(default=None, description="Only executions created at or after this time.")
    until: UtcTime | None = Field(default=None, description="Only executions created before this time.")
    q: str | None = Field(default=None, description="Search in name, flow name, message and id.")


class ExecutionOrder(StrEnum):
    """The order of a list of executions: by the time of creation, or by how long they ran."""

    NEWEST = "newest"
    OLDEST = "oldest"
    #: Only the newest 10,000 matching executions are sorted by duration. Those that never started are left out.
    LONGEST = "longest"
    SHORTEST = "shortest"


class ExecutionCount(Record):
    """The number of matching executions."""

    total: int
    by_status: dict[Status, int] = Field(description="The number in each status, also where it is 0.")
    as_of: UtcTime = Field(description="When they were counted, up to a second ago.")


Names = Annotated[
    tuple[Annotated[str, Field(max_length=1000)], ...], Field(min_length=1, max_length=BULK_LIMIT, fail_fast=True)
]


class BulkAction(StrEnum):
    """The action to apply to each item."""

    #: Of flows; all others are of executions.
    START = "start"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    DELETE = "delete"


#: The actions that take a filter.
FILTERED: Final = frozenset({BulkAction.CANCEL, BulkAction.RETRY, BulkAction.DELETE})


class BulkRequest(Request):
    """A request to start many flows, or to apply one action to many executions."""

    action: BulkAction
    ids: Names | None = Field(default=None, description="Execution ids; for every action except `start`.")
    filter: ExecutionFilter | None = Field(
        default=None,
        description="In place of `ids`, for `cancel`, `retry` and `delete`: up to 10,000 matching executions in a "
        "state that allows the action, newest first.",
    )
    flow_names: Names | None = Field(default=None, description="Names of flows; for `start` only.")
    inputs: JsonObject | None = Field(
        default=None, description="Inputs for every item of `start`; with `retry` they replace the earlier inputs."
    )
    tree: bool = Field(
        default=False,
        description="With `cancel`: also cancel all descendants, even of executions that have ended.",
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.filter is not None:
            if self.action not in FILTERED:
                raise ValueError(f"{self.action} takes no filter")
            if self.ids is not None:
                raise ValueError("give either ids or filter")
        takes, other = ("flow_names", "ids") if self.action is BulkAction.START else ("ids", "flow_names")
        if (self.filter is None and getattr(self, takes) is None) or getattr(self, other) is not None:
            raise ValueError(f"{self.action} takes {takes}, not {other}")
        if self.inputs is not None and self.action not in (BulkAction.START, BulkAction.RETRY):
            raise ValueError(f"{self.action} takes no inputs")
        if self.tree and self.action is not BulkAction.CANCEL:
            raise ValueError(f"{self.action} takes no tree")
        return self


class BulkError(Record):
    """The error that a request for this item alone would have raised."""

    code: str
    message: str
    field: str | None = Field(
        default=None, description="Name of the invalid input or parameter; the first if there are several."
    )
    errors: tuple[FieldError, ...] = Field(default=(), description="Every single error, if there are several.")


class BulkItem(Record):
    """The result of one item."""

    id: str | None = Field(default=None, description="Id of the requested execution; null for `start`.")
    flow_name: str | None = Field(
        default=None, description="Name of the requested flow; null for every action except `start`."
    )
    ok: bool
    execution: ExecutionBrief | None = Field(
        default=None,
        description="The current record; for `start` and `retry` the new execution. Null after an error and "
        "after `delete`.",
    )
    error: BulkError | None = None


class BulkOutcome(Record):
    """The result of each item, in the order of the request."""

    matched: int = Field(default=0, description="Number of items.")
    done: int = 0
    failed: int = 0
    items: tuple[BulkItem, ...] = Field(description="The first 500 results.")


class RecentExecution(Record):
    """An execution as a bar in a list of flows."""

    id: str
    status: Status
    created_at: UtcTime
    started_at: UtcTime | None = None
    ended_at: UtcTime | None = None


class FlowActivity(Record):
    """The recent executions of a flow."""

    flow_name: str
    recent: tuple[RecentExecution, ...] = Field(default=(), description="Newest first.")
    median_seconds: float | None = Field(
        default=None, description="Median duration of the successes among them, from start to end; null without any."
    )
    next_run: UtcTime | None = Field(default=None, description="When a schedule starts it next.")


class ActivityBucket(Record):
    """The executions that ended in one hour."""

    start: UtcTime
    ended_success: int = 0
    ended_error: int = 0
    ended_cancelled: int = 0


class ExecutionActivity(Record):
    """The number of executions that ended, by hour."""

    buckets: tuple[ActivityBucket, ...] = Field(description="Oldest first; the last one is the current hour, in UTC.")
