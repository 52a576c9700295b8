"""Find the pending executions that a worker's labels allow it to run, and those that no live worker can run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, or_, select

from cloudo_kernel.models import Execution, Status
from cloudo_kernel.store.tables import executions, workers
from cloudo_kernel.store.workers import LEASE_SECONDS

_c, _w = executions.c, workers.c
_NONE: tuple[str, ...] = ()
_IS_PENDING = _c.status == Status.PENDING.value
# Reads one index entry per combination of labels, however many executions require it.
_first = select(func.min(_c.requires).label("requires")).where(_IS_PENDING, _c.requires > _NONE)
_each = _first.cte("each", recursive=True)
_following = select(func.min(_c.requires)).where(_IS_PENDING, _c.requires > _each.c.requires).scalar_subquery()
_each = _each.union_all(select(_following).where(_each.c.requires.is_not(None)))
_REQUIRED = select(_each.c.requires).where(_each.c.requires.is_not(None))
_LABELS_OF_LIVE = select(_w.labels).where(~_w.private, ~_w.draining, _w.beat_at > bindparam("since"))
_ARE_DUE = select(_c.id).where(
    _c.id.in_(bindparam("ids", expanding=True)),
    or_(_c.scheduled_for.is_(None), _c.scheduled_for <= bindparam("now")),
    ~_c.is_held,
)


def next_for(
    connection: Connection, query: Select[Any], about: dict[str, Any], labels: Collection[str]
) -> list[Row[Any]]:
    """Run a query for the first `about["most"]` executions, and return those that a worker with `labels` can run.

    Each combination of labels has its own query, because one query for all of them would have to sort the queue.
    """
    fitting = [_NONE]
    if labels:
        fitting += [one for one in connection.execute(_REQUIRED).scalars() if one and set(one) <= set(labels)]
    found = [row for one in fitting for row in connection.execute(query, {**about, "requires": one})]
    if len(fitting) > 1:
        found.sort(key=lambda row: (row.rank, row.created_at, row.id))
    return found[: about["most"]]


def explained(connection: Connection, records: Sequence[Execution], *, now: datetime) -> tuple[Execution, ...]:
    """Return the records. The message of a due execution that no live worker can run names the labels it requires."""
    ids = [one.id for one in records if one.requires and one.status is Status.PENDING]
    if not ids:
        return tuple(records)
    due = set(connection.execute(_ARE_DUE, {"ids": ids, "now": now}).scalars())
    since = now - timedelta(seconds=LEASE_SECONDS)
    live = [set(labels) for labels in connection.execute(_LABELS_OF_LIVE, {"since": since}).scalars()]
    return tuple(
        one
        if one.id not in due or any(labels.issuperset(one.requires) for labels in live)
        else one.model_copy(update={"message": f"waiting for a worker with: {', '.join(one.requires)}"})
        for one in records
    )
