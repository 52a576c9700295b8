"""Locks for decisions: what a transaction reads to decide on a write must not change before it commits.

In SQLite a write transaction excludes all others, so nothing is done there. In PostgreSQL writers only exclude each
other from rows. They lock in one order, so that they seldom wait for each other in a circle: a tree of executions from
its root down, then schedules, then messages. PostgreSQL detects a circle after a second, and the caller tries again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, bindparam, func, or_, select

from cloudo_kernel.store.tables import executions, messages

_c = executions.c
_root = select(_c.root_id).where(_c.id == bindparam("of")).scalar_subquery()
#: Ids are in the order of creation, so the root comes first.
_TREE = select(_c.id).where(or_(_c.id == bindparam("of"), _c.id == _root)).order_by(_c.id).with_for_update()
_SUBJECTS = tuple(
    select(table.c.id)
    .where(table.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(table.c.id)
    .with_for_update(read=True)
    for table in (executions, messages)
)
#: The first keys of advisory locks; the second one is 0 or the hash of a name.
_SLOTS: Final = 1_668_050_801
_DEPENDENCIES: Final = 1_668_050_802
_NAMES: Final = 1_668_050_803


def has_many_writers(connection: Connection) -> bool:
    """Return whether other transactions may write while this one is open."""
    return connection.dialect.name != "sqlite"


def lock_execution(connection: Connection, execution_id: str) -> None:
    """Lock an execution, and first the root of its tree."""
    if has_many_writers(connection):
        connection.execute(_TREE, {"of": execution_id})


def lock_subjects(connection: Connection, ids: Iterable[str]) -> None:
    """Keep executions and messages from ending, in a transaction that decides whether to wait for them."""
    if has_many_writers(connection) and (given := sorted(ids)):
        for statement in _SUBJECTS:
            connection.execute(statement, {"ids": given})


def lock_slots(connection: Connection) -> None:
    """Keep others from taking slots. Take this lock before any row."""
    _lock(connection, _SLOTS)


def lock_dependencies(connection: Connection) -> None:
    """Keep others from adding dependencies, which together could form a circle."""
    _lock(connection, _DEPENDENCIES)


def lock_names(connection: Connection, names: Iterable[str]) -> None:
    """Keep others from acquiring and releasing named locks, and from their queues."""
    for name in sorted(names):
        _lock(connection, _NAMES, func.hashtext(name))


def _lock(connection: Connection, key: int, part: object = 0) -> None:
    if has_many_writers(connection):
        connection.execute(select(func.pg_advisory_xact_lock(key, part)))
