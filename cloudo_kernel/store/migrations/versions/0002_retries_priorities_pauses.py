"""retries, priorities, limits and engine of a flow, pauses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    for column in (
        sa.Column("rank", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_running", sa.Integer(), nullable=True),
        sa.Column("retries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retry_delay_seconds", sa.Float(), server_default="0", nullable=False),
        sa.Column("engine", sa.Text(), server_default="kernel", nullable=False),
        sa.Column("memory_limit_mb", sa.Integer(), nullable=True),
        sa.Column("wants_pause", sa.Boolean(), server_default=sa.false(), nullable=False),
    ):
        op.add_column("executions", column)
    deciding = ["status", "rank", "created_at", "id", "flow_name", "max_running", "scheduled_for", "reserved_for"]
    op.create_index("ix_executions_claims", "executions", deciding)
    op.drop_index("ix_executions_status_created_at", "executions")
