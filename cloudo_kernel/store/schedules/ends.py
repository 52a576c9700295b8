"""Update schedules when their executions end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, select, update

from cloudo_kernel import planning
from cloudo_kernel.models import Schedule, Status, event_types
from cloudo_kernel.store.events import record
from cloudo_kernel.store.tables import schedules

_s = schedules.c
# Built once, because every end of an execution with a schedule runs it.
_ONE = select(schedules).where(_s.id == bindparam("of"))


def run_ended(connection: Connection, schedule_id: str, execution_id: str, status: Status, *, now: datetime) -> None:
    """Update a schedule after one of its executions has ended.

    Counts errors in a row, and pauses the schedule at `pause_on_error_count`. Plans the next run of an interval that
    counts from the end of this execution.
    """
    while (row := connection.execute(_ONE, {"of": schedule_id}).one_or_none()) is not None:  # else it was deleted
        values = _after_run(row, execution_id, status, now=now)
        # Always increment the revision: a reader that saw this execution running must not wait for its end any more.
        is_known = and_(_s.id == schedule_id, _s.revision == row.revision)
        if connection.execute(update(schedules).where(is_known).values(**values, revision=_s.revision + 1)).rowcount:
            if reason := values.get("pause_reason"):
                about = {"time": now, "name": row.name, "flow_name": row.flow_name, "reason": reason}
                record(connection, event_types.SCHEDULE_PAUSED, event_types.SCHEDULE, schedule_id, **about)
            return


def _after_run(row: Row[Any], execution_id: str, status: Status, *, now: datetime) -> dict[str, Any]:
    """Return the changes of a schedule that follow the end of one of its executions."""
    values: dict[str, Any] = {}
    errors = 0 if status is Status.ENDED_SUCCESS else row.error_count + (status is Status.ENDED_ERROR)
    if errors != row.error_count:
        values["error_count"] = errors
    if row.awaited_id == execution_id:
        schedule = Schedule.model_validate(dict(row._mapping))
        due = planning.after_end(schedule, now) if row.enabled else None
        fire_at = None if due is None else planning.fire_at(schedule, due)
        values |= {"next_run": due, "fire_at": fire_at, "awaited_id": None}
    most = row.pause_on_error_count
    if most is not None and errors >= most and row.enabled:
        reason = f"{errors} execution{'s' * (errors != 1)} in a row ended in error"
        values |= {"enabled": False, "pause_reason": reason}
        if row.fire_at is None or row.fire_at > now:  # otherwise it is due, and the scheduler records the outcome
            values |= {"next_run": None, "fire_at": None}
    return values
