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
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    text,
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
    #: How many executions are above it: its parent, that one's parent, and so on.
    Column("depth", Integer, nullable=False, server_default="0"),
    #: Created, and not to be claimed before somebody lets it run.
    Column("is_held", Boolean, nullable=False, server_default=false()),
    #: The flow to start if it ends in error; empty once that is done, or not to be done.
    Column("on_error", Text),
    #: The worker that holds the lease.
    Column("worker_id", Text),
    #: The private worker that alone may claim it, while that one lives.
    Column("reserved_for", Text),
    #: Why it is to be stopped, once somebody asked for that.
    Column("stop_reason", Text),
    #: A waiting one that has what it waited for and wants its slot back.
    Column("wants_slot", Boolean, nullable=False, server_default=false()),
    #: Whether its calls are recorded, so that it can be replayed.
    Column("durable", Boolean, nullable=False, server_default=false()),
    #: What a durable one waits for: so many of its `waits`, or this moment.
    Column("wake_after", Integer),
    Column("wake_at", UtcMicroseconds),
    #: How often a durable one has died since it made a new call, and how many calls it had made then.
    Column("deaths", Integer, nullable=False, server_default="0"),
    Column("died_at_call", Integer, nullable=False, server_default="0"),
    #: A running one that is to pause before its next cell.
    Column("wants_pause", Boolean, nullable=False, server_default=false()),
    # The order of claims, and all that decides about one: 10,000 that cannot run yet are passed over in 3 ms.
    Index(
        "ix_executions_claims",
        *("status", "rank", "created_at", "id"),
        *("flow_name", "max_running", "scheduled_for", "reserved_for", "is_held"),
    ),
    Index(None, "on_error", "status"),
    Index(None, "flow_name", "created_at"),
    Index(None, "parent_id"),
    Index(None, "source_sha256"),
    Index(None, "expires_at"),
    Index(None, "wake_at"),
    Index(None, "worker_id"),
    # Those of one schedule that have not ended; most executions have none.
    Index(
        None,
        *("schedule_id", "status"),
        sqlite_where=text("schedule_id IS NOT NULL"),
        postgresql_where=text("schedule_id IS NOT NULL"),
    ),
    # Few want theirs back, however many wait.
    Index(
        "ix_executions_wants_slot",
        "wants_slot",
        sqlite_where=text("wants_slot = 1"),
        postgresql_where=text("wants_slot"),
    ),
)

#: What a durable execution said and asked, call by call.
calls = Table(
    "calls",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("verb", Text, nullable=False),
    Column("arguments", JSON, nullable=False),
    #: False: it was begun, as waits and steps are, and there is no result yet.
    Column("is_done", Boolean, nullable=False),
    Column("result", JSON),
    Column("error", JSON),
)

#: What durable executions wait for: the end of another execution, and the like.
waits = Table(
    "waits",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True),
    Index(None, "subject_id"),
)

#: Who waits for whose end: a waiting execution to go on, a held one to run.
dependencies = Table(
    "dependencies",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("on_id", Text, primary_key=True),
    Index(None, "on_id"),
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

messages = Table(
    "messages",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("body", JSON(none_as_null=True)),
    Column("level", Text, nullable=False),
    Column("execution_id", Text),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("expires_at", UtcMicroseconds),
    #: Without what is protected, which is in a column of its own.
    Column("response", JSON(none_as_null=True)),
    Column("answered_by", Text),
    Column("answered_at", UtcMicroseconds),
    Column("state", Text, nullable=False),
    # From here on: what the record does not show.
    Column("user_name", Text, nullable=False),
    Column("protected", Text),
    #: When its retention is over; None for one that is open.
    Column("delete_after", UtcMicroseconds),
    Index(None, "state", "expires_at"),
    Index(None, "execution_id"),
    Index(None, "delete_after"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("flow_name", Text, nullable=False),
    Column("trigger", JSON, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("overlap", Text, nullable=False),
    Column("catch_up", Text, nullable=False),
    Column("catch_up_window_seconds", Float),
    Column("jitter_seconds", Float, nullable=False),
    Column("pause_on_error_count", Integer),
    Column("pin_source", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("end_at", UtcMicroseconds),
    Column("max_iterations", BigInteger),
    Column("iterations", BigInteger, nullable=False, server_default="0"),
    Column("start", UtcMicroseconds, nullable=False),
    Column("next_run", UtcMicroseconds),
    Column("user_name", Text, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("broken", Text),
    Column("pause_reason", Text),
    # From here on: what the record does not show.
    #: Counts the changes: who has looked and wants to write finds out whether somebody was quicker.
    Column("revision", BigInteger, nullable=False, server_default="0"),
    #: The next run with its jitter; None while there is nothing to do.
    Column("fire_at", UtcMicroseconds),
    #: The last occurrence along the plan: none before it comes again, whatever the clock says.
    Column("last_due", UtcMicroseconds),
    #: The execution from whose end the interval counts.
    Column("awaited_id", Text),
    #: How many executions in a row have failed.
    Column("error_count", Integer, nullable=False, server_default="0"),
    #: With `pin_source`: what it runs.
    Column("source_sha256", Text, ForeignKey("sources.sha256")),
    Index(None, "fire_at"),
    Index(None, "flow_name"),
    Index(None, "source_sha256"),
)

#: What became of each time of a schedule.
occurrences = Table(
    "occurrences",
    metadata,
    Column("schedule_id", Text, primary_key=True),
    Column("due", UtcMicroseconds, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("execution_id", Text),
    Column("iteration", BigInteger),
    Column("lateness_seconds", Float),
    #: When that was decided; a time may be caught up, or run by hand, long after it was due.
    Column("noted_at", UtcMicroseconds, nullable=False),
    Index(None, "noted_at"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("flow_name", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("signature", Text),
    Column("signature_header", Text),
    Column("signed_content", Text, nullable=False),
    Column("timestamp_header", Text),
    Column("key_header", Text, nullable=False),
    Column("allowed_methods", JSON, nullable=False),
    Column("allowed_networks", JSON, nullable=False),
    Column("max_body_bytes", BigInteger, nullable=False),
    Column("rate_limit", Integer),
    Column("enabled", Boolean, nullable=False),
    Column("sync_timeout_seconds", Float, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("reply", Text, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("modified_at", UtcMicroseconds, nullable=False),
    # From here on: what the record does not show.
    #: A digest of the key that callers show, or, with a signature, the key sealed.
    Column("kept_key", Text),
    Index(None, "flow_name"),
)

#: The calls of webhooks.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("webhook_name", Text, nullable=False),
    Column("received_at", UtcMicroseconds, nullable=False),
    Column("source_ip", Text, nullable=False),
    Column("status_code", Integer),
    Column("execution_id", Text),
    #: Of one that started something, and of no other: nobody else can take it.
    Column("delivery_id", Text),
    Column("reason", Text),
    Index(None, "webhook_name", "id"),
    Index(None, "webhook_name", "delivery_id", unique=True),
    Index(None, "received_at"),
)

#: What flows answer to the calls that started them.
webhook_responses = Table(
    "webhook_responses",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("status", Integer, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
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

#: API tokens; of each the digest alone is kept.
tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("actions", JSON, nullable=False),
    Column("flows", JSON),
    Column("user_name", Text, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("expires_at", UtcMicroseconds),
    Column("last_used_at", UtcMicroseconds),
    # From here on: what the record does not show.
    Column("sha256", Text, nullable=False),
    #: The token by which it was made: it is revoked with that one.
    Column("made_by", Text),
    Index(None, "sha256", unique=True),
    Index(None, "user_name"),
    Index(None, "made_by"),
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
