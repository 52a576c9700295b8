"""The record of a flow, and the metadata that its notebook carries."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from cloudo_kernel.models.base import JsonObject, Record, Strict, UtcTime
from cloudo_kernel.models.executions import ExecutionBrief
from cloudo_kernel.models.follow_ups import FollowUps


class FlowSource(StrEnum):
    """The place of a flow: the workspace, or the shipped library."""

    WORKSPACE = "workspace"
    LIBRARY = "library"


class EngineTier(StrEnum):
    """How the processes of a run are started."""

    #: Forked from a warm process where that can be; the kernel is a process of its own.
    KERNEL = "kernel"
    #: Started one by one, as Jupyter does it: slower, and free of what is preloaded.
    COLD = "cold"


class FlowMetadata(Strict, Record):
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
    #: The kernelspec to run in; default: the notebook's own.
    kernel: str | None = Field(default=None, min_length=1, max_length=200)
    #: A cell that takes longer ends the run in error.
    cell_timeout_seconds: float | None = Field(default=None, gt=0)
    #: Hides the sources of the cells in the executed notebook, as papermill does.
    report_mode: bool = False
    #: What the kernel may take beyond what it has at its start; each process that it starts may, too.
    memory_limit_mb: int | None = Field(default=None, ge=1)
    retention_minutes: int | None = Field(default=None, ge=0)
    #: The inputs and outputs that nobody but the flow itself gets to see.
    protect_inputs: tuple[str, ...] = ()
    protect_outputs: tuple[str, ...] = ()
    #: What follows an execution that ended in success, in error, or in success after the one before had failed.
    on_success: FollowUps = ()
    on_error: FollowUps = ()
    on_recovery: FollowUps = ()


class RunOptions(Record):
    """The options of a run. Those that a start does not set are taken from the flow's metadata."""

    #: The kernelspec to run in; default: the notebook's own.
    kernel: str | None = Field(default=None, min_length=1, max_length=200)
    #: Limits each cell.
    cell_timeout_seconds: float | None = Field(default=None, gt=0)
    #: Hides the sources of the cells in the executed notebook, as papermill does.
    report_mode: bool | None = None

    def over(self, flow: FlowMetadata) -> RunOptions:
        """Return the options, with those of the flow in place of unset ones. The kernel is only the chosen one."""
        limit = self.cell_timeout_seconds or flow.cell_timeout_seconds
        is_report = flow.report_mode or None if self.report_mode is None else self.report_mode
        return RunOptions(kernel=self.kernel, cell_timeout_seconds=limit, report_mode=is_report)

    @property
    def stored(self) -> JsonObject | None:
        """The options that are set, or None without any."""
        return self.model_dump(exclude_none=True) or None


class Kernel(Record):
    """A kernel that flows can run in."""

    #: Of the kernelspec; flows and starts name it as `kernel`.
    name: str
    title: str
    #: Empty if its kernelspec does not say.
    language: str


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
