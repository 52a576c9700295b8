"""Count the slots that are held or wanted back, and the free ones in the store and in each flow."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import ColumnElement, Connection, case, func, literal, or_, select, union_all

from cloudo_kernel import settings
from cloudo_kernel.models import ExecutionType, Status
from cloudo_kernel.store.settings import value_of
from cloudo_kernel.store.tables import executions

_c = executions.c
_count = select(_c.flow_name, _c.max_running, _c.status, func.count().label("number"))
_groups = (_c.flow_name, _c.max_running, _c.status)
# Two selects, each with its own index, so that 10,000 waiting executions that want no slot yet are not read.
_HOLD_OR_WANT = union_all(
    _count.where(_c.status == Status.RUNNING.value, _c.type != ExecutionType.INTERACTIVE.value).group_by(*_groups),
    _count.where(_c.wants_slot, _c.status == Status.WAITING.value).group_by(*_groups),
)


class Slots:
    """The slots as one transaction sees them. Scripts belong to no flow, and count under the name None."""

    def __init__(self, connection: Connection) -> None:
        rows = connection.execute(_HOLD_OR_WANT).all()
        self._most = int(value_of(connection, settings.MAX_RUNNING))
        self._running: Counter[str | None] = Counter()
        for row in rows:
            if row.status == Status.RUNNING:
                self._running[row.flow_name] += row.number
        #: Running, or wanting a slot back within the limit of their flow; these come before new work.
        self._ahead = self._running.copy()
        for row in rows:
            if row.status == Status.WAITING:
                left = row.number if row.max_running is None else row.max_running - self._ahead[row.flow_name]
                self._ahead[row.flow_name] += max(0, min(row.number, left))

    @property
    def free_for_new_work(self) -> int:
        """The number of new executions that may be claimed, after those that come before new work."""
        return self._most - self._ahead.total()

    def has_room_again(self, flow_name: str | None, max_running: int | None) -> bool:
        """Return whether an execution that wants its slot back can have it now."""
        is_flow_full = max_running is not None and self._running[flow_name] >= max_running
        return self._running.total() < self._most and not is_flow_full

    def take(self, flow_name: str | None, max_running: int | None) -> bool:
        """Take a slot for new work of the flow; return False if the flow is full."""
        if max_running is not None and self._ahead[flow_name] >= max_running:
            return False
        self._ahead[flow_name] += 1
        return True

    def flow_has_room(self) -> ColumnElement[bool]:
        """Return the condition that an execution's flow is not full."""
        c = executions.c
        of_flow = {name: number for name, number in self._ahead.items() if name is not None}
        running = case(of_flow, value=c.flow_name, else_=0) if of_flow else literal(0)
        return or_(c.max_running.is_(None), c.max_running > running)
