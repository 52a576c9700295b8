"""A heartbeat reports the state of the worker's background loops."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.add_column("workers", sa.Column("loops", sa.JSON()))
