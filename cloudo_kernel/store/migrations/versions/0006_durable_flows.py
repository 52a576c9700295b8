"""the calls of durable flows, and what they wait for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    for column in (
        sa.Column("durable", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("wake_after", sa.Integer(), nullable=True),
        sa.Column("wake_at", sa.BigInteger(), nullable=True),
        sa.Column("deaths", sa.Integer(), server_default="0", nullable=False),
        sa.Column("died_at_call", sa.Integer(), server_default="0", nullable=False),
    ):
        op.add_column("executions", column)
    op.create_index("ix_executions_wake_at", "executions", ["wake_at"])
    op.create_index("ix_executions_worker_id", "executions", ["worker_id"])
    op.create_index(
        "ix_executions_wants_slot",
        "executions",
        ["wants_slot"],
        sqlite_where=sa.text("wants_slot = 1"),
        postgresql_where=sa.text("wants_slot"),
    )
    op.create_table(
        "calls",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("execution_id", "position", name="pk_calls"),
    )
    op.create_table(
        "waits",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("execution_id", "subject_id", name="pk_waits"),
    )
    op.create_index("ix_waits_subject_id", "waits", ["subject_id"])
