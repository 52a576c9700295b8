"""Connections to a SQLite database that stay open between transactions.

SQLAlchemy's way to a connection, into a transaction and out of both takes longer than most of what is read in one. So
SQLAlchemy is told once that a transaction has begun, for as long as the connection lives; where one really begins and
ends, the driver alone is told.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError, OperationalError

#: So many are kept for the next who read; where more read at once, theirs are closed.
_MAX_IDLE = 8


def opened(engine: Engine) -> Connection:
    """Return a new connection, on which `tell` begins and ends transactions; closing it rolls back."""
    connection = engine.connect()
    connection.begin()
    return connection


def tell(connection: Connection, statement: str) -> None:
    """Have the driver run BEGIN, COMMIT and their like. Raises errors of SQLAlchemy, as if that had done it.

    One of them is for a connection that was lost because somebody interrupted a statement.
    """
    try:
        driver_of(connection).execute(statement)
    except sqlite3.IntegrityError as error:  # a constraint that is checked when the transaction ends
        raise IntegrityError(statement, None, error) from error
    except sqlite3.Error as error:
        raise OperationalError(statement, None, error) from error


def driver_of(connection: Connection) -> sqlite3.Connection:
    """Return the driver's own connection."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)


class Readers:
    """Connections for those who only read. May be used from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: list[Connection] = []
        self._is_closed = False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the database. What is asked in it is read to its end, or closed."""
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
        """Close those that nobody uses, and the others when they are given back."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()


class ChangeCounter:
    """A number that changes with each commit of anyone. For one thread.

    It has a connection of its own, which is not of the pool: the number counts the commits of all others.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._cursor: sqlite3.Cursor | None = None

    def read(self) -> int:
        """Return the number. Raises errors of SQLAlchemy."""
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
