"""The tables of webhooks, their calls and what flows answer to them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, Table, Text, false

from cloudo_kernel.store.tables.base import UtcMicroseconds, metadata

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
    # From here on: what the record does not show.
    #: A digest of the key that callers show, or, with a signature, the key sealed.
    Column("kept_key", Text),
    #: The fixed inputs that the record masks, as they are.
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
    #: Whether the content is sealed, because a secret of the flow stands in it.
    Column("is_sealed", Boolean, nullable=False, server_default=false()),
)
