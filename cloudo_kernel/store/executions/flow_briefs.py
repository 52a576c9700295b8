"""The newest executions of many flows, in one query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, String, column, select, values

from cloudo_kernel.models import ExecutionBrief
from cloudo_kernel.store.tables import executions

#: Flows that one query asks about. Each is a variable of it, and SQLite allows 32,766.
_FLOWS_AT_ONCE: Final = 500


def newest_of_flows(
    connection: Connection, flow_names: Sequence[str], *, each: int
) -> dict[str, tuple[ExecutionBrief, ...]]:
    """Return up to `each` executions of each flow, newest first; flows without any are left out."""
    found: dict[str, list[ExecutionBrief]] = {}
    for start in range(0, len(flow_names), _FLOWS_AT_ONCE):
        for flow_name, *fields in connection.execute(_query(flow_names[start : start + _FLOWS_AT_ONCE], each)):
            brief = dict(zip(("id", "status", "created_at", "ended_at"), fields, strict=True))
            found.setdefault(flow_name, []).append(ExecutionBrief.model_validate(brief))
    return {flow_name: tuple(briefs) for flow_name, briefs in found.items()}


def _query(flow_names: Sequence[str], each: int) -> Select[Any]:
    # A window over all flows would read every execution. One query for each of 500 flows took 40 ms; this takes 20 ms,
    # half of it to compile the names.
    flows = values(column("name", String)).data([(name,) for name in flow_names]).cte("flows")
    other = executions.alias("other")
    newest_ids = select(other.c.id).where(other.c.flow_name == flows.c.name).order_by(other.c.id.desc()).limit(each)
    brief = (executions.c.id, executions.c.status, executions.c.created_at, executions.c.ended_at)
    return (
        select(executions.c.flow_name, *brief)
        .select_from(flows.join(executions, executions.c.id.in_(newest_ids.correlate(flows))))
        .order_by(executions.c.id.desc())
    )
