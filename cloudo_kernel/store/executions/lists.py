"""Find the newest or the oldest executions that match a filter, and read them as lists show them.

Every filter uses an index. A search for a text goes two ways in turns, in growing steps, until one of them completes.
Scanning the newest executions finds a frequent text fast, the index of texts a rare one, and it is unknown beforehand
which is faster. In the worst case that takes a few times as long as the faster way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Result,
    Row,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    null,
    or_,
    select,
    true,
    type_coerce,
)

from cloudo_kernel.models import Execution, ExecutionBrief, ExecutionFilter, ExecutionOrder, Status
from cloudo_kernel.models.results import IMAGE_TYPES, MAX_THUMBNAIL_BYTES
from cloudo_kernel.store.executions.text_entry import marks_of
from cloudo_kernel.store.executions.text_index import Candidates, TextIndex
from cloudo_kernel.store.tables import execution_tags, executions, results
from cloudo_kernel.store.tables.base import microseconds

_c, _t = executions.c, execution_tags.c
#: Up to this many recent executions, sorting them is faster than scanning all executions by id.
_MAX_SORTED: Final = 5_000
#: Executions that are sorted by duration.
MAX_BY_DURATION: Final = 10_000
#: Executions whose ids are compared to find the id at an end of a span of time.
_NEIGHBOURS: Final = 1_000
#: Maximum number of flows to query one by one. More flows than this own most of the newest executions.
_MAX_NAMES: Final = 100
#: Number of executions that a search checks in its first and in its longest steps.
_FIRST_STEP: Final = 250
_MAX_STEP: Final = 2_000

Fits = Callable[[ColumnElement[Any]], ColumnElement[bool]]
#: Values above this size are left out of lists.
LIST_VALUE_BYTES = 4096


@dataclass(frozen=True)
class _Query:
    """A filter in SQL: all conditions and one of the alternatives must hold."""

    connection: Connection
    conditions: Sequence[ColumnElement[bool]]
    #: Each has an index with its ids in order.
    alternatives: Sequence[Sequence[ColumnElement[bool]]]
    #: The expression that sorts executions by id.
    order: ColumnElement[Any]
    is_oldest_first: bool = False

    def beyond(self, execution_id: str) -> ColumnElement[bool]:
        """Return the condition that an execution comes after another one in the list."""
        return self.order > execution_id if self.is_oldest_first else self.order < execution_id

    def rows(
        self, *columns: ColumnElement[Any], where: Sequence[ColumnElement[bool]] = (), limit: int
    ) -> list[Row[Any]]:
        """Return the first executions that also meet the conditions in `where`.

        Runs one query per alternative, because one query for all of them would have to sort.
        """
        rows: list[Row[Any]] = []
        for alternative in self.alternatives:
            conditions = [*self.conditions, *where, *alternative]
            if len(rows) == limit:
                conditions.append(_c.id < rows[-1].id if self.is_oldest_first else _c.id > rows[-1].id)
            by_id = self.order.asc() if self.is_oldest_first else self.order.desc()
            found = self.connection.execute(select(*columns).where(*conditions).order_by(by_id).limit(limit))
            rows = sorted([*rows, *found], key=lambda row: str(row.id), reverse=not self.is_oldest_first)[:limit]
        return rows


def ordered(
    connection: Connection,
    where: ExecutionFilter,
    *,
    fits: Fits | None,
    beyond: str | None,
    limit: int,
    texts: TextIndex,
    order: ExecutionOrder,
) -> list[str]:
    """Return the ids of up to `limit` matching executions in order, from the first one after the id `beyond`.

    `fits` builds the condition on the flow name; None allows all flows.
    """
    names = None
    conditions = conditions_of(where)
    if fits is not None:
        names = None if where.flow_name is not None else _flow_names(connection, fits)
        if names is None:
            # `||` keeps the query off the name index, which would require a sort.
            conditions.append(fits(_c.flow_name.op("||")("")))
    is_oldest_first = order is ExecutionOrder.OLDEST
    by_id, in_time = _in_time(connection, where, is_oldest_first=is_oldest_first)
    if in_time and by_id is not _c.id and by_id is not _t.execution_id:
        conditions = _by_time(conditions, where.tag)
    query = _Query(connection, [*conditions, *in_time], _alternatives(where, names), by_id, is_oldest_first)
    if beyond is not None:
        query = replace(query, conditions=[*query.conditions, query.beyond(beyond)])
    if not where.q:
        return [row.id for row in query.rows(_c.id, limit=limit)]
    is_found = has_text(where.q)
    before = None if is_oldest_first else beyond
    with texts.candidates(connection, where.q, before=before, marks=marks_of(where, names)) as candidates:
        if candidates is None:
            return [row.id for row in query.rows(_c.id, where=[is_found], limit=limit)]
        return _race(_Scan(query, is_found, limit), _Lookup(query, is_found, limit, candidates))[:limit]


def by_duration(
    connection: Connection, ids: Sequence[str], *, beyond: str | None, limit: int, now: datetime, order: ExecutionOrder
) -> list[str]:
    """Return up to `limit` of `ids` in the order of their durations, from the first one after the id `beyond`.

    An execution that has not ended counts until `now`. There is no index on durations: it would slow down each end.
    """
    began, ended = (type_coerce(column, BigInteger) for column in (_c.started_at, _c.ended_at))
    duration = func.coalesce(ended, microseconds(now)) - began
    place = duration.asc() if order is ExecutionOrder.SHORTEST else duration.desc()
    query = select(_c.id).where(_c.id.in_(ids), _c.started_at.is_not(None))
    found = list(connection.execute(query.order_by(place, _c.id.desc())).scalars())
    start = 0 if beyond is None else found.index(beyond) + 1 if beyond in found else len(found)
    return found[start : start + limit]


def _in_time(
    connection: Connection, where: ExecutionFilter, *, is_oldest_first: bool
) -> tuple[ColumnElement[Any], list[ColumnElement[bool]]]:
    """Return the expression that sorts executions by id, and the conditions on their time and tag."""
    by_id: ColumnElement[Any] = _t.execution_id if where.tag is not None else _c.id
    spans = [_c.created_at >= where.since] if where.since is not None else []
    spans += [_c.created_at < where.until] if where.until is not None else []
    if not spans:
        return by_id, []
    recent = select(_c.id).where(*spans).limit(_MAX_SORTED + 1).subquery()
    if connection.execute(select(func.count()).select_from(recent)).scalar_one() <= _MAX_SORTED:
        return _c.id.op("||")(""), spans  # use the index on `created_at` instead of the one on ids
    # No index covers a sum, so this scans ids from one end of the span; most of them match.
    exact = type_coerce(_c.created_at, BigInteger) + 0
    conditions = [exact >= microseconds(where.since)] if where.since is not None else []
    conditions += [exact < microseconds(where.until)] if where.until is not None else []
    is_needed = where.since if is_oldest_first else where.until
    if is_needed is not None:
        # Ids are in the order of creation but for starts at the same moment, which this many neighbours cover.
        ends = _c.created_at.asc() if is_oldest_first else _c.created_at.desc()
        near = select(_c.id).where(*spans).order_by(ends).limit(_NEIGHBOURS).subquery()
        edge = connection.execute(select(func.min(near.c.id) if is_oldest_first else func.max(near.c.id))).scalar_one()
        conditions.append(by_id >= edge if is_oldest_first else by_id <= edge)
    return by_id, conditions


def briefs_of(connection: Connection, ids: Iterable[str | None]) -> dict[str, ExecutionBrief]:
    """Return the executions that other records name, by id, as far as they are still kept. One query for a page."""
    wanted = {one for one in ids if one is not None}
    if not wanted:
        return {}
    query = select(_c.id, _c.status, _c.created_at, _c.ended_at).where(_c.id.in_(wanted))
    return {row.id: ExecutionBrief.model_validate(dict(row._mapping)) for row in connection.execute(query)}


def has_text(q: str) -> ColumnElement[bool]:
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
    """Check all executions that match the other filters, in order."""

    def __init__(self, query: _Query, is_found: ColumnElement[bool], limit: int) -> None:
        self.found: list[str] = []
        self._query = query
        self._columns = (_c.id, is_found.label("has_text"))
        self._limit = limit
        self._before: list[ColumnElement[bool]] = []

    def go(self, number: int) -> bool:
        """Check the next `number` executions; return whether `found` is complete."""
        rows = self._query.rows(*self._columns, where=self._before, limit=number)
        self.found += [row.id for row in rows if row.has_text]
        if rows:
            self._before = [self._query.beyond(rows[-1].id)]
        return len(rows) < number or len(self.found) >= self._limit


class _Lookup:
    """Check the candidates of the index, newest first, and executions that changed since its last update."""

    def __init__(self, query: _Query, is_found: ColumnElement[bool], limit: int, candidates: Candidates) -> None:
        self._connection = query.connection
        self._candidates = candidates
        self._limit = limit
        self._is_oldest_first = query.is_oldest_first
        is_one = or_(false(), *(and_(true(), *alternative) for alternative in query.alternatives))
        self._matching = select(_c.id).where(*query.conditions, is_found, is_one)
        self._indexed: set[str] = set()
        self._changed: set[str] | None = None

    @property
    def found(self) -> list[str]:
        """The matches, in order."""
        return sorted(self._indexed | (self._changed or set()), reverse=not self._is_oldest_first)

    def go(self, number: int) -> bool:
        """Check the next `number` entries of the index; return whether `found` is complete."""
        if self._changed is None:
            self._changed = self._of(self._candidates.changed)
        ids, is_last = self._candidates.next(number)
        self._indexed |= self._of(ids)
        # Changed executions do not count towards the limit: candidates may be newer. The oldest ones come last.
        return is_last or (not self._is_oldest_first and len(self._indexed) >= self._limit)

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


def _alternatives(where: ExecutionFilter, names: Sequence[str] | None) -> list[list[ColumnElement[bool]]]:
    """Return alternative conditions. At least one must hold; each has an index with its ids in order."""
    flows = [[]] if names is None else [[_c.flow_name == name] for name in names]
    triggers = [[]] if where.trigger is None else [[_c.trigger == one.value] for one in where.trigger]
    statuses = [status_is(status) for status in where.status or (None,)]
    return [[*status, *trigger, *flow] for status in statuses for trigger in triggers for flow in flows]


def status_is(status: Status | None) -> list[ColumnElement[bool]]:
    """Return the conditions for a status, or none. They are those of the index on ended executions."""
    if status is None:
        return []
    # The partial index on ended executions needs the condition `ended_at IS NOT NULL`.
    return [_c.status == status.value, *([_c.ended_at.is_not(None)] if status.is_ended else [])]


def conditions_of(where: ExecutionFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of the filter, except status, trigger, time and text."""
    named = {name: getattr(where, name) for name in ("flow_name", "parent_id", "schedule_id", "user_name")}
    found = [_c[name] == wanted for name, wanted in named.items() if wanted is not None]
    if where.top_level:
        found.append(_c.parent_id.is_(None))
    if where.ids is not None:
        found.append(_c.id.in_(where.ids))
    if where.ancestor_id is not None:
        found.append(_c.id.in_(_descendants(where.ancestor_id)))
    if where.tag is not None:  # a join, whose index has the ids in order
        found += [_t.tag == where.tag, _t.execution_id == _c.id]
    return found


