"""Searches executions for a part of their texts, however few have it.

What many have is soon found among the newest, and what few have by the index of texts. Nobody knows beforehand which it
is, so both ways are gone by turns, in steps that grow, until one is at its end: at worst that takes some times as long
as the better of the two.
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
    """Return the newest executions that fit the conditions and one of the alternatives, one query for each of these.

    An index has the ids of each in their order; for all of them at once they would have to be sorted.
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
    """What is searched for: executions that fit, newest first, with `q` in one of their texts."""

    q: str
    conditions: Sequence[ColumnElement[bool]]
    #: One of them has to hold, too.
    alternatives: Sequence[Sequence[ColumnElement[bool]]]
    #: What sorts them by their ids.
    order: ColumnElement[Any]
    #: They come before this one.
    before: str | None
    limit: int

    @property
    def has_it(self) -> ColumnElement[bool]:
        """The condition that a text has it; large and small letters are the same, with SQLite those of ASCII."""
        searched = (_c.name, _c.flow_name, _c.message, _c.id)
        return or_(*(column.icontains(self.q, autoescape=True) for column in searched))

    def run(self, connection: Connection, texts: TextIndex, marks: Marks) -> list[str]:
        """Return the ids of the newest; `marks` are what the index knows of the conditions."""
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
        """Return the newest executions that fit, and these conditions."""
        return newest_rows(connection, columns, conditions, self.alternatives, order=self.order, limit=limit)

    def _race(self, scan: _Scan, lookup: _Lookup) -> list[str]:
        step = _FIRST_STEP
        while True:
            # What the index knows is worth more than any execution: that way gets the longer steps.
            if scan.go(step) or len(scan.found) >= self.limit:
                return scan.found
            if lookup.go(4 * step) or len(lookup.found) >= self.limit:
                return lookup.found
            step = min(2 * step, _MAX_STEP)


@dataclass
class _Scan:
    """All executions that fit, newest first, looked at one by one."""

    search: Search
    connection: Connection
    found: list[str] = field(default_factory=list)
    _last: str | None = None

    def go(self, number: int) -> bool:
        """Look at the next `number`; return whether these were the last."""
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
    """What the index knows, newest first; and besides what has changed since it was brought up to date."""

    def __init__(self, search: Search, connection: Connection, candidates: Candidates) -> None:
        self.found: list[str] = []
        self._search = search
        self._connection = connection
        self._candidates = candidates
        self._indexed: set[str] = set()
        self._changed: set[str] | None = None

    def go(self, number: int) -> bool:
        """Look at the next `number`; return whether these were the last."""
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
