"""Labels of workers, and the labels that executions require."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0104"
down_revision = "0103"
branch_labels = None
depends_on = None

_CLAIMS = ["status", "requires", "rank", "created_at", "id"]
_CLAIMS += ["flow_name", "max_running", "scheduled_for", "reserved_for", "is_held"]


def upgrade() -> None:
    """Add the columns of labels, and the required ones to the index of claims."""
    op.add_column("workers", sa.Column("labels", sa.Text(), nullable=False, server_default=""))
    op.add_column("executions", sa.Column("requires", sa.Text(), nullable=False, server_default=""))
    op.drop_index("ix_executions_claims", "executions")
    op.create_index("ix_executions_claims", "executions", _CLAIMS)
