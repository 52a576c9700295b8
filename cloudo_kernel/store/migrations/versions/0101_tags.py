"""Lists of executions by tag, by trigger and by the hour of their end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0101"
down_revision = "0100"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of tags with the tags of all executions, and indexes on triggers and ends."""
    op.create_table(
        "execution_tags",
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tag", "execution_id", name="pk_execution_tags"),
    )
    op.create_index("ix_execution_tags_execution_id", "execution_tags", ["execution_id"])
    op.create_index("ix_executions_trigger_id", "executions", ["trigger", "id"])
    has_ended = sa.text("ended_at IS NOT NULL")
    op.create_index(
        "ix_executions_ended_at",
        "executions",
        ["ended_at", "status", "flow_name"],
        sqlite_where=has_ended,
        postgresql_where=has_ended,
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    each = "json_each(executions.tags)" if is_sqlite else "json_array_elements_text(executions.tags) AS each(value)"
    op.execute(
        "INSERT INTO execution_tags (tag, execution_id) "  # noqa: S608  # nosec B608 -- both texts are constants
        f"SELECT DISTINCT value, executions.id FROM executions, {each}"
    )
