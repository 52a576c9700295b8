"""Executions know the root of their tree, and those that have not ended are counted by root and by webhook."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

#: Of those only that have not ended: nothing else asks for the root.
_ROOTS = """
UPDATE executions SET root_id = COALESCE((
  WITH RECURSIVE above(id, parent_id) AS (
    SELECT one.id, one.parent_id FROM executions AS one WHERE one.id = executions.parent_id
    UNION ALL
    SELECT one.id, one.parent_id FROM executions AS one JOIN above ON one.id = above.parent_id
  )
  SELECT id FROM above WHERE parent_id IS NULL
), parent_id)
WHERE parent_id IS NOT NULL AND ended_at IS NULL
"""


def upgrade() -> None:
    """Go to this version."""
    op.add_column("executions", sa.Column("root_id", sa.Text()))
    op.execute(_ROOTS)
    for column, name in (("root_id", "roots"), ("webhook_name", "webhooks")):
        where = sa.text(f"{column} IS NOT NULL AND ended_at IS NULL")
        op.create_index(
            f"ix_executions_unended_of_{name}", "executions", [column], sqlite_where=where, postgresql_where=where
        )
