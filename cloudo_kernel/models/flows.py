"""The record of a flow, and the metadata that its notebook carries."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from cloudo_kernel.models.base import JsonObject, Record, Strict, UtcTime
from cloudo_kernel.models.executions import ExecutionBrief
from cloudo_kernel.models.follow_ups import FollowUps
from cloudo_kernel.models.labels import Labels


class FlowSource(StrEnum):
    """Where a flow is: in the workspace, or in the shipped library."""

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
    retries: int = Field(default=0, ge=0, le=100, description="Maximum number of retries of a failed run.")
    retry_delay_seconds: float = Field(
        default=0,
        ge=0,
        le=86_400,
        description="Delay before the first retry; doubled for each further retry, up to a day.",
    )
    max_running: int | None = Field(
        default=None, ge=1, description="Maximum number of concurrent executions of this flow in the whole store."
    )
    priority: int = Field(default=0, ge=-100, le=100, description="Executions with a higher priority start first.")
    durable: bool = Field(
        default=False,
        description="Record the flow's calls. A long wait then needs no process, and a crashed run is replayed.",
    )
    requires: Labels = Field(
        default=(), description="Labels that a worker must have to run this flow, such as `gpu`; up to 20."
    )
    engine: EngineTier = EngineTier.KERNEL
    kernel: str | None = Field(
        default=None, min_length=1, max_length=200, description="Name of the kernelspec. Default: the notebook's own."
    )
    cell_timeout_seconds: float | None = Field(
        default=None, gt=0, description="Time limit of each cell. Exceeding it ends the run in error."
    )
    report_mode: bool = Field(
        default=False, description="Hide cell sources in the executed notebook, as papermill's `--report-mode` does."
    )
    memory_limit_mb: int | None = Field(
        default=None,
        ge=1,
        description="Memory that the kernel, and each process it starts, may allocate beyond the kernel's "
        "start-up size.",
    )
    retention_minutes: int | None = Field(default=None, ge=0)
    protect_inputs: tuple[str, ...] = Field(
        default=(), description="Names of inputs that only the flow itself can read."
    )
    protect_outputs: tuple[str, ...] = ()
    on_success: FollowUps = Field(default=(), description="Flows to start and addresses to call after a success.")
    on_error: FollowUps = Field(default=(), description="The same after an error.")
    on_recovery: FollowUps = Field(default=(), description="The same after a success that follows an error.")


class RunOptions(Record):
    """Options of a run. Options missing in a start come from the flow's metadata."""

    kernel: str | None = Field(
        default=None, min_length=1, max_length=200, description="Name of the kernelspec. Default: the notebook's own."
    )
    cell_timeout_seconds: float | None = Field(default=None, gt=0, description="Time limit of each cell.")
    report_mode: bool | None = Field(
        default=None, description="Hide cell sources in the executed notebook, as papermill's `--report-mode` does."
    )

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

    name: str = Field(description="Name of the kernelspec, as used in `kernel` fields.")
    title: str
    language: str = Field(description="Programming language; empty if the kernelspec does not state it.")


class ReadInputs(Record):
    """Inputs of a flow, read from a text."""

    inputs: JsonObject


class Flow(Record):
    """A notebook below the flows folder of the workspace, or in the shipped library."""

    name: str = Field(description="Path relative to the flows folder, without its extension.")
    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    source: FlowSource
    kind: str = "notebook"
    path: str = Field(description="Path relative to the workspace (`flows/…`); absolute for flows of the library.")
    kernel: str = Field(default="cloudo", description="Name of the kernelspec: `cloudo` or another.")
    input_schema: JsonObject = Field(
        default_factory=dict,
        description="JSON Schema (draft 7) of the inputs. `additionalProperties` states whether other inputs "
        "are accepted.",
    )
    metadata: FlowMetadata = FlowMetadata()
    modified_at: UtcTime
    broken: str | None = Field(default=None, description="Reason why the flow cannot run, or null.")
    last_executions: tuple[ExecutionBrief, ...] = Field(
        default=(), description="The last five executions, newest first."
    )
    next_run: UtcTime | None = None

    @property
    def brief(self) -> Flow:
        """The record without its input schema and metadata, as long lists have it."""
        return self.model_copy(update={"input_schema": {}, "metadata": FlowMetadata()})
