"""What follows the end of an execution: several flows and calls, on several occasions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudo_kernel.models.ids import new_id

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_OCCASIONS = ("on_success", "on_error", "on_recovery")


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "follow_ups",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("target", sa.JSON(), nullable=False),
        sa.Column("is_call", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.Column("reserved_for", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_follow_ups"),
    )
    op.create_index("ix_follow_ups_due_at", "follow_ups", ["due_at"])
    op.create_index("ix_follow_ups_execution_id", "follow_ups", ["execution_id"])
    op.add_column("executions", sa.Column("follow_ups", sa.JSON(), nullable=True))
    for occasion in _OCCASIONS:
        op.add_column("schedules", sa.Column(occasion, sa.JSON(), nullable=True))
    _keep_error_flows()
    op.drop_index("ix_executions_on_error_status", "executions")
    op.drop_column("executions", "on_error")


def _keep_error_flows() -> None:
    """Bring along what was to follow errors: of executions on their way, and of ends that nothing has followed yet."""
    executions = sa.table(
        "executions",
        *(sa.column(name) for name in ("id", "status", "on_error", "ended_at", "reserved_for")),
        sa.column("follow_ups", sa.JSON()),
    )
    follow_ups = sa.table(
        "follow_ups",
        *(sa.column(name) for name in ("id", "execution_id", "occasion", "due_at", "reserved_for")),
        sa.column("target", sa.JSON()),
        sa.column("is_call", sa.Boolean()),
    )
    connection, c = op.get_bind(), executions.c
    wanted = sa.select(c.id, c.status, c.on_error, c.ended_at, c.reserved_for).where(c.on_error.is_not(None))
    for row in connection.execute(wanted).all():
        target = {"flow": row.on_error}
        if row.ended_at is None:
            values = {"follow_ups": {"on_error": [target]}}
            connection.execute(sa.update(executions).where(c.id == row.id).values(**values))
        elif row.status == "ENDED_ERROR":
            due = {"id": new_id(), "execution_id": row.id, "occasion": "on_error", "target": target, "is_call": False}
            due |= {"due_at": row.ended_at, "reserved_for": row.reserved_for}
            connection.execute(sa.insert(follow_ups), due)
