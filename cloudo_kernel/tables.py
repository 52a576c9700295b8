"""The tables of the store. A change here goes with a migration in `migrations/versions`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    false,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcMicroseconds(TypeDecorator[datetime]):
    """An aware UTC time, kept as microseconds since 1970: exact, ordered, the same in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Turn an aware time into microseconds."""
        del dialect
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Turn microseconds into an aware time."""
        del dialect
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: Each source that an execution ran, once.
sources = Table(
    "sources",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("text", Text, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("started_at", UtcMicroseconds, nullable=False),
    #: Counts up while the worker lives; observers watch it with their own monotonic clocks.
    Column("heartbeat", BigInteger, nullable=False, server_default="0"),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    #: A private worker runs only what was reserved for it.
    Column("private", Boolean, nullable=False),
)

executions = Table(
    "executions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("flow_name", Text),
    Column("status", Text, nullable=False),
    Column("message", Text),
    Column("input_value", JSON, nullable=False),
    Column("output_value", JSON, nullable=False),
    Column("parent_id", Text),
    Column("retry_of", Text),
    Column("schedule_id", Text),
    Column("webhook_name", Text),
    Column("trigger", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("scheduled_for", UtcMicroseconds),
    Column("started_at", UtcMicroseconds),
    Column("ended_at", UtcMicroseconds),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("progress", JSON, nullable=False),
    Column("error", JSON),
    Column("notebook", Text),
    Column("source_sha256", Text, ForeignKey("sources.sha256"), nullable=False),
    Column("tags", JSON, nullable=False),
    Column("retention_minutes", Integer),
    Column("expires_at", UtcMicroseconds),
    # From here on: what the record does not show.
    #: The kernel that runs it, and the folder in which it runs.
    Column("kernel", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("timeout_seconds", Float),
    #: Lower ones are claimed first: the priority of the flow, negated, as an index has one direction.
    Column("rank", Integer, nullable=False, server_default="0"),
    #: So many executions of its flow may run at once; None for any number.
    Column("max_running", Integer),
    #: How many of its runs may fail before it does, how many have, and how long the first retry waits.
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("retry_delay_seconds", Float, nullable=False, server_default="0"),
    #: How its processes are started, and what its kernel may take of memory.
    Column("engine", Text, nullable=False, server_default="kernel"),
    Column("memory_limit_mb", Integer),
    #: The worker that holds the lease.
    Column("worker_id", Text),
    #: The private worker that alone may claim it, while that one lives.
    Column("reserved_for", Text),
    #: Why it is to be stopped, once somebody asked for that.
    Column("stop_reason", Text),
    #: A waiting one that has what it waited for and wants its slot back.
    Column("wants_slot", Boolean, nullable=False, server_default=false()),
    #: A running one that is to pause before its next cell.
    Column("wants_pause", Boolean, nullable=False, server_default=false()),
    # The order of claims, and all that decides about one: 10,000 that cannot run yet are passed over in 3 ms.
    Index(
        "ix_executions_claims",
        *("status", "rank", "created_at", "id"),
        *("flow_name", "max_running", "scheduled_for", "reserved_for"),
    ),
    Index(None, "flow_name", "created_at"),
    Index(None, "parent_id"),
    Index(None, "source_sha256"),
    Index(None, "expires_at"),
)

log_lines = Table(
    "log_lines",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("time", UtcMicroseconds, nullable=False),
    Column("level", Text, nullable=False),
    Column("text", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("time", UtcMicroseconds, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject_type", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("user_name", Text),
    Column("data", JSON, nullable=False),
    Index(None, "subject_id", "id"),
    Index(None, "time"),
    # An id is never given twice, even when the newest events were deleted.
    sqlite_autoincrement=True,
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", JSON),
    Column("secret", Boolean, nullable=False, server_default=false()),
    Column("modified_at", UtcMicroseconds, nullable=False),
    Column("modified_by", Text, nullable=False),
)

#: Who holds the lock of a name; a row goes when its execution, or one attempt of it, ends.
locks = Table(
    "locks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("execution_id", Text, nullable=False),
    Column("acquired_at", UtcMicroseconds, nullable=False),
    Index(None, "execution_id"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_name", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body_sha256", Text, nullable=False),
    Column("execution_id", Text, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Index(None, "created_at"),
)
