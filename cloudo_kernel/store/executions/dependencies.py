"""Store dependencies between executions, free of cycles.

All functions run inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, insert, literal, select

from cloudo_kernel.errors import DependencyCycle
from cloudo_kernel.store.sql.row_locks import lock_dependencies
from cloudo_kernel.store.tables import dependencies, executions

_d = dependencies.c
# Built once, because each end and each wait uses them: building takes SQLAlchemy longer than running.
_ADD = insert(dependencies)
_FORGET = delete(dependencies).where(_d.execution_id == bindparam("waiting"))
_FORGET_ENDED = delete(dependencies).where(_d.on_id == bindparam("ended")).returning(_d.execution_id)
_HAS_ANY = select(literal(1)).where(_d.execution_id == bindparam("waiting")).limit(1)
_reached = select(_d.on_id.label("id")).where(_d.execution_id == bindparam("start")).cte("reached", recursive=True)
_reached = _reached.union(select(_d.on_id).join(_reached, _d.execution_id == _reached.c.id))
_REACHES = select(literal(1)).where(_reached.c.id == bindparam("start")).limit(1)


def add(connection: Connection, execution_id: str, on: Sequence[str]) -> None:
    """Replace the dependencies of the execution with `on`.

    Raises `DependencyCycle` if one of them depends, directly or indirectly, on the execution.
    """
    forget(connection, execution_id)
    if not on:
        return
    lock_dependencies(connection)
    rows = [{"execution_id": execution_id, "on_id": one} for one in dict.fromkeys(on)]
    connection.execute(_ADD, rows)
    if connection.execute(_REACHES, {"start": execution_id}).scalar() is not None:
        raise DependencyCycle([_called(connection, one) for one in _cycle(connection, execution_id)])


def add_new(connection: Connection, pairs: Iterable[tuple[str, str]]) -> None:
    """Add dependencies of new executions, as pairs of execution id and the id it depends on.

    Nothing depends on a new execution yet, so no cycle is possible. Checking for one took 5 ms in a chain of 3,000.
    """
    rows = [{"execution_id": execution_id, "on_id": on_id} for execution_id, on_id in pairs]
    if rows:
        connection.execute(_ADD, rows)


def forget(connection: Connection, execution_id: str) -> None:
    """Delete the dependencies of the execution."""
    connection.execute(_FORGET, {"waiting": execution_id})


def end(connection: Connection, execution_id: str) -> tuple[str, ...]:
    """Delete all dependencies of and on an ended execution; return the ids of the executions that depended on it."""
    forget(connection, execution_id)
    return tuple(connection.execute(_FORGET_ENDED, {"ended": execution_id}).scalars())


def has_any(connection: Connection, execution_id: str) -> bool:
    """Return whether the execution depends on others."""
    return connection.execute(_HAS_ANY, {"waiting": execution_id}).scalar() is not None


def _cycle(connection: Connection, start: str) -> list[str]:
    """Return the ids along the shortest path from the execution back to itself."""
    came_from: dict[str, str] = {}
    border = [start]
    while start not in came_from:
        query = select(_d.execution_id, _d.on_id).where(_d.execution_id.in_(border))
        border = []
        for row in connection.execute(query).all():
            if row.on_id not in came_from:
                came_from[row.on_id] = row.execution_id
                border.append(row.on_id)
    way = [start, came_from[start]]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]


def _called(connection: Connection, execution_id: str) -> str:
    name = connection.execute(select(executions.c.name).where(executions.c.id == execution_id)).scalar()
    return f"{name} ({execution_id})"
