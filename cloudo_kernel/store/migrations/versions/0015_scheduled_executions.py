"""The next time that an execution was scheduled for is found at once, however many wait in the queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    kept = sa.text("scheduled_for IS NOT NULL")
    columns = ["scheduled_for"]
    op.create_index("ix_executions_scheduled_for", "executions", columns, sqlite_where=kept, postgresql_where=kept)
