"""One action on many executions or flows: the request, and what became of each."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from cloudo_kernel.models.base import JsonObject, Record, Request
from cloudo_kernel.models.executions import ExecutionBrief
from cloudo_kernel.models.fault import FieldError

#: The most that one request is about.
BULK_LIMIT: Final = 500

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


class BulkRequest(Request):
    """A request to start many flows, or to apply one action to many executions."""

    action: BulkAction
    ids: Names | None = Field(default=None, description="Execution ids; for every action except `start`.")
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
        takes, other = ("flow_names", "ids") if self.action is BulkAction.START else ("ids", "flow_names")
        if getattr(self, takes) is None or getattr(self, other) is not None:
            raise ValueError(f"{self.action} takes {takes}, and no {other}")
        if self.inputs is not None and self.action not in (BulkAction.START, BulkAction.RETRY):
            raise ValueError(f"inputs do not go with {self.action}")
        if self.tree and self.action is not BulkAction.CANCEL:
            raise ValueError(f"tree does not go with {self.action}")
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

    items: tuple[BulkItem, ...]
