"""Connections to a SQLite database that stay open between transactions.

In SQLAlchemy, checking out a connection and beginning and ending a transaction takes longer than most reads: the status
of an execution is read in 0.10 instead of 0.16 ms. So SQLAlchemy sees one transaction that lasts as long as the
connection. The real transactions begin and end directly on the driver.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError, OperationalError

#: Maximum idle connections to keep for readers. Any beyond that are closed after use.
_MAX_IDLE = 8


def opened(engine: Engine) -> Connection:
    """Return a new connection. Begin and end its transactions with `tell`; closing it rolls back."""
    connection = engine.connect()
    connection.begin()
    return connection


def tell(connection: Connection, statement: str) -> None:
    """Run BEGIN, COMMIT or a similar statement on the driver. Raises the errors that SQLAlchemy would raise.

    These include the error for a connection that was lost because a statement was interrupted.
    """
    try:
        driver_of(connection).execute(statement)
    except sqlite3.IntegrityError as error:  # a constraint that is only checked at COMMIT
        raise IntegrityError(statement, None, error) from error
    except sqlite3.Error as error:
        raise OperationalError(statement, None, error) from error


def driver_of(connection: Connection) -> sqlite3.Connection:
    """Return the driver's own connection."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)


class Readers:
    """A connection pool for read transactions. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: list[Connection] = []
        self._is_closed = False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the database. Exhaust or close every result within it."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = opened(self._engine)
        try:
            tell(connection, "BEGIN")
            yield connection
            tell(connection, "COMMIT")
        except BaseException:
            connection.close()
            raise
        if self._is_closed or len(self._idle) >= _MAX_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Close idle connections now, and the others when they are returned."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()


class ChangeCounter:
    """Reads a number that changes with every commit by any connection. For use in one thread.

    It has its own connection outside the pool: SQLite counts only the commits of other connections.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._cursor: sqlite3.Cursor | None = None

    def read(self) -> int:
        """Return the number. Raises SQLAlchemy errors."""
        try:
            if self._cursor is None:
                connection = self._engine.raw_connection()
                self._cursor = cast("sqlite3.Connection", connection.driver_connection).cursor()
                connection.detach()
            return int(self._cursor.execute("PRAGMA data_version").fetchall()[0][0])
        except sqlite3.Error as error:
            self.close()
            raise OperationalError("PRAGMA data_version", None, error) from error

    def close(self) -> None:
        """Close the connection; the next `read` opens another one."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            cursor.connection.close()
