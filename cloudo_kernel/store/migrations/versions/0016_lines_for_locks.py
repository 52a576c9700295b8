"""Who waits for a lock stands in line, and the call that got one is known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.add_column("locks", sa.Column("call", sa.Text()))
    op.create_table(
        "lock_waiters",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lock_waiters")),
        sqlite_autoincrement=True,
    )
    columns = ["name", "execution_id"]
    op.create_index(op.f("ix_lock_waiters_name_execution_id"), "lock_waiters", columns, unique=True)
    op.create_index(op.f("ix_lock_waiters_execution_id"), "lock_waiters", ["execution_id"])
