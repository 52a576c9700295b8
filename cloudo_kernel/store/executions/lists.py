"""Which executions a list holds: the newest ids that fit, found by an index whatever the filter is."""

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
#: Up to here, sorting what came since a moment is quicker than going through all that there is.
_MAX_SORTED: Final = 5_000
#: Flows are listed one by one up to so many; more of them have most of what is newest.
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
    """Return the ids of executions that fit, newest first, from before the one of that id on.

    `fits` makes the condition that the name of a flow fits, None for all flows.
    """
    conditions = _conditions(where)
    if before is not None:
        conditions.append(_c.id < before)
    names = None
    if fits is not None:
        names = None if where.flow_name is not None else _flow_names(connection, fits)
        if names is None:
            conditions.append(
                fits(_c.flow_name.op("||")(""))
            )  # not by the index of the names, which would have to sort
    order: ColumnElement[Any] = _c.id
    if where.since is not None:
        recent = select(_c.id).where(_c.created_at >= where.since).limit(_MAX_SORTED + 1).subquery()
        if connection.execute(select(func.count()).select_from(recent)).scalar_one() <= _MAX_SORTED:
            conditions.append(_c.created_at >= where.since)
            order = _c.id.op("||")("")  # not by the ids, but by the index of the times
        else:
            # A sum is in no index: the newest ids are gone through, most of which fit.
            conditions.append(type_coerce(_c.created_at, BigInteger) + 0 >= microseconds(where.since))
    alternatives = _alternatives(where.status, names)
    if not where.q:
        rows = newest_rows(connection, [_c.id], conditions, alternatives, order=order, limit=limit)
        return [row.id for row in rows]
    marks = marks_of(where, names)
    ways = Search(q=where.q, conditions=conditions, alternatives=alternatives, order=order, before=before, limit=limit)
    return ways.run(connection, texts, marks)


def _flow_names(connection: Connection, fits: Fits) -> list[str] | None:
    """Return the names of flows that fit and have executions; None if these are many.

    Each name leads to the next one by the index, however many executions it has.
    """
    names = select(func.min(_c.flow_name).label("name")).cte("names", recursive=True)
    following = select(func.min(_c.flow_name)).where(_c.flow_name > names.c.name).scalar_subquery()
    names = names.union_all(select(following).where(names.c.name.is_not(None)))
    query = select(names.c.name).where(names.c.name.is_not(None), fits(names.c.name)).limit(_MAX_NAMES + 1)
    found = list(connection.execute(query).scalars())
    return found if len(found) <= _MAX_NAMES else None


def _alternatives(statuses: Sequence[Status] | None, names: Sequence[str] | None) -> list[list[ColumnElement[bool]]]:
    """Return conditions of which one has to hold, each with an index that has its ids in their order."""
    flows = [[]] if names is None else [[_c.flow_name == name] for name in names]
    return [[*_of(status), *flow] for status in statuses or (None,) for flow in flows]


def _of(status: Status | None) -> list[ColumnElement[bool]]:
    if status is None:
        return []
    # The index of those that have ended is for queries that say so.
    return [_c.status == status.value, *([_c.ended_at.is_not(None)] if status.is_ended else [])]


def _conditions(where: ExecutionFilter) -> list[ColumnElement[bool]]:
    """Return what is asked for, but status, time and text."""
    named = {name: getattr(where, name) for name in ("flow_name", "parent_id", "schedule_id", "user_name")}
    return [_c[name] == wanted for name, wanted in named.items() if wanted is not None]
