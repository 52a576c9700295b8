"""The records of Cloudo: what the store keeps, REST sends and flow authors see, defined once.

All are frozen pydantic models. Times are aware, in UTC, and written as RFC 3339 with `Z`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer


def to_utc(moment: datetime) -> datetime:
    """Return `moment` in UTC."""
    return moment.astimezone(UTC)


def rfc3339(moment: datetime) -> str:
    """Return `moment` as RFC 3339 in UTC with `Z`, to the microsecond."""
    return to_utc(moment).isoformat(timespec="microseconds").replace("+00:00", "Z")


UtcTime = Annotated[AwareDatetime, AfterValidator(to_utc), PlainSerializer(rfc3339, when_used="json")]
JsonObject = dict[str, Any]


class Record(BaseModel):
    """Base of all records: frozen; a field that is not known is ignored, so that older clients read newer servers."""

    model_config = ConfigDict(frozen=True, extra="ignore")


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
    #: Counts the runs; also the fencing token of whoever reports about the execution.
    attempt: int = 0
    progress: Progress = Progress()
    error: ErrorDetail | None = None
    #: Path of the executed notebook below the workspace, `/`-separated.
    notebook: str | None = None
    source_sha256: str
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


class FlowSource(StrEnum):
    """Where a flow was found: in the workspace, or in the shipped library."""

    WORKSPACE = "workspace"
    LIBRARY = "library"


class EngineTier(StrEnum):
    """How the processes of a run are started."""

    #: Forked from a warm process where that can be; the kernel is a process of its own.
    KERNEL = "kernel"
    #: Started one by one, as Jupyter does it: slower, and free of what is preloaded.
    COLD = "cold"


class FlowMetadata(Record):
    """The notebook metadata key `cloudo`."""

    title: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    timeout_seconds: float | None = Field(default=None, gt=0)
    #: How often a run that failed is tried again.
    retries: int = Field(default=0, ge=0, le=100)
    #: Before the first retry; doubled for each further one, up to a day.
    retry_delay_seconds: float = Field(default=0, ge=0, le=86_400)
    #: Of this flow at once, in the whole store.
    max_running: int | None = Field(default=None, ge=1)
    #: Higher ones are taken from the queue first.
    priority: int = Field(default=0, ge=-100, le=100)
    #: Its calls are recorded: while it waits long it needs no process, and after a death it goes on where it was.
    durable: bool = False
    engine: EngineTier = EngineTier.KERNEL
    #: What the kernel may take beyond what it has at its start; each process that it starts may, too.
    memory_limit_mb: int | None = Field(default=None, ge=1)
    retention_minutes: int | None = Field(default=None, ge=0)
    #: The flow to start when an execution ends in error.
    on_error: str | None = Field(default=None, min_length=1)


class Flow(Record):
    """A notebook below the flows folder of the workspace, or in the shipped library."""

    #: Path below the flows folder without the ending, `/`-separated.
    name: str
    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    source: FlowSource
    kind: str = "notebook"
    #: Below the workspace (`flows/…`) or, for the library, absolute.
    path: str
    #: The kernel it runs in: `cloudo`, or the name of another kernelspec.
    kernel: str = "cloudo"
    #: JSON Schema (draft 7) of the inputs; `additionalProperties` says whether others are accepted.
    input_schema: JsonObject = Field(default_factory=dict)
    metadata: FlowMetadata = FlowMetadata()
    modified_at: UtcTime
    #: Why it cannot be run, or None.
    broken: str | None = None
    #: Newest first, five at most.
    last_executions: tuple[ExecutionBrief, ...] = ()
    next_run: UtcTime | None = None


class MessageState(StrEnum):
    """Whether a message wants an answer, and what became of that."""

    #: It tells something, and asks nothing.
    INFO = "INFO"
    OPEN = "OPEN"
    ANSWERED = "ANSWERED"
    EXPIRED = "EXPIRED"
    #: Nobody waits for the answer any more.
    WITHDRAWN = "WITHDRAWN"


class MessageLevel(StrEnum):
    """How important a message is; it decides how long the message is kept."""

    SUCCESS = "success"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Message(Record):
    """Something that a flow tells or asks a person; with a form it is an input request."""

    #: UUIDv7: sorts by the time of creation.
    id: str
    subject: str
    #: The form, None for a message that only tells something; see `forms`.
    body: JsonObject | None = None
    level: MessageLevel = MessageLevel.INFO
    #: The execution that made it.
    execution_id: str | None = None
    created_at: UtcTime
    #: When the request ends without an answer; None for never.
    expires_at: UtcTime | None = None
    #: By the keys of the form; what is protected shows as `•••`, but to the flow.
    response: JsonObject | None = None
    answered_by: str | None = None
    answered_at: UtcTime | None = None
    state: MessageState

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.state is MessageState.OPEN


class Event(Record):
    """One line of history: what changed, when, by whom."""

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
    """Who is calling."""

    name: str


class OwnClient(Record):
    """Where a flow runs, in the original's words."""

    #: Of the workspace's folder.
    name: str
    #: `CLOUDO_ENV_NAME` of the worker, else the name of its machine.
    env_name: str


class Health(Record):
    """Whether the service can do its work."""

    status: str
    version: str
    #: Workers with a live lease.
    workers: int
    running: int
    pending: int


Item = TypeVar("Item")


class Page(Record, Generic[Item]):
    """One page of a list; `next` is the cursor of the following page, None on the last."""

    items: tuple[Item, ...]
    next: str | None = None


class StartExecution(BaseModel):
    """A request to start an execution: of a flow, or of source sent along."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

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
    scheduled_at: UtcTime | None = None
    delay_seconds: float | None = Field(default=None, ge=0)
    tags: tuple[str, ...] = ()


class CreateMessage(BaseModel):
    """A request to make a message."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str = Field(min_length=1, max_length=500)
    #: A form, see `forms`; `message` and `request` are short for simple ones.
    body: JsonObject | None = None
    #: A text with OK, or above the question of `request`.
    message: str | None = Field(default=None, min_length=1)
    #: One question, answered with text.
    request: str | None = Field(default=None, min_length=1)
    level: MessageLevel = MessageLevel.INFO
    #: How long it waits for an answer, 0 for ever; default: the setting `client.input.timeout.minutes`.
    timeout_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class ExecutionFilter(BaseModel):
    """Which executions a list holds; fields that are None do not restrict it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: tuple[Status, ...] | None = None
    flow_name: str | None = None
    parent_id: str | None = None
    schedule_id: str | None = None
    user_name: str | None = None
    #: Created at or after this moment.
    since: UtcTime | None = None
    #: Quick filter: part of the name, the flow's name, the message or the id.
    q: str | None = None
