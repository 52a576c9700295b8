"""Secret settings, protected inputs and outputs, sealed journals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.add_column("settings", sa.Column("sealed", sa.Text(), nullable=True))
    for column in ("sealed_inputs", "sealed_outputs"):
        op.add_column("executions", sa.Column(column, sa.Text(), nullable=True))
    op.add_column("executions", sa.Column("protected_outputs", sa.JSON(), nullable=True))
    op.add_column("calls", sa.Column("sealed", sa.Text(), nullable=True))
    op.add_column("schedules", sa.Column("sealed_inputs", sa.Text(), nullable=True))
    op.add_column("webhooks", sa.Column("sealed_inputs", sa.Text(), nullable=True))
    is_sealed: sa.Column[bool] = sa.Column("is_sealed", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("webhook_responses", is_sealed)
