"""Connect to PostgreSQL. All that differs from SQLite beyond single statements is here."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.exc import InvalidatePoolError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from cloudo_kernel.errors import Unavailable
from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.store.sql.causes import LOCK_SECONDS

if TYPE_CHECKING:
    import psycopg

#: Seconds to wait for a connection to the server.
_CONNECT_SECONDS: Final = 10
#: Seconds until each end of a connection notices that the other one cannot be reached any more. The system's own
#: settings take minutes or hours. They say nothing of sockets on one machine.
_SILENCE_SECONDS: Final = 10
_CLIENT_NOTICES: Final = {
    "keepalives_idle": _SILENCE_SECONDS // 2,
    "keepalives_interval": 1,
    "keepalives_count": _SILENCE_SECONDS // 2,
    "tcp_user_timeout": _SILENCE_SECONDS * 1000,  # in milliseconds
}
#: What each session sets in the server. A client that stands still in a transaction would keep its locks, and the
#: events of others from being read, as long as it likes.
_SESSION: Final = {
    "lock_timeout": f"{LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{LOCK_SECONDS}s",
    "tcp_keepalives_idle": f"{_SILENCE_SECONDS}s",
    "tcp_user_timeout": f"{_SILENCE_SECONDS}s",
}
#: Seconds until the server is asked for the time again.
_MAX_CLOCK_AGE_SECONDS: Final = 10.0
#: Connections that stay open, and those added while many threads are busy. A server has 100 by default.
_POOL_SIZE: Final = 5
_MAX_OVERFLOW: Final = 10
#: A connection that was idle for longer is checked before its next use.
_MAX_IDLE_SECONDS: Final = 1.0

#: Seconds between two signals of a process. Hundreds of commits a second need no signal each.
_SIGNAL_INTERVAL_SECONDS: Final = 0.005
#: Seconds until the thread of signals reports a turn, see `Loop`.
_SIGNAL_WAIT_SECONDS: Final = 10.0
#: Does not wait for the disk: a signal may be lost.
_LISTEN: Final = ("SET synchronous_commit = off", "LISTEN cloudo")
_NOTIFY: Final = "NOTIFY cloudo"

#: Indexes the words that searches look into; ILIKE uses it for three letters and more.
_SEARCH_INDEX: Final = "CREATE INDEX ix_executions_texts ON executions USING gin ({})"
_SEARCHED: Final = ("name", "flow_name", "message", "id")
#: The key of the lock that the creation and the upgrade of the tables hold.
_SCHEMA_KEY: Final = 1_668_050_800

_NUL_SYMBOL: Final = "\N{SYMBOL FOR NULL}"

#: Events get their ids before their transactions commit, so a later id may be seen earlier. Each write transaction
#: holds a shared advisory lock, whose key has the newest id at its begin: its own events have greater ones.
_EVENTS_KEY: Final = 0x436C
_KEYS: Final = {"first": _EVENTS_KEY << 48, "events": _EVENTS_KEY}
_BEGIN: Final = """
    SELECT pg_advisory_xact_lock_shared(%(first)s::bigint + (SELECT last_value FROM events_id_seq)),
    (SELECT version_num FROM alembic_version)
"""
_NEWEST: Final = "SELECT last_value FROM events_id_seq"
_OLDEST_BEGIN: Final = """
    SELECT min((classid::bigint << 32 | objid::bigint) - %(first)s::bigint) FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = %(events)s
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def engine_of(url: URL, **options: Any) -> Engine:
    """Return an engine. It connects when it is first used. Raises `Unavailable` if the driver is not installed."""
    session = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    to_driver = {"connect_timeout": _CONNECT_SECONDS, "options": session, **_CLIENT_NOTICES}
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args=to_driver,
            pool_size=_POOL_SIZE,
            max_overflow=_MAX_OVERFLOW,
            pool_timeout=LOCK_SECONDS,
            **options,
        )
    except ImportError as error:
        raise Unavailable(
            "CLOUDO_DATABASE_URL names a PostgreSQL database, and its driver is not installed. "
            "Run: pip install 'cloudo[postgresql]'"
        ) from error
    event.listen(engine.pool, "connect", _accept_nul)
    _check_idle(engine)
    return engine


