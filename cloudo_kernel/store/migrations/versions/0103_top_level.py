"""Children of deleted executions, which the list of top-level executions leaves out."""

from __future__ import annotations

from alembic import op

revision = "0103"
down_revision = "0102"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move executions to the top level if their parent is deleted. Each later deletion moves the children itself."""
    op.execute(
        "UPDATE executions SET parent_id = NULL WHERE parent_id IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM executions AS parent WHERE parent.id = executions.parent_id)"
    )
