"""held executions, who waits for whom, how deep they are, and flows to start on errors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    for column in (
        sa.Column("depth", sa.Integer(), server_default="0", nullable=False),
        sa.Column("is_held", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("on_error", sa.Text(), nullable=True),
    ):
        op.add_column("executions", column)
    deciding = ["status", "rank", "created_at", "id", "flow_name", "max_running", "scheduled_for", "reserved_for"]
    op.drop_index("ix_executions_claims", "executions")
    op.create_index("ix_executions_claims", "executions", [*deciding, "is_held"])
    op.create_index("ix_executions_on_error_status", "executions", ["on_error", "status"])
    op.create_table(
        "dependencies",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("on_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("execution_id", "on_id", name=op.f("pk_dependencies")),
    )
    op.create_index("ix_dependencies_on_id", "dependencies", ["on_id"])
