"""Find the newest executions that match a filter; every filter uses an index.

A search for a text goes two ways in turns, in growing steps, until one of them completes. Scanning the newest
executions finds a frequent text fast, the index of texts a rare one, and it is unknown beforehand which is faster. In
the worst case that takes a few times as long as the faster way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, and_, false, func, or_, select, true, type_coerce

from cloudo_kernel.models import ExecutionBrief, ExecutionFilter, Status
from cloudo_kernel.store.executions.text_entry import marks_of
from cloudo_kernel.store.executions.text_index import Candidates, TextIndex
from cloudo_kernel.store.tables import executions
from cloudo_kernel.store.tables.base import microseconds

_c = executions.c
#: Up to this many recent executions, sorting them is faster than scanning all executions by id.
_MAX_SORTED: Final = 5_000
#: Maximum number of flows to query one by one. More flows than this own most of the newest executions.
_MAX_NAMES: Final = 100
#: Number of executions that a search checks in its first and in its longest steps.
_FIRST_STEP: Final = 250
_MAX_STEP: Final = 2_000

Fits = Callable[[ColumnElement[Any]], ColumnElement[bool]]


@dataclass(frozen=True)
class _Query:
    """A filter in SQL: all conditions and one of the alternatives must hold."""

    connection: Connection
    conditions: Sequence[ColumnElement[bool]]
    #: Each has an index with its ids in order.
    alternatives: Sequence[Sequence[ColumnElement[bool]]]
    #: The expression that sorts executions by id.
    order: ColumnElement[Any]

    def rows(
        self, *columns: ColumnElement[Any], where: Sequence[ColumnElement[bool]] = (), limit: int
    ) -> list[Row[Any]]:
        """Return the newest executions that also meet the conditions in `where`.

        Runs one query per alternative, because one query for all of them would have to sort.
        """
        rows: list[Row[Any]] = []
        for alternative in self.alternatives:
            conditions = [*self.conditions, *where, *alternative]
            if len(rows) == limit:
                conditions.append(_c.id > rows[-1].id)
            query = select(*columns).where(*conditions).order_by(self.order.desc()).limit(limit)
            rows = sorted([*rows, *self.connection.execute(query)], key=lambda row: str(row.id), reverse=True)[:limit]
        return rows


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
    query = _Query(connection, conditions, _alternatives(where.status, names), order)
    if not where.q:
        return [row.id for row in query.rows(_c.id, limit=limit)]
    has_text = _has_text(where.q)
    with texts.candidates(connection, where.q, before=before, marks=marks_of(where, names)) as candidates:
        if candidates is None:
            return [row.id for row in query.rows(_c.id, where=[has_text], limit=limit)]
        return _race(_Scan(query, has_text, limit), _Lookup(query, has_text, limit, candidates))


def briefs_of(connection: Connection, ids: Iterable[str | None]) -> dict[str, ExecutionBrief]:
    """Return the executions that other records name, by id, as far as they are still kept. One query for a page."""
    wanted = {one for one in ids if one is not None}
    if not wanted:
        return {}
    query = select(_c.id, _c.status, _c.created_at, _c.ended_at).where(_c.id.in_(wanted))
    return {row.id: ExecutionBrief.model_validate(dict(row._mapping)) for row in connection.execute(query)}


def _has_text(q: str) -> ColumnElement[bool]:
    """Return the condition that a text contains `q`, ignoring case (on SQLite, of ASCII letters only)."""
    return or_(*(column.icontains(q, autoescape=True) for column in (_c.name, _c.flow_name, _c.message, _c.id)))


def _race(scan: _Scan, lookup: _Lookup) -> list[str]:
    step = _FIRST_STEP
    while True:
        if scan.go(step):
            return scan.found
        # A candidate from the index is more likely to match than any execution, so the lookup gets longer steps.
        if lookup.go(4 * step):
            return lookup.found
        step = min(2 * step, _MAX_STEP)


class _Scan:
    """Check all executions that match the other filters, newest first."""

    def __init__(self, query: _Query, has_text: ColumnElement[bool], limit: int) -> None:
        self.found: list[str] = []
        self._query = query
        self._columns = (_c.id, has_text.label("has_text"))
        self._limit = limit
        self._before: list[ColumnElement[bool]] = []

    def go(self, number: int) -> bool:
        """Check the next `number` executions; return whether `found` is complete."""
        rows = self._query.rows(*self._columns, where=self._before, limit=number)
        self.found += [row.id for row in rows if row.has_text]
        if rows:
            self._before = [_c.id < rows[-1].id]
        return len(rows) < number or len(self.found) >= self._limit


class _Lookup:
    """Check the candidates of the index, newest first, and executions that changed since its last update."""

    def __init__(self, query: _Query, has_text: ColumnElement[bool], limit: int, candidates: Candidates) -> None:
        self._connection = query.connection
        self._candidates = candidates
        self._limit = limit
        is_one = or_(false(), *(and_(true(), *alternative) for alternative in query.alternatives))
        self._matching = select(_c.id).where(*query.conditions, has_text, is_one)
        self._indexed: set[str] = set()
        self._changed: set[str] | None = None

    @property
    def found(self) -> list[str]:
        """The matches, newest first."""
        return sorted(self._indexed | (self._changed or set()), reverse=True)

    def go(self, number: int) -> bool:
        """Check the next `number` entries of the index; return whether `found` is complete."""
        if self._changed is None:
            self._changed = self._of(self._candidates.changed)
        ids, is_last = self._candidates.next(number)
        self._indexed |= self._of(ids)
        # Changed executions do not count towards the limit: candidates may be newer.
        return is_last or len(self._indexed) >= self._limit

    def _of(self, ids: Sequence[str]) -> set[str]:
        if not ids:
            return set()
        given = func.json_each(json.dumps(ids)).table_valued("value")
        return set(self._connection.execute(self._matching.where(_c.id.in_(select(given.c.value)))).scalars())


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
