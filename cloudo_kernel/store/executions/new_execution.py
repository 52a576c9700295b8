"""What is known of an execution before it is in the store, and what of it nobody may see."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cloudo_kernel.models import EngineTier, Execution, ExecutionType, JsonObject, Trigger


@dataclass(kw_only=True)
class NewExecution:
    """What the service knows of an execution before it exists. Not frozen: that takes three times as long to make."""

    id: str
    name: str
    type: ExecutionType
    flow_name: str | None
    input_value: JsonObject
    trigger: Trigger
    user_name: str
    source_text: str
    source_sha256: str
    kernel: str
    folder: str
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    #: The execution at the top of its tree, which the store finds by its parent.
    root_id: str | None = None
    scheduled_for: datetime | None = None
    retry_of: str | None = None
    schedule_id: str | None = None
    webhook_name: str | None = None
    timeout_seconds: float | None = None
    rank: int = 0
    max_running: int | None = None
    retries: int = 0
    retry_delay_seconds: float = 0
    engine: EngineTier = EngineTier.KERNEL
    memory_limit_mb: int | None = None
    #: What is set of `models.RunOptions`.
    run_options: JsonObject | None = None
    durable: bool = False
    retention_minutes: int | None = None
    reserved_for: str | None = None
    #: How many executions are above it.
    depth: int = 0
    #: It waits for somebody to let it run.
    is_held: bool = False
    #: What is to follow its end, by occasion.
    follow_ups: JsonObject | None = None
    message: str | None = None
    output_value: JsonObject = field(default_factory=dict)
    #: What of the inputs and outputs is not as it is shown.
    sealed_inputs: str | None = field(default=None, repr=False)
    sealed_outputs: str | None = field(default=None, repr=False)
    #: The keys of outputs that are to be protected.
    protected_outputs: tuple[str, ...] | None = None

    def copy(self, **more: Any) -> NewExecution:
        """Return a copy with some fields changed. The constructor takes five times as long."""
        other = object.__new__(NewExecution)
        other.__dict__.update(self.__dict__, **more)
        return other


@dataclass(frozen=True)
class IdempotencyKey:
    """A caller's promise that two requests with it are one."""

    key: str
    body_sha256: str


#: An execution to be added, and its caller's promise if there is one.
Start = tuple[NewExecution, IdempotencyKey | None]


@dataclass(frozen=True)
class Inserted:
    """The execution that a start leads to."""

    execution: Execution
    #: False: an earlier start with the same idempotency key had made it.
    is_new: bool


@dataclass(frozen=True)
class Protected:
    """The inputs and outputs of an execution that its record masks, as they are."""

    inputs: JsonObject = field(repr=False)
    outputs: JsonObject = field(repr=False)

    def revealed(self, execution: Execution) -> Execution:
        """Return the record with them."""
        update = {
            "input_value": {**execution.input_value, **self.inputs},
            "output_value": {**execution.output_value, **self.outputs},
        }
        return execution.model_copy(update=update)
