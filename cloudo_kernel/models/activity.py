"""Recent executions of flows and of the whole store, for lists and charts."""

from __future__ import annotations

from pydantic import Field

from cloudo_kernel.models.base import Record, UtcTime
from cloudo_kernel.models.executions import Status


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
