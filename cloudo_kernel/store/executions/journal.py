"""The journal of durable executions: each call of a flow with its result, so that a replay does not repeat it.

What is said and asked is sealed: it may be a password, or what was made of one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update

from cloudo_kernel.models import JsonObject
from cloudo_kernel.security.encryption import Encryption
from cloudo_kernel.store.executions.fencing import check_live
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import calls

# Made once: every call of a durable flow asks, and adds one.
_INSERT = insert(calls)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a flow; several log lines in a row are one."""

    position: int
    verb: str
    arguments: JsonObject
    #: False: a wait or a step that was begun.
    is_done: bool = True
    result: Any = None
    #: `code`, `message` and `field` of the error that it raised.
    error: JsonObject | None = None


class Journal:
    """Reads and writes calls. A call of another attempt than the current one raises `StaleAttempt`."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database = database
        self._encryption = encryption

    def calls(self, execution_id: str) -> tuple[Call, ...]:
        """Return the calls of an execution in their order."""
        query = select(calls).where(calls.c.execution_id == execution_id).order_by(calls.c.position)
        with self._database.read() as connection:
            found = connection.execute(query)
            return tuple(self._opened(row) for row in found)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make one transaction of a call's effects and its record."""
        with self._database.together():
            yield

    def add(self, execution_id: str, attempt: int, call: Call) -> None:
        """Record a call that was made, or begun."""
        with self._database.write() as connection:
            check_live(connection, execution_id, attempt)
            row = {"execution_id": execution_id, "position": call.position, "verb": call.verb}
            connection.execute(_INSERT, {**row, "arguments": {}, "is_done": call.is_done, "sealed": self._sealed(call)})

    def finish(self, execution_id: str, attempt: int, call: Call) -> None:
        """Record the result of a call that was begun."""
        values = {"is_done": True, "arguments": {}, "sealed": self._sealed(call)}
        mine = (calls.c.execution_id == execution_id, calls.c.position == call.position)
        with self._database.write() as connection:
            check_live(connection, execution_id, attempt)
            connection.execute(update(calls).where(*mine).values(**values))

    def _sealed(self, call: Call) -> str:
        said = {"arguments": call.arguments, "result": call.result, "error": call.error}
        return self._encryption.encrypt(json.dumps(said).encode())

    def _opened(self, row: Row[Any]) -> Call:
        said = {"arguments": row.arguments, "result": row.result, "error": row.error}
        if row.sealed is not None:  # else of a version that did not seal it
            said = json.loads(self._encryption.decrypt(row.sealed))
        return Call(position=row.position, verb=row.verb, is_done=row.is_done, **said)
