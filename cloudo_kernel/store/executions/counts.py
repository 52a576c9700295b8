"""Count the executions that match a filter. Counts are shared between callers for up to a second."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select, true

from cloudo_kernel.models import ExecutionCount, ExecutionFilter, Status
from cloudo_kernel.store.events import newest_event
from cloudo_kernel.store.executions.lists import conditions_of, has_text, status_is
from cloudo_kernel.store.sql.database import Database, Patterns
from cloudo_kernel.store.sql.row_locks import has_many_writers
from cloudo_kernel.store.tables import executions

_c = executions.c
#: Seconds for which a count is used again.
_MAX_AGE_SECONDS: Final = 1.0
#: Maximum number of filters whose counts are kept.
_MAX_KEPT: Final = 200


@dataclass
class _Kept:
    """The last count of one filter. The lock lets one thread count while the others wait for its result."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    count: ExecutionCount | None = None
    counted_at: float = 0.0
    #: The newest event that the count includes.
    event_id: int = -1


class Counts:
    """Count executions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[tuple[str, Patterns], _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, where: ExecutionFilter, *, flows: Patterns = None) -> ExecutionCount:
        """Return the number of matching executions of flows that match the patterns."""
        kept = self._of((where.model_dump_json(exclude_none=True), flows))
        with kept.lock:
            if kept.count is None or time.monotonic() - kept.counted_at >= _MAX_AGE_SECONDS:
                began, as_of = time.monotonic(), self._database.clock()
                with self._database.read() as connection:
                    event_id = newest_event(connection)
                    if kept.count is None or event_id != kept.event_id or has_many_writers(connection):
                        fits = None if flows is None else partial(self._database.fits, patterns=flows)
                        by_status = _counted(connection, where, true() if fits is None else fits(_c.flow_name))
                    else:  # nothing has changed since
                        by_status = kept.count.by_status
                total = sum(by_status.values())
                kept.count = ExecutionCount(total=total, by_status=by_status, as_of=as_of)
                kept.counted_at, kept.event_id = began, event_id
            return kept.count

    def _of(self, key: tuple[str, Patterns]) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            if len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
            return kept


def _counted(connection: Connection, where: ExecutionFilter, is_visible: ColumnElement[bool]) -> dict[Status, int]:
    conditions = conditions_of(where)
    if where.since is not None:
        conditions.append(_c.created_at >= where.since)
    if where.until is not None:
        conditions.append(_c.created_at < where.until)
    if where.trigger is not None:
        conditions.append(_c.trigger.in_([one.value for one in where.trigger]))
    if where.q:
        conditions.append(has_text(where.q))
    found = dict.fromkeys(Status, 0)
    statuses = where.status or tuple(Status)
    if not conditions and is_visible.compare(true()):
        for status in statuses:  # each is a range of an index that has nothing else
            query = select(func.count()).select_from(executions).where(*status_is(status))
            found[status] = connection.execute(query).scalar_one()
        return found
    if where.status is not None:
        conditions.append(_c.status.in_([one.value for one in where.status]))
    grouped = select(_c.status, func.count()).where(*conditions, is_visible).group_by(_c.status)
    return found | {Status(row[0]): row[1] for row in connection.execute(grouped)}
