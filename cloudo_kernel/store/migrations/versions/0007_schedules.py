"""schedules and their occurrences."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "schedules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("flow_name", sa.Text(), nullable=False),
        sa.Column("trigger", sa.JSON(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("overlap", sa.Text(), nullable=False),
        sa.Column("catch_up", sa.Text(), nullable=False),
        sa.Column("catch_up_window_seconds", sa.Float(), nullable=True),
        sa.Column("jitter_seconds", sa.Float(), nullable=False),
        sa.Column("pause_on_error_count", sa.Integer(), nullable=True),
        sa.Column("pin_source", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=True),
        sa.Column("max_iterations", sa.BigInteger(), nullable=True),
        sa.Column("iterations", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("next_run", sa.BigInteger(), nullable=True),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("broken", sa.Text(), nullable=True),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fire_at", sa.BigInteger(), nullable=True),
        sa.Column("last_due", sa.BigInteger(), nullable=True),
        sa.Column("awaited_id", sa.Text(), nullable=True),
        sa.Column("error_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("source_sha256", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["source_sha256"], ["sources.sha256"], name="fk_schedules_source_sha256_sources"),
        sa.PrimaryKeyConstraint("id", name="pk_schedules"),
    )
    op.create_index("ix_schedules_fire_at", "schedules", ["fire_at"])
    op.create_index("ix_schedules_flow_name", "schedules", ["flow_name"])
    op.create_index("ix_schedules_source_sha256", "schedules", ["source_sha256"])
    op.create_table(
        "occurrences",
        sa.Column("schedule_id", sa.Text(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("execution_id", sa.Text(), nullable=True),
        sa.Column("iteration", sa.BigInteger(), nullable=True),
        sa.Column("lateness_seconds", sa.Float(), nullable=True),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("schedule_id", "due", name="pk_occurrences"),
    )
    op.create_index("ix_occurrences_noted_at", "occurrences", ["noted_at"])
    op.create_index(
        "ix_executions_schedule_id_status",
        "executions",
        ["schedule_id", "status"],
        sqlite_where=sa.text("schedule_id IS NOT NULL"),
        postgresql_where=sa.text("schedule_id IS NOT NULL"),
    )
