"""The tables of events, messages, settings, locks and tokens."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, Table, Text, false

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
