"""Runs a statement for many rows, compiled once: SQLAlchemy goes through each value of each row several times over.

For an execution by a schedule that was as much work as all the rest; what it brought is in docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import JSON, Connection, Dialect, Insert, Update
from sqlalchemy.types import TypeEngine

Row = Mapping[str, Any]


class BulkStatement:
    """An insert or update that is run once for each of many rows."""

    def __init__(self, statement: Insert | Update) -> None:
        # Nothing is asked of it but how many rows it wrote: without this an insert would return its new id.
        self._statement = statement.inline()
        self._compiled: dict[tuple[str, tuple[str, ...]], _Compiled] = {}

    def run(self, connection: Connection, rows: Sequence[Row], names: tuple[str, ...] = ()) -> int:
        """Run it for rows, and return how many it wrote; `names` are the columns to be inserted, else all there are."""
        if self._statement.is_insert and not names:
            names = tuple(rows[0])
        key = (connection.dialect.name, names)
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = _Compiled(self._statement, names, connection.dialect)
        return connection.exec_driver_sql(compiled.text, compiled.parameters(rows)).rowcount


class _Compiled:
    """The text of a statement, and how the values of a row become its parameters."""

    def __init__(self, statement: Insert | Update, names: tuple[str, ...], dialect: Dialect) -> None:
        made = statement.compile(dialect=dialect, column_keys=list(names) or None)
        self.text = str(made)
        types = {name: bind.type for bind, name in made.bind_names.items()}
        self._is_positional = made.positional
        self._names = tuple((made.positiontup if made.positional else None) or types)
        self._values_of: Callable[[Row], tuple[Any, ...]] = itemgetter(*self._names)
        self._processors = [_processor(types[name], dialect) for name in self._names]

    def parameters(self, rows: Sequence[Row]) -> list[Any]:
        """Return the rows as the driver takes them."""
        if len(rows) == 1:
            pairs = zip(self._values_of(rows[0]), self._processors, strict=True)
            found: Iterable[tuple[Any, ...]] = [tuple(process(value) if process else value for value, process in pairs)]
        else:
            columns = zip(*map(self._values_of, rows), strict=True)
            found = zip(*map(_processed, columns, self._processors), strict=True)
        return list(found) if self._is_positional else [dict(zip(self._names, one, strict=True)) for one in found]


def _processed(column: tuple[Any, ...], process: Callable[[Any], Any] | None) -> Iterable[Any]:
    """Return the driver's values of a column; most columns have the same one in all rows, which is made once."""
    if process is None:
        return column
    first = column[0]
    if all(value is first for value in column):
        return [process(first)] * len(column)
    return map(process, column)


def _processor(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """Return what makes the driver's value of ours; in many rows it is often the same."""
    process = kind.dialect_impl(dialect).bind_processor(dialect)
    if process is None:
        return None
    remembered = lru_cache(maxsize=16)(process)
    if not isinstance(kind, JSON):
        return remembered
    # What is in lists and objects may be changed later, so that only empty ones are remembered.
    empty = {type(None): process(None), tuple: process(()), dict: process({})}

    def process_json(value: Any) -> Any:
        return process(value) if value or type(value) not in empty else empty[type(value)]

    return process_json
