"""The record of a flow, and the metadata that its notebook carries."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from cloudo_kernel.models.base import JsonObject, Record, Strict, UtcTime
from cloudo_kernel.models.executions import ExecutionBrief
from cloudo_kernel.models.follow_ups import FollowUps


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


class FlowMetadata(Strict, Record):
    """The notebook metadata key `cloudo`."""

    title: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    timeout_seconds: float | None = Field(default=None, gt=0)
    retries: int = Field(default=0, ge=0, le=100, description="How often a run that failed is tried again.")
    retry_delay_seconds: float = Field(
        default=0, ge=0, le=86_400, description="Before the first retry; doubled for each further one, up to a day."
    )
    max_running: int | None = Field(default=None, ge=1, description="Of this flow at once, in the whole store.")
    priority: int = Field(default=0, ge=-100, le=100, description="Higher ones are taken from the queue first.")
    durable: bool = Field(
        default=False,
        description="Its calls are recorded: while it waits long it needs no process, and after a death it "
        "goes on where it was.",
    )
    engine: EngineTier = EngineTier.KERNEL
    kernel: str | None = Field(
        default=None, min_length=1, max_length=200, description="The kernelspec to run in; default: the notebook's own."
    )
    cell_timeout_seconds: float | None = Field(
        default=None, gt=0, description="A cell that takes longer ends the run in error."
    )
    report_mode: bool = Field(
        default=False, description="Hides the sources of the cells in the executed notebook, as papermill does."
    )
    memory_limit_mb: int | None = Field(
        default=None,
        ge=1,
        description="What the kernel may take beyond what it has at its start; each process that it starts may, too.",
    )
    retention_minutes: int | None = Field(default=None, ge=0)
    protect_inputs: tuple[str, ...] = Field(
        default=(), description="The inputs and outputs that nobody but the flow itself gets to see."
    )
    protect_outputs: tuple[str, ...] = ()
    on_success: FollowUps = Field(
        default=(),
        description="What follows an execution that ended in success, in error, or in success after the one "
        "before had failed.",
    )
    on_error: FollowUps = ()
    on_recovery: FollowUps = ()


class RunOptions(Record):
    """How a run is made; a start chooses, and what it leaves open the flow's metadata say."""

    kernel: str | None = Field(
        default=None, min_length=1, max_length=200, description="The kernelspec to run in; default: the notebook's own."
    )
    cell_timeout_seconds: float | None = Field(default=None, gt=0, description="Limits each cell.")
    report_mode: bool | None = Field(
        default=None, description="Hides the sources of the cells in the executed notebook, as papermill does."
    )

    def over(self, flow: FlowMetadata) -> RunOptions:
        """Return them with those of the flow where they leave something open; the kernel is only what was chosen."""
        limit = self.cell_timeout_seconds or flow.cell_timeout_seconds
        is_report = flow.report_mode or None if self.report_mode is None else self.report_mode
        return RunOptions(kernel=self.kernel, cell_timeout_seconds=limit, report_mode=is_report)

    @property
    def stored(self) -> JsonObject | None:
        """The options that are set, None if there are none."""
        return self.model_dump(exclude_none=True) or None


class Kernel(Record):
    """A kernel that flows can run in."""

    name: str = Field(description="Of the kernelspec; flows and starts name it as `kernel`.")
    title: str
    language: str = Field(description="Empty if its kernelspec does not say.")


class Flow(Record):
    """A notebook below the flows folder of the workspace, or in the shipped library."""

    name: str = Field(description="Path below the flows folder without the ending, `/`-separated.")
    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    source: FlowSource
    kind: str = "notebook"
    path: str = Field(description="Below the workspace (`flows/…`) or, for the library, absolute.")
    kernel: str = Field(
        default="cloudo", description="The kernel it runs in: `cloudo`, or the name of another kernelspec."
    )
    input_schema: JsonObject = Field(
        default_factory=dict,
        description="JSON Schema (draft 7) of the inputs; `additionalProperties` says whether others are accepted.",
    )
    metadata: FlowMetadata = FlowMetadata()
    modified_at: UtcTime
    broken: str | None = Field(default=None, description="Why it cannot be run, or None.")
    last_executions: tuple[ExecutionBrief, ...] = Field(default=(), description="Newest first, five at most.")
    next_run: UtcTime | None = None
