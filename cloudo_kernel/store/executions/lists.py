"""Find the newest executions that match a filter; every filter uses an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, func, select, type_coerce

from cloudo_kernel.models import ExecutionFilter, Status
from cloudo_kernel.store.executions.search import Search, newest_rows
from cloudo_kernel.store.executions.text_entry import marks_of
from cloudo_kernel.store.executions.text_index import TextIndex
from cloudo_kernel.store.tables import executions
from cloudo_kernel.store.tables.base import microseconds

_c = executions.c
#: Up to this many recent executions, sorting them is faster than scanning all executions by id.
_MAX_SORTED: Final = 5_000
#: Maximum number of flows to query one by one. More flows than this own most of the newest executions.
_MAX_NAMES: Final = 100

Fits = Callable[[ColumnElement[Any]], ColumnElement[bool]]


def newest(
    connection: Connection,
    where: ExecutionFilter,
    *,
    fits: Fits | None,
    before: str | None,
    limit: int,
    texts: TextIndex,
) -> list[str]:
    """Return the ids of up to `limit` matching executions, newest first, with ids below `before`.

    `fits` builds the condition on the flow name; None allows all flows.
    """
    conditions = _conditions(where)
    if before is not None:
        conditions.append(_c.id < before)
    names = None
    if fits is not None:
        names = None if where.flow_name is not None else _flow_names(connection, fits)
        if names is None:
            # `||` keeps the query off the name index, which would require a sort.
            conditions.append(fits(_c.flow_name.op("||")("")))
    order: ColumnElement[Any] = _c.id
    if where.since is not None:
        recent = select(_c.id).where(_c.created_at >= where.since).limit(_MAX_SORTED + 1).subquery()
        if connection.execute(select(func.count()).select_from(recent)).scalar_one() <= _MAX_SORTED:
            conditions.append(_c.created_at >= where.since)
            order = _c.id.op("||")("")  # use the index on `created_at` instead of the one on ids
        else:
            # No index covers a sum, so this scans the newest ids; most of them match.
            conditions.append(type_coerce(_c.created_at, BigInteger) + 0 >= microseconds(where.since))
    alternatives = _alternatives(where.status, names)
    if not where.q:
        rows = newest_rows(connection, [_c.id], conditions, alternatives, order=order, limit=limit)
        return [row.id for row in rows]
    marks = marks_of(where, names)
    ways = Search(q=where.q, conditions=conditions, alternatives=alternatives, order=order, before=before, limit=limit)
    return ways.run(connection, texts, marks)


def _flow_names(connection: Connection, fits: Fits) -> list[str] | None:
    """Return the names of matching flows that have executions; None if there are more than `_MAX_NAMES`.

    Reads one index entry per name, however many executions the flow has.
    """
    names = select(func.min(_c.flow_name).label("name")).cte("names", recursive=True)
    following = select(func.min(_c.flow_name)).where(_c.flow_name > names.c.name).scalar_subquery()
    names = names.union_all(select(following).where(names.c.name.is_not(None)))
    query = select(names.c.name).where(names.c.name.is_not(None), fits(names.c.name)).limit(_MAX_NAMES + 1)
    found = list(connection.execute(query).scalars())
    return found if len(found) <= _MAX_NAMES else None


def _alternatives(statuses: Sequence[Status] | None, names: Sequence[str] | None) -> list[list[ColumnElement[bool]]]:
    """Return alternative conditions. At least one must hold; each has an index with its ids in order."""
    flows = [[]] if names is None else [[_c.flow_name == name] for name in names]
    return [[*_of(status), *flow] for status in statuses or (None,) for flow in flows]


def _of(status: Status | None) -> list[ColumnElement[bool]]:
    if status is None:
        return []
    # The partial index on ended executions needs the condition `ended_at IS NOT NULL`.
    return [_c.status == status.value, *([_c.ended_at.is_not(None)] if status.is_ended else [])]


def _conditions(where: ExecutionFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of the filter, except status, time and text."""
    named = {name: getattr(where, name) for name in ("flow_name", "parent_id", "schedule_id", "user_name")}
    return [_c[name] == wanted for name, wanted in named.items() if wanted is not None]
