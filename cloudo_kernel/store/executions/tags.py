"""Keep the tags of executions in a table of their own, so that lists by tag are fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, insert

from cloudo_kernel.store.tables import execution_tags

_INSERT = insert(execution_tags)
_FORGET = delete(execution_tags).where(execution_tags.c.execution_id == bindparam("of"))


def add(connection: Connection, tags: Mapping[str, Sequence[str]]) -> None:
    """Add the tags of new executions, given by id."""
    rows = [{"tag": tag, "execution_id": one} for one, given in tags.items() for tag in dict.fromkeys(given)]
    if rows:
        connection.execute(_INSERT, rows)


def replace(connection: Connection, execution_id: str, tags: Sequence[str]) -> None:
    """Replace the tags of an execution."""
    forget(connection, execution_id)
    add(connection, {execution_id: tags})


def forget(connection: Connection, execution_id: str) -> None:
    """Delete the tags of an execution."""
    connection.execute(_FORGET, {"of": execution_id})
