"""Lists of executions by every filter, however many there are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.drop_index("ix_executions_flow_name_created_at", "executions")
    op.drop_index("ix_executions_parent_id", "executions")
    for columns in (["flow_name", "id"], ["parent_id", "id"], ["user_name", "id"], ["created_at"]):
        op.create_index(f"ix_executions_{'_'.join(columns)}", "executions", columns)
    for name, column, where in (
        ("ix_executions_ended", "status", "ended_at IS NOT NULL"),
        ("ix_executions_of_schedules", "schedule_id", "schedule_id IS NOT NULL"),
    ):
        kept = sa.text(where)
        op.create_index(name, "executions", [column, "id"], sqlite_where=kept, postgresql_where=kept)
