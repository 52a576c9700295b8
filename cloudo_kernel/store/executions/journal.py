"""Journal the calls of durable executions with their results, so that a replay does not repeat them.

Arguments, results and errors are sealed, because they may contain a password or be derived from one.
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

# Built once, because every call of a durable flow adds a row.
_INSERT = insert(calls)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a flow; consecutive log lines count as one call."""

    position: int
    verb: str
    arguments: JsonObject
    #: False for a wait or a step that has begun and not finished.
    is_done: bool = True
    result: Any = None
    #: `code`, `message` and `field` of the error that the call raised.
    error: JsonObject | None = None


class Journal:
    """Read and write calls. Writes raise `StaleAttempt` unless they come from the current attempt."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database = database
        self._encryption = encryption

    def calls(self, execution_id: str) -> tuple[Call, ...]:
        """Return the calls of an execution, in order."""
        query = select(calls).where(calls.c.execution_id == execution_id).order_by(calls.c.position)
        with self._database.read() as connection:
            found = connection.execute(query)
            return tuple(self._opened(row) for row in found)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run the block in one transaction, so that a call's effects and its record commit together."""
        with self._database.together():
            yield

    def add(self, execution_id: str, attempt: int, call: Call) -> None:
        """Record a call that has finished or begun."""
        with self._database.write() as connection:
            check_live(connection, execution_id, attempt)
            row = {"execution_id": execution_id, "position": call.position, "verb": call.verb}
            connection.execute(_INSERT, {**row, "is_done": call.is_done, "sealed": self._sealed(call)})

    def finish(self, execution_id: str, attempt: int, call: Call) -> None:
        """Record the result of a call that was added when it began."""
        values = {"is_done": True, "sealed": self._sealed(call)}
        mine = (calls.c.execution_id == execution_id, calls.c.position == call.position)
        with self._database.write() as connection:
            check_live(connection, execution_id, attempt)
            connection.execute(update(calls).where(*mine).values(**values))

    def _sealed(self, call: Call) -> str:
        payload = {"arguments": call.arguments, "result": call.result, "error": call.error}
        return self._encryption.encrypt(json.dumps(payload).encode())

    def _opened(self, row: Row[Any]) -> Call:
        payload = json.loads(self._encryption.decrypt(row.sealed))
        return Call(position=row.position, verb=row.verb, is_done=row.is_done, **payload)
