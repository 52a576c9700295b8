"""Let another write come between two statements of a transaction."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, event

from cloudo_kernel.store import Store

Write = Callable[[Connection], object]


class Overtaken:
    """Makes another write just before the next statement that begins with a text."""

    def __init__(self, store: Store) -> None:
        self._next: tuple[str, Write] | None = None
        event.listen(store._database.engine, "before_cursor_execute", self._look)

    def at(self, beginning: str, write: Write) -> None:
        self._next = (beginning, write)

    @property
    def is_done(self) -> bool:
        return self._next is None

    def _look(self, connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if self._next is not None and statement.startswith(self._next[0]):
            (_, write), self._next = self._next, None
            write(connection)
