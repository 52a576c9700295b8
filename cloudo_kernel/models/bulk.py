"""One action on many executions or flows: the request, and the outcome of each."""

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
    """What is done to each."""

    #: Of flows; all others are of executions.
    START = "start"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    DELETE = "delete"


class BulkRequest(Request):
    """A request to start many flows, or to do the same to many executions."""

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
            raise ValueError(f"{self.action} takes {takes}, and no {other}")
        if self.inputs is not None and self.action not in (BulkAction.START, BulkAction.RETRY):
            raise ValueError(f"inputs do not go with {self.action}")
        if self.tree and self.action is not BulkAction.CANCEL:
            raise ValueError(f"tree does not go with {self.action}")
        return self


class BulkError(Record):
    """Why something was not done, in the words in which a request for it alone would have been refused."""

    code: str
    message: str
    #: The input or parameter that is at fault, where there is one; the first of several.
    field: str | None = None
    #: Each mistake by itself, where there are several.
    errors: tuple[FieldError, ...] = ()


class BulkItem(Record):
    """The outcome for one item."""

    #: The execution that was asked for; null for a start.
    id: str | None = None
    #: The flow that was asked for; null for all but a start.
    flow_name: str | None = None
    ok: bool
    #: The record after the action; for a start or a retry, the new one; null after an error or a deletion.
    execution: ExecutionBrief | None = None
    error: BulkError | None = None


class BulkOutcome(Record):
    """The outcome of each, in the order of the request."""

    items: tuple[BulkItem, ...]
