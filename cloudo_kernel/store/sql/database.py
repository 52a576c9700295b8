"""Connections, transactions and migrations of one database. Other modules define its tables."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from pydantic_core import from_json, to_json
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Join,
    Select,
    Table,
    create_engine,
    event,
    func,
    literal_column,
    or_,
    text,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.selectable import TableValuedAlias

from cloudo_kernel.errors import Unavailable
from cloudo_kernel.store import migrations
from cloudo_kernel.store.sql import postgresql as server
from cloudo_kernel.store.sql.causes import CONFLICT, LOCK_SECONDS, LOCKED, LOCKED_HINT, cause_of
from cloudo_kernel.store.sql.connections import ChangeCounter, Readers
from cloudo_kernel.store.sql.file_guard import FileGuard, Unusable, refuse_remote
from cloudo_kernel.store.sql.group_commit import GroupCommit, TurnTimeout

_log = logging.getLogger(__name__)

#: Seconds after a failed write before `probe` tries one. Other writes, such as heartbeats, may come first.
_PROBE_SECONDS = 5.0

#: A name must match one of these patterns. None matches any name.
Patterns = Sequence[str] | None


class Database:
    """Connections to one store, and its transactions.

    A write transaction takes SQLite's write lock when it begins, so what it reads cannot change before it commits.
    """

    def __init__(self, url: str, *, clock: Callable[[], datetime] | None = None) -> None:
        """`clock` is this machine's by default, and for PostgreSQL the server's."""
        self._url = _parsed(url)
        self._is_sqlite = self._url.get_backend_name() == "sqlite"
        if self._is_sqlite and self._url.database:
            refuse_remote(Path(self._url.database))
        path = self._url.database if self._is_sqlite else None
        self._guard = _guard(Path(path).absolute()) if path else None
        self.engine = _engine(self._url, self._guard)
        self._clock = clock or (_utc_now if self._is_sqlite else server.ServerClock(self.engine))
        self.clock = self._clock if self._is_sqlite else self._explained_clock
        self._readers = Readers(self.engine)
        self._reading = self.engine if self._is_sqlite else server.reading(self.engine)
        self._counter = ChangeCounter(self.engine)
        #: Called after each write transaction of this process, and in PostgreSQL after those of others.
        self.on_commit: Callable[[], None] = lambda: None
        self._signals = None if self._is_sqlite else server.Signals(self.engine, self._note_commit)
        #: Poll interval for commits of other processes. SQLite is asked for one number.
        self.poll_seconds = 0.05 if self._is_sqlite else 1.0
        #: The connection of this thread's `together` block.
        self._joint = threading.local()
        # It also queues the threads of this process, because SQLite's own waiting sleeps and is not fair.
        self._group_commit = GroupCommit(
            self.engine,
            self._guard,
            timeout_seconds=LOCK_SECONDS,
            on_commit=self._note_commit,
        )
        self._is_migrated = False
        #: Why the last `read` and the last `write` failed, in text that is safe to show to anyone.
        self._troubles: dict[str, str] = {}
        self._failed_at = 0.0

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the store."""
        if (joint := self._joined) is not None:
            yield joint
            return
        reading = self._readers.transaction() if self._is_sqlite else self._reading.begin()
        with self._explained("read"), reading as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a write transaction. It is safe on disk when the block exits.

        Do not nest it, except within `together`.
        """
        if (joint := self._joined) is not None:
            with _savepoint(joint):
                yield joint
            return
        with self._explained("write"):
            if self._signals is None:
                with self._group_commit.transaction() as connection:
                    yield connection
                return
            try:
                with self.engine.begin() as connection:
                    if self._is_migrated and (found := server.begin_write(connection)) != migrations.NEWEST:
                        raise migrations.unknown(found)
                    yield connection
            finally:  # also after a rollback: events of other writes may have waited for the end of this one
                self._signals.send()
                self.on_commit()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run all reads and writes of this thread in the block as one transaction."""
        if self._joined is not None:  # nested in another `together`
            with self.write():
                yield
            return
        with self.write() as connection:
            self._joint.connection = connection
            try:
                yield
            finally:
                del self._joint.connection

    def _note_commit(self) -> None:
        self.on_commit()

    def _explained_clock(self) -> datetime:
        with self._explained("clock"):  # it may know the time without a connection
            return self._clock()

    @property
    def _joined(self) -> Connection | None:
        return getattr(self._joint, "connection", None)

    def insert(self) -> Callable[..., sqlite.Insert | postgresql.Insert]:
        """Return the dialect's `insert`, which supports `on_conflict_do_nothing` and `on_conflict_do_update`."""
        return sqlite.insert if self._is_sqlite else postgresql.insert

    def fits(self, column: ColumnElement[Any], patterns: Patterns) -> ColumnElement[bool]:
        """Return the condition that a column matches a pattern, as `fnmatch.fnmatchcase` does. Patterns hold no `[`."""
        if patterns is None:
            return true()
        if self._is_sqlite:
            return or_(*(column.op("GLOB", is_comparison=True)(pattern) for pattern in patterns))
        letters = {"*": ".*", "?": "."}
        texts = ("".join(letters.get(letter) or re.escape(letter) for letter in pattern) for pattern in patterns)
        return or_(*(column.regexp_match(f"^{text}$") for text in texts))

    def texts_of(self, array: ColumnElement[Any]) -> TableValuedAlias:
        """Return a table with the texts of a JSON array in its column `value`, one a row."""
        if self._is_sqlite:
            return func.json_each(array).table_valued("value")
        return func.json_array_elements_text(array.op("::")(literal_column("json"))).table_valued("value")

    def join_each(self, outer: TableValuedAlias, table: Table, ids: Select[Any]) -> Join:
        """Join each row of `outer` with the rows of a table whose `ids` are found for it.

        PostgreSQL would find the ids anew for each pair of rows, unless it is told to begin with `outer`.
        """
        if self._is_sqlite:
            return outer.join(table, table.c.id.in_(ids))
        found = ids.lateral()
        return outer.join(found, true()).join(table, table.c.id == found.c.id)

    def changes(self) -> int | None:
        """Return a number that changes with every commit, or None if not supported. Use it in one thread only."""
        if not self._is_sqlite:
            return None
        with self._explained("read"):
            return self._counter.read()

    def listen(self) -> None:
        """Have `on_commit` called soon after commits of other processes. SQLite cannot, so callers also poll."""
        if self._signals is not None:
            self._signals.listen()

    def settled_event(self) -> int | None:
        """Return an event id up to which no event can appear any more, None if that is any that can be read."""
        if self._is_sqlite or self._joined is not None:
            return None
        with self._explained("read"):
            return server.settled_event(self.engine)

    def revision(self) -> str | None:
        """Return the revision of the tables, or None for an empty database. Raises `Unavailable`."""
        with self.read() as connection:
            return migrations.revision_of(connection)

    def migrate(self, *, upgrades: bool | None = None) -> None:
        """Bring the tables to the newest revision; fast if they are current. Raises `Unavailable`.

        Older tables are upgraded in SQLite. In PostgreSQL that needs `upgrades`: other servers may use them.
        """
        if self.revision() != migrations.NEWEST:
            with self.write() as connection:
                migrations.migrate(connection, upgrades=self._is_sqlite if upgrades is None else upgrades)
        if self._guard is not None:
            with self._explained("read"):
                self._guard.pin(self._raw_connection)
        self._is_migrated = True

    def _raw_connection(self) -> sqlite3.Connection:
        connection = self.engine.raw_connection()
        driver = cast("sqlite3.Connection", connection.driver_connection)
        connection.detach()
        return driver

    @property
    def trouble(self) -> str | None:
        """Why the last write, or else the last read, could not use the store; None while it works."""
        return self._troubles.get("write") or self._troubles.get("read")

    def probe(self) -> None:
        """Write without changing anything if the last write failed, after a delay. Raises `Unavailable`."""
        if "write" in self._troubles and time.monotonic() > self._failed_at + _PROBE_SECONDS:
            with self.write() as connection:
                connection.execute(text("UPDATE alembic_version SET version_num = version_num"))

    def sibling(self, name: str) -> Path | None:
        """Return the path of a file beside the database, or None if the database is not a file."""
        path = self._url.database if self._is_sqlite else None
        return Path(path).with_name(name) if path else None

    def close(self) -> None:
        """Close every connection."""
        if self._signals is not None:
            self._signals.close()
        self._counter.close()
        self._readers.close()
        self._group_commit.close()
        self.engine.dispose()
        if self._guard is not None:
            self._guard.close()

    @contextmanager
    def _explained(self, kind: str) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            found = cause_of(error) or (self._guard.blame() if self._guard is not None else None)
            if found is None:  # a violated constraint or a bug: retrying does not help
                raise
            if found.reason == CONFLICT:  # no trouble of the store
                raise self._unavailable(found) from error
            raise self._noted(kind, found) from error
        except (TurnTimeout, PoolTimeout) as error:
            raise self._noted(kind, Unusable(LOCKED, LOCKED_HINT)) from error
        except Unusable as error:
            raise self._noted(kind, error) from error
        if self._troubles:
            self._note_success(kind)

    def _note_success(self, kind: str) -> None:
        was_in_trouble = self._troubles.pop(kind, None) is not None
        if was_in_trouble and not self._troubles:
            _log.warning("The store can be used again.")

    def _noted(self, kind: str, found: Unusable) -> Unavailable:
        """Note the cause and return the error. Log only the first error until the store works again."""
        error = self._unavailable(found)
        if self._is_migrated:
            is_first = not self._troubles
            self._troubles[kind], self._failed_at = found.reason, time.monotonic()
            if is_first:  # only now: other threads fail while the line is written
                _log.error("%s", error)
            error.is_logged = True
        return error

    def _unavailable(self, found: Unusable) -> Unavailable:
        hidden = {name: "***" for name in self._url.query if "password" in name.lower()}
        url = self._url.update_query_dict(hidden).render_as_string(hide_password=True)
        return Unavailable(f"The store {url} cannot be used: {found}.", reason=found.reason)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _savepoint(connection: Connection) -> Iterator[None]:
    """Roll back the block if it raises, but not the rest of the transaction."""
    run = connection.exec_driver_sql
    run("SAVEPOINT inner_write")
    try:
        yield
    except BaseException:
        with suppress(SQLAlchemyError):  # an interrupted statement loses the connection
            run("ROLLBACK TO SAVEPOINT inner_write")
            run("RELEASE SAVEPOINT inner_write")
        raise
    run("RELEASE SAVEPOINT inner_write")


