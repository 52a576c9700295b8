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
