"""Store the log lines of executions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, select, update

from cloudo_kernel.models import LogLine
from cloudo_kernel.models.event_types import EXECUTION, EXECUTION_LOGGED
from cloudo_kernel.store.events import record
from cloudo_kernel.store.executions.fencing import check_live
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import executions, log_lines

#: Maximum number of log lines in a single record.
RECORD_LINES = 1000
#: Maximum number of log lines that are deleted in one transaction.
LINES_AT_ONCE = 5000

# Built once, because every read of an execution uses them: building takes SQLAlchemy several times as long as running.
_INSERT = insert(log_lines)
_COLUMNS = {"time", "level", "text"}
_OF = log_lines.c.execution_id == bindparam("of")
_LAST = select(log_lines).where(_OF).order_by(log_lines.c.number.desc()).limit(RECORD_LINES)
_NEWEST_NUMBER = select(func.coalesce(func.max(log_lines.c.number), 0)).where(_OF)


def last_lines(connection: Connection, execution_id: str) -> tuple[LogLine, ...]:
    """Return the last 1,000 lines, oldest first."""
    rows = connection.execute(_LAST, {"of": execution_id}).all()
    return tuple(LogLine.model_validate(dict(row._mapping)) for row in reversed(rows))


def append(connection: Connection, execution_id: str, lines: Sequence[LogLine], *, now: datetime) -> None:
    """Append lines in order, in the caller's transaction."""
    first = connection.execute(_NEWEST_NUMBER, {"of": execution_id}).scalar_one() + 1
    connection.execute(
        _INSERT,
        [
            {"execution_id": execution_id, "number": number, **line.model_dump(include=_COLUMNS)}
            for number, line in enumerate(lines, start=first)
        ],
    )
    record(connection, EXECUTION_LOGGED, EXECUTION, execution_id, time=now, lines=len(lines))


def shorten(database: Database, execution_id: str) -> None:
    """Delete all but the last lines of an ended execution, in transactions that delay others by little.

    To delete 500,000 lines takes a second, in which nothing else could be written.
    """
    c, is_ended = log_lines.c, exists().where(executions.c.id == execution_id, executions.c.ended_at.is_not(None))
    with database.read() as connection:
        last = connection.execute(_NEWEST_NUMBER, {"of": execution_id}).scalar_one()
    for number in range(LINES_AT_ONCE, last, LINES_AT_ONCE):
        with database.write() as connection:
            connection.execute(delete(log_lines).where(c.execution_id == execution_id, c.number <= number, is_ended))


class Log:
    """Read and append log lines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, execution_id: str, attempt: int, lines: Sequence[LogLine]) -> None:
        """Append lines in order. Raises `StaleAttempt` if the attempt is not the current one or has ended."""
        with self._database.write() as connection:
            check_live(connection, execution_id, attempt)
            append(connection, execution_id, lines, now=self._database.clock())

    def mask(self, execution_id: str, masked: Callable[[str], str]) -> None:
        """Rewrite the stored lines with `masked`: an execution may log a value before it is known as a secret."""
        c = log_lines.c
        with self._database.write() as connection:
            for row in connection.execute(select(c.number, c.text).where(c.execution_id == execution_id)).all():
                if (text := masked(row.text)) != row.text:
                    is_it = (c.execution_id == execution_id, c.number == row.number)
                    connection.execute(update(log_lines).where(*is_it).values(text=text))

    def lines(self, execution_id: str, *, limit: int, after: int) -> tuple[LogLine, ...]:
        """Return up to `limit` lines with a number above `after`."""
        query = (
            select(log_lines)
            .where(log_lines.c.execution_id == execution_id, log_lines.c.number > after)
            .order_by(log_lines.c.number)
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(LogLine.model_validate(dict(row._mapping)) for row in rows)

    def search(
        self, execution_id: str, *, text: str, levels: Sequence[str], limit: int
    ) -> tuple[tuple[LogLine, ...], int]:
        """Return the last lines that contain `text`, ignoring case, and have one of the levels, and their number."""
        c = log_lines.c
        matching = (c.execution_id == execution_id, c.level.in_(levels), c.text.icontains(text, autoescape=True))
        last = select(log_lines).where(*matching).order_by(c.number.desc()).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(last).all()
            number = connection.execute(select(func.count()).where(*matching)).scalar_one()
        return tuple(LogLine.model_validate(dict(row._mapping)) for row in reversed(rows)), number

    def length(self, execution_id: str) -> int:
        """Return the number of lines."""
        with self._database.read() as connection:
            return int(connection.execute(_NEWEST_NUMBER, {"of": execution_id}).scalar_one())