def _descendants(execution_id: str) -> Select[Any]:
    """Return the query for the ids of all descendants. Each step reads the index of children."""
    tree = select(_c.id).where(_c.parent_id == execution_id).cte("tree", recursive=True)
    child = executions.alias()
    return select(tree.union_all(select(child.c.id).where(child.c.parent_id == tree.c.id)).c.id)


def _by_time(conditions: Sequence[ColumnElement[bool]], tag: str | None) -> list[ColumnElement[bool]]:
    """Return conditions with which a query starts at the index on `created_at`, not at the one on tags."""
    return [one if tag is None or not one.compare(_t.tag == tag) else _t.tag.op("||")("") == tag for one in conditions]


@cache
def brief() -> Select[Any]:
    """Return the query for list records: all fields of the record, with values above `LIST_VALUE_BYTES` left out."""
    values = ("input_value", "output_value")
    columns: list[Any] = [
        column for column in executions.c if column.name in Execution.model_fields and column.name not in values
    ]
    for name in values:
        size = func.length(cast(executions.c[name], Text))
        columns.append(size.label(f"{name}_size"))
        small = case((size <= LIST_VALUE_BYTES, executions.c[name]), else_=null())
        columns.append(small.label(name))
    return select(*columns)


@cache
def listed() -> Select[Any]:
    """Return the query for a page of a list: `brief`, with what a row shows of other tables."""
    child, c = executions.alias(), results.c
    is_image = or_(*(cast(c.types, Text).contains(f'"{kind}"', autoescape=True) for kind in IMAGE_TYPES))
    image = select(c.name).where(c.execution_id == _c.id, is_image, c.size <= MAX_THUMBNAIL_BYTES)
    newest = image.order_by(c.created_at.desc(), c.number.desc()).limit(1)
    return brief().add_columns(
        exists().where(child.c.parent_id == _c.id).label("has_children"),
        newest.correlate(executions).scalar_subquery().label("thumbnail"),
    )


def brief_records(rows: Result[Any]) -> tuple[Execution, ...]:
    """Build records from the rows of `brief`."""
    names = tuple(rows.keys())  # read once: each row would build the names again
    return tuple(brief_record(dict(zip(names, row, strict=True))) for row in rows.all())


def brief_record(values: dict[str, Any]) -> Execution:
    """Build a record from a row of `brief`, given as a dictionary that this modifies."""
    for name in ("input_value", "output_value"):
        if values[f"{name}_size"] > LIST_VALUE_BYTES:
            values[name] = {"left_out": f"{values[f'{name}_size']} bytes; read the execution itself"}
    if values["error"] is not None:
        values["error"] = {**values["error"], "traceback": ()}
    return Execution.model_validate(values)
