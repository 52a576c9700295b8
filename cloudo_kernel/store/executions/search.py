"""Search executions for a part of their texts, whether it is frequent or rare.

Scanning the newest executions finds a frequent text fast; the index of texts finds a rare one fast. It is unknown
beforehand which is faster, so a search alternates between both in growing steps until one completes. In the worst case
that takes a few times as long as the faster of the two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select, true

from cloudo_kernel.store.executions.text_entry import Marks
from cloudo_kernel.store.executions.text_index import Candidates, TextIndex
from cloudo_kernel.store.tables import executions

_c = executions.c
_FIRST_STEP: Final = 250
_MAX_STEP: Final = 2_000


def newest_rows(
    connection: Connection,
    columns: Sequence[ColumnElement[Any]],
    conditions: Sequence[ColumnElement[bool]],
    alternatives: Sequence[Sequence[ColumnElement[bool]]],
    *,
    order: ColumnElement[Any],
    limit: int,
) -> list[Row[Any]]:
    """Return the newest executions that match all conditions and one of the alternatives.

    Runs one query per alternative: each has an index with its ids in order, while one query for all would have to sort.
    """
    rows: list[Row[Any]] = []
    for alternative in alternatives:
        fitting = [*conditions, *alternative]
        if len(rows) == limit:
            fitting.append(_c.id > rows[-1].id)
        query = select(*columns).where(*fitting).order_by(order.desc()).limit(limit)
        rows = sorted([*rows, *connection.execute(query)], key=lambda row: str(row.id), reverse=True)[:limit]
    return rows


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search for matching executions with `q` in one of their texts, newest first."""

    q: str
    conditions: Sequence[ColumnElement[bool]]
    #: At least one of them must hold, too.
    alternatives: Sequence[Sequence[ColumnElement[bool]]]
    #: The expression that sorts executions by id.
    order: ColumnElement[Any]
    #: Only executions with an id below this one match.
    before: str | None
    limit: int

    @property
    def has_it(self) -> ColumnElement[bool]:
        """The condition that a text contains `q`, ignoring case (on SQLite, of ASCII letters only)."""
        searched = (_c.name, _c.flow_name, _c.message, _c.id)
        return or_(*(column.icontains(self.q, autoescape=True) for column in searched))

    def run(self, connection: Connection, texts: TextIndex, marks: Marks) -> list[str]:
        """Return the ids of the newest matches; `marks` is the part of the filter that the index covers."""
        with texts.candidates(connection, self.q, before=self.before, marks=marks) as candidates:
            if candidates is not None:
                return self._race(_Scan(self, connection), _Lookup(self, connection, candidates))
            conditions = [*self.conditions, self.has_it]
            return [row.id for row in self.rows(connection, [_c.id], conditions, limit=self.limit)]

    def rows(
        self,
        connection: Connection,
        columns: Sequence[ColumnElement[Any]],
        conditions: Sequence[ColumnElement[bool]],
        *,
        limit: int,
    ) -> list[Row[Any]]:
        """Return the newest executions that match these conditions and one of the alternatives."""
        return newest_rows(connection, columns, conditions, self.alternatives, order=self.order, limit=limit)

    def _race(self, scan: _Scan, lookup: _Lookup) -> list[str]:
        step = _FIRST_STEP
        while True:
            # A candidate from the index is more likely to match than any execution, so the lookup gets longer steps.
            if scan.go(step) or len(scan.found) >= self.limit:
                return scan.found
            if lookup.go(4 * step) or len(lookup.found) >= self.limit:
                return lookup.found
            step = min(2 * step, _MAX_STEP)


@dataclass
class _Scan:
    """Check all executions that match the other conditions one by one, newest first."""

    search: Search
    connection: Connection
    found: list[str] = field(default_factory=list)
    _last: str | None = None

    def go(self, number: int) -> bool:
        """Check the next `number`; return whether these were the last."""
        search, conditions = self.search, [*self.search.conditions]
        if self._last is not None:
            conditions.append(_c.id < self._last)
        columns = [_c.id, search.has_it.label("has_it")]
        rows = search.rows(self.connection, columns, conditions, limit=number)
        self.found += [row.id for row in rows if row.has_it]
        if rows:
            self._last = rows[-1].id
        return len(rows) < number


class _Lookup:
    """Check the candidates of the index, newest first, and executions that changed since its last update."""

    def __init__(self, search: Search, connection: Connection, candidates: Candidates) -> None:
        self.found: list[str] = []
        self._search = search
        self._connection = connection
        self._candidates = candidates
        self._indexed: set[str] = set()
        self._changed: set[str] | None = None

    def go(self, number: int) -> bool:
        """Check the next `number`; return whether these were the last."""
        if self._changed is None:
            self._changed = self._of(self._candidates.changed)
        ids, is_last = self._candidates.next(number)
        self._indexed |= self._of(ids)
        if is_last or len(self._indexed) >= self._search.limit:
            self.found = sorted(self._indexed | self._changed, reverse=True)
        return is_last

    def _of(self, ids: Sequence[str]) -> set[str]:
        if not ids:
            return set()
        given = func.json_each(json.dumps(ids)).table_valued("value")
        is_one = or_(*(and_(true(), *alternative) for alternative in self._search.alternatives))
        is_given = _c.id.in_(select(given.c.value))
        query = select(_c.id).where(*self._search.conditions, self._search.has_it, is_one, is_given)
        return set(self._connection.execute(query).scalars())
