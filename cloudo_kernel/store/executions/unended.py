"""Limit and find the executions of one tree, or of one webhook, that have not ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from cloudo_kernel import settings
from cloudo_kernel.errors import TooManyUnended
from cloudo_kernel.store.executions.new_execution import NewExecution
from cloudo_kernel.store.settings import value_of
from cloudo_kernel.store.tables import executions

# Built once, because every child and every webhook call uses them. Each count uses a partial index of unended rows.
_c = executions.c
_IS_UNENDED = _c.ended_at.is_(None)
_ROOT = select(func.coalesce(_c.root_id, _c.id)).where(_c.id == bindparam("parent"))
_COUNTS = {
    column.name: select(func.count()).select_from(
        select(_c.id).where(column == bindparam("of"), _IS_UNENDED).limit(bindparam("most")).subquery()
    )
    for column in (_c.root_id, _c.webhook_name)
}
_LIMITS = {"root_id": settings.MAX_UNENDED_PER_ROOT, "webhook_name": settings.MAX_UNENDED_PER_WEBHOOK}
_UNSTOPPED = (_IS_UNENDED, _c.stop_reason.is_(None))
_OF_ROOT = select(executions).where(_c.root_id == bindparam("of"), *_UNSTOPPED).limit(bindparam("most"))
_below = select(_c.id).where(_c.parent_id == bindparam("of")).cte("below", recursive=True)
_below = _below.union_all(select(_c.id).where(_c.parent_id == _below.c.id))
_OF_OTHER = select(executions).where(_c.id.in_(select(_below.c.id)), *_UNSTOPPED).limit(bindparam("most"))


def refused(connection: Connection, new: Sequence[NewExecution]) -> dict[str, TooManyUnended]:
    """Set the root of each child, and return an error by id for each execution above a limit."""
    refusals: dict[str, TooManyUnended] = {}
    numbers: Counter[tuple[str, str]] = Counter()
    limits: dict[str, int] = {}
    for one in new:
        if one.parent_id is not None and one.root_id is None:
            one.root_id = connection.execute(_ROOT, {"parent": one.parent_id}).scalar() or one.parent_id
        for field in ("root_id", "webhook_name"):
            of = getattr(one, field)
            if of is None:  # nearly all
                continue
            most = limits[field] if field in limits else value_of(connection, _LIMITS[field])
            limits[field] = most
            if (field, of) not in numbers:
                numbers[field, of] = connection.execute(_COUNTS[field], {"of": of, "most": most}).scalar_one()
            if numbers[field, of] >= most:
                refusals[one.id] = TooManyUnended(_LIMITS[field], most)
            numbers[field, of] += 1
    return refusals


def unstopped_below(connection: Connection, row: Any, *, most: int) -> Sequence[Any]:
    """Return up to `most` rows of descendants that have not ended and have no stop request."""
    query = _OF_ROOT if row.parent_id is None else _OF_OTHER
    return connection.execute(query, {"of": row.id, "most": most}).all()