def _from_json(text: str) -> Any:
    """Parse JSON several times as fast as `json` does: a list of 500 executions holds 2,000 values."""
    try:
        return from_json(text)
    except ValueError:  # not supported: lone surrogates, nesting deeper than 200
        return json.loads(text)


def _to_json(value: Any) -> str:
    """Serialize to JSON two to seven times as fast as `json` does."""
    try:
        return to_json(value).decode()
    except ValueError:  # not supported: lone surrogates, nesting deeper than 200
        return json.dumps(value)


def _guard(path: Path) -> FileGuard:
    return FileGuard(path, newest=migrations.NEWEST, unknown=migrations.unknown)


def _parsed(url: str) -> URL:
    """Return the address of a database. Raises `Unavailable`; the URL may hold a password, so the error does not."""
    forms = "use sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise Unavailable(f"CLOUDO_DATABASE_URL is not the URL of a database: {forms}.") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise Unavailable(f"CLOUDO_DATABASE_URL names the database {parsed.get_backend_name()!r}: {forms}.")
    return parsed


def _engine(url: URL, guard: FileGuard | None) -> Engine:
    # Error messages go into logs, so they must not contain written values.
    more: dict[str, Any] = {
        "hide_parameters": True,
        "json_deserializer": _from_json,
        "json_serializer": _to_json,
    }
    if url.get_backend_name() != "sqlite":
        return server.engine_of(url, **more)
    to_driver = {"timeout": LOCK_SECONDS, "check_same_thread": False}

    def connect() -> sqlite3.Connection:
        if guard is not None:
            guard.check_files()  # SQLite would create a new file in place of a removed one
        words, named = engine.dialect.create_connect_args(url)
        driver: sqlite3.Connection = sqlite3.connect(words[0], **{**named, **to_driver})
        return driver

    engine = create_engine(url, creator=connect, max_overflow=-1, **more)

    # On the pool: an engine with its own listeners checks for them at each step, which makes a read a third slower.
    @event.listens_for(engine.pool, "connect")
    def _prepare(dbapi_connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        dbapi_connection.isolation_level = None  # we begin transactions, not the driver
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine
