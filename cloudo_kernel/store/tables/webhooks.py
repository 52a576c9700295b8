"""The tables of webhooks, their deliveries, and the responses of flows."""

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
