"""How a run is made: the kernel that its start chose, the limit of a cell, whether sources are hidden."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.add_column("executions", sa.Column("run_options", sa.JSON(none_as_null=True)))
