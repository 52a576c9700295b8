"""Which executions a list holds: the newest ids that fit, found by an index whatever the filter is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, func, select, type_coerce

from cloudo_kernel.models import ExecutionFilter, Status
from cloudo_kernel.store.search import Search
from cloudo_kernel.store.text_index import TextIndex, marks_of
from cloudo_kernel.tables import executions
from cloudo_kernel.tables.base import microseconds

_c = executions.c
#: Up to here, sorting what came since a moment is quicker than going through all that there is.
_FEW: Final = 5_000


def newest(
    connection: Connection,
    where: ExecutionFilter,
    is_meant: Sequence[ColumnElement[bool]],
    *,
    before: str | None,
    limit: int,
    texts: TextIndex,
) -> list[str]:
    """Return the ids of executions that fit, newest first, from before the one of that id on.

    Several statuses are as many queries: an index that begins with the status has the ids of one in their order.
    """
    conditions = [*is_meant, *_conditions(where)]
    if before is not None:
        conditions.append(_c.id < before)
    order: ColumnElement[Any] = _c.id
    if where.since is not None:
        recent = select(_c.id).where(_c.created_at >= where.since).limit(_FEW + 1).subquery()
        if connection.execute(select(func.count()).select_from(recent)).scalar_one() <= _FEW:
            conditions.append(_c.created_at >= where.since)
            order = _c.id.op("||")("")  # not by the ids, but by the index of the times
        else:
            # A sum is in no index: the newest ids are gone through, most of which fit.
            conditions.append(type_coerce(_c.created_at, BigInteger) + 0 >= microseconds(where.since))
    found: set[str] = set()
    for status in where.status or (None,):
        fitting = [*conditions, *_of(status)]
        if where.q:
            marks = marks_of(where, status)
            search = Search(q=where.q, conditions=fitting, order=order, marks=marks, before=before, limit=limit)
            found.update(search.run(connection, texts))
            continue
        query = select(_c.id).where(*fitting).order_by(order.desc()).limit(limit)
        found.update(connection.execute(query).scalars())
    return sorted(found, reverse=True)[:limit]


def _of(status: Status | None) -> list[ColumnElement[bool]]:
    if status is None:
        return []
    # The index of those that have ended is for queries that say so.
    return [_c.status == status.value, *([_c.ended_at.is_not(None)] if status.is_ended else [])]


def _conditions(where: ExecutionFilter) -> list[ColumnElement[bool]]:
    """Return what is asked for, but status, time and text."""
    named = {name: getattr(where, name) for name in ("flow_name", "parent_id", "schedule_id", "user_name")}
    return [_c[name] == wanted for name, wanted in named.items() if wanted is not None]