def _check_idle(engine: Engine) -> None:
    """Replace idle connections that were lost, for example because the server was restarted.

    SQLAlchemy's `pool_pre_ping` asks before each transaction: that was a fifth of all statements of a run.
    """

    @event.listens_for(engine.pool, "checkin")
    def _note_use(_connection: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["used_at"] = time.monotonic()

    @event.listens_for(engine.pool, "checkout")
    def _check(connection: Any, entry: ConnectionPoolEntry, _proxy: object) -> None:
        used_at = entry.info.get("used_at")  # unknown for a new connection
        if used_at is None or time.monotonic() < used_at + _MAX_IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error


def _accept_nul(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """Write the symbol for NUL in the place of NUL, which PostgreSQL's texts cannot hold; a flow may log it."""
    from psycopg.types.string import StrDumperUnknown

    class WithoutNul(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", _NUL_SYMBOL) if "\0" in obj else obj)

    connection.adapters.register_dumper(str, WithoutNul)


def reading(engine: Engine) -> Engine:
    """Return the engine for read transactions. Each sees one state of the database."""
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


class ServerClock:
    """The time by the database server's clock, which all machines share.

    The server is asked every few seconds; in between, this machine counts. Its own clock may be wrong.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: The server's time, and this machine's count at that moment.
        self._known: tuple[datetime, float] | None = None
        self._ask_at = 0.0

    def __call__(self) -> datetime:
        """Return the time in UTC. Raises SQLAlchemy errors if the server was never reached."""
        now = time.monotonic()
        if self._known is None or now >= self._ask_at:
            self._ask(now)
        assert self._known is not None, "an error was raised otherwise"
        moment, counted = self._known
        return moment + timedelta(seconds=time.monotonic() - counted)

    def _ask(self, now: float) -> None:
        self._ask_at = now + _MAX_CLOCK_AGE_SECONDS  # first: no other thread needs to ask meanwhile
        try:
            with self._engine.connect() as connection:
                before = time.monotonic()
                moment: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        except SQLAlchemyError:
            if self._known is None:
                raise
        else:
            self._known = moment.astimezone(UTC), (before + time.monotonic()) / 2


class Signals:
    """Tells the other processes of a store about writes, and calls `on_signal` after theirs.

    A signal may be lost, so its receivers also poll. It has a transaction of its own, after the write: in PostgreSQL
    transactions that notify commit one after another, and each would wait for the disk alone.
    """

    def __init__(self, engine: Engine, on_signal: Callable[[], None]) -> None:
        self._engine = engine
        self._on_signal = on_signal
        self._connection: psycopg.Connection | None = None
        self._has_news = False
        #: The thread waits for the first one and for the connection. A write to the second one wakes it.
        self._bell, self._bell_push = socket.socketpair()
        self._bell_push.setblocking(False)
        self._loop = Loop("signals", self._exchange)
        self._lock = threading.Lock()
        self._is_started = self._is_closing = False

    def listen(self) -> None:
        """Start the thread that sends and receives."""
        with self._lock:
            if not (self._is_started or self._is_closing):
                self._is_started = True
                self._loop.start()

    def send(self) -> None:
        """Tell the other processes soon."""
        if not self._has_news:
            self._has_news = True
            self._ring()
        self.listen()

    def close(self) -> None:
        """Send what is left, and close the connection."""
        with self._lock:
            self._is_closing = True
        self._ring()
        self._loop.stop()
        self._disconnect()
        self._bell.close()
        self._bell_push.close()

    def _ring(self) -> None:
        with suppress(OSError):  # full, so the thread wakes anyway, or closed
            self._bell_push.send(b"!")

    def _exchange(self) -> float:
        import psycopg

        try:
            connection = self._connection or self._connect()
            seconds = 0.0 if self._has_news else _SIGNAL_WAIT_SECONDS
            is_rung = self._bell in wait([connection.fileno(), self._bell], seconds)
            if is_rung and not self._is_closing:
                self._bell.recv(4096)
            if self._has_news:
                self._has_news = False  # first: a write from here on needs another signal
                connection.execute(_NOTIFY)
            senders = {signal.pid for signal in connection.notifies(timeout=0)}
            if senders - {connection.info.backend_pid}:
                self._on_signal()
        except (psycopg.Error, SQLAlchemyError) as error:
            self._disconnect()
            self._has_news = True  # the last signal may be lost
            failure = Unavailable("Signals of other processes are not received.")
            failure.is_logged = True  # whoever uses the store meanwhile logs the cause
            raise failure from error
        return _SIGNAL_INTERVAL_SECONDS

    def _connect(self) -> psycopg.Connection:
        pooled = self._engine.raw_connection()
        connection = self._connection = cast("psycopg.Connection", pooled.driver_connection)
        pooled.detach()
        connection.autocommit = True
        for statement in _LISTEN:
            connection.execute(statement)
        self._on_signal()  # there may have been some before
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def begin_write(connection: Connection) -> str | None:
    """Begin a write transaction, so that `settled_event` knows of it. Return the revision of the tables."""
    _, revision = connection.exec_driver_sql(_BEGIN, _KEYS).one()
    return str(revision)


def settled_event(engine: Engine) -> int:
    """Return an event id up to which no event can appear any more. Read the events in a later transaction."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:  # neither BEGIN nor COMMIT
        newest = connection.exec_driver_sql(_NEWEST).scalar_one()  # first: locks taken later have greater ids
        oldest_begin = connection.exec_driver_sql(_OLDEST_BEGIN, _KEYS).scalar()
    return int(newest if oldest_begin is None else min(newest, oldest_begin))


def lock_schema(connection: Connection) -> None:
    """Let one process at a time create or upgrade the tables. SQLite's write lock does that itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_KEY)))


def create_search_index(connection: Connection) -> None:
    """Create the index of texts, if the server has the extension `pg_trgm`. SQLite has one beside the database."""
    if connection.dialect.name != "postgresql":
        return
    has_trigrams = "SELECT FROM pg_available_extensions WHERE name = 'pg_trgm'"
    if connection.exec_driver_sql(has_trigrams).first() is not None:
        connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        connection.exec_driver_sql(_SEARCH_INDEX.format(", ".join(f"{name} gin_trgm_ops" for name in _SEARCHED)))
