"""The tables of events, messages, settings, locks, tokens, schedules and webhooks."""

from __future__ import annotations

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
    Table,
    Text,
    false,
)

from cloudo_kernel.store.tables.base import UtcMicroseconds, metadata

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
    # Ids are never reused, even after the newest events were deleted.
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
    #: Without protected values, which have their own column.
    Column("response", JSON(none_as_null=True)),
    Column("answered_by", Text),
    Column("answered_at", UtcMicroseconds),
    Column("state", Text, nullable=False),
    # The columns from here on are not in the record.
    Column("user_name", Text, nullable=False),
    Column("protected", Text),
    #: When its retention ends; None while it is open.
    Column("delete_after", UtcMicroseconds),
    Index(None, "state", "expires_at"),
    Index(None, "execution_id"),
    Index(None, "delete_after"),
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", JSON),
    Column("secret", Boolean, nullable=False, server_default=false()),
    #: The sealed value of a secret, which no other column holds.
    Column("sealed", Text),
    Column("modified_at", UtcMicroseconds, nullable=False),
    Column("modified_by", Text, nullable=False),
)

#: The holder of each lock. A row is deleted when its execution, or one attempt of it, ends.
locks = Table(
    "locks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("execution_id", Text, nullable=False),
    Column("acquired_at", UtcMicroseconds, nullable=False),
    #: The call that acquired it.
    Column("call", Text),
    Index(None, "execution_id"),
)

#: The executions waiting for a lock, in order of arrival.
lock_waiters = Table(
    "lock_waiters",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("execution_id", Text, nullable=False),
    Index(None, "name", "execution_id", unique=True),
    Index(None, "execution_id"),
    sqlite_autoincrement=True,
)

#: API tokens. Only their digest is stored.
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
    # The columns from here on are not in the record.
    Column("sha256", Text, nullable=False),
    #: The token that created it: it is revoked with that token.
    Column("made_by", Text),
    Index(None, "sha256", unique=True),
    Index(None, "user_name"),
    Index(None, "made_by"),
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
    Column("on_success", JSON(none_as_null=True)),
    Column("on_error", JSON(none_as_null=True)),
    Column("on_recovery", JSON(none_as_null=True)),
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
    # The columns from here on are not in the record.
    #: Counts changes, so that a writer can tell whether the schedule has changed since it was read.
    Column("revision", BigInteger, nullable=False, server_default="0"),
    #: The next run, jitter included; None while no run is planned.
    Column("fire_at", UtcMicroseconds),
    #: The last planned occurrence: earlier ones never recur, whatever the clock says.
    Column("last_due", UtcMicroseconds),
    #: The execution from whose end the interval is counted.
    Column("awaited_id", Text),
    #: How many executions in a row have failed.
    Column("error_count", Integer, nullable=False, server_default="0"),
    #: With `pin_source`: the source that it runs.
    Column("source_sha256", Text, ForeignKey("sources.sha256")),
    #: The unmasked inputs, sealed.
    Column("sealed_inputs", Text),
    Index(None, "fire_at"),
    Index(None, "flow_name"),
    Index(None, "source_sha256"),
)

#: The outcome of each due time of a schedule, or of a range of due times.
occurrences = Table(
    "occurrences",
    metadata,
    Column("schedule_id", Text, primary_key=True),
    Column("due", UtcMicroseconds, primary_key=True),
    #: For a range: the last due time, and how many there are, not counting those started out of turn.
    Column("until", UtcMicroseconds),
    Column("count", BigInteger, nullable=False, server_default="1"),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("execution_id", Text),
    #: Its execution is part of catching up: no policy skips or cancels it, and others like it queue behind it.
    Column("is_caught_up", Boolean, nullable=False, server_default=false()),
    #: It is caught up because it was late, not because it was due while others were caught up.
    Column("is_late", Boolean, nullable=False, server_default=false()),
    Column("iteration", BigInteger),
    Column("lateness_seconds", Float),
    #: When the outcome was decided. A due time may be caught up, or run by hand, much later.
    Column("noted_at", UtcMicroseconds, nullable=False),
    Index(None, "noted_at"),
)

#: Periods without a live scheduler. The row without an end starts at the newest heartbeat.
absences = Table(
    "absences",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("start", UtcMicroseconds, nullable=False),
    Column("end", UtcMicroseconds),
    Index(None, "end"),
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
    Column("public_url", Text),
    Column("delivery_id", Text),
    Column("challenge_parameter", Text),
    Column("key_header", Text, nullable=False),
    Column("allowed_methods", JSON, nullable=False),
    Column("allowed_networks", JSON, nullable=False),
    Column("max_body_bytes", BigInteger, nullable=False),
    Column("rate_limit", Integer),
    Column("allowed_origins", JSON, nullable=False, server_default="[]"),
    Column("raw", Boolean, nullable=False, server_default=false()),
    Column("enabled", Boolean, nullable=False),
    Column("sync_timeout_seconds", Float, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("reply", Text, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("modified_at", UtcMicroseconds, nullable=False),
    # The columns from here on are not in the record.
    #: A digest of the callers' key or, with a signature, the sealed key.
    Column("kept_key", Text),
    #: The unmasked fixed inputs, sealed.
    Column("sealed_inputs", Text),
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
    #: Only set for a call that started something: no other call can then use the same id.
    Column("delivery_id", Text),
    Column("reason", Text),
    Index(None, "webhook_name", "id"),
    Index(None, "webhook_name", "delivery_id", unique=True),
    Index(None, "received_at"),
)

#: The responses of flows to the calls that started them.
webhook_responses = Table(
    "webhook_responses",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("status", Integer, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    #: Whether the content is sealed, because it contains a secret of the flow.
    Column("is_sealed", Boolean, nullable=False, server_default=false()),
)
