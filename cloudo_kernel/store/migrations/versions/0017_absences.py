"""Absences of schedulers are kept; occurrences stand for runs of times, and say whether they are caught up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.add_column("workers", sa.Column("beat_at", sa.BigInteger()))
    op.add_column("workers", sa.Column("previous_beat_at", sa.BigInteger()))
    op.create_table(
        "absences",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_absences"),
    )
    op.create_index("ix_absences_end", "absences", ["end"])
    # Older versions kept no time of a heartbeat: the last event is the last sign of life.
    op.execute('INSERT INTO absences (start, "end") SELECT coalesce(max(time), 0), NULL FROM events')
    op.add_column("occurrences", sa.Column("until", sa.BigInteger()))
    op.add_column("occurrences", sa.Column("count", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("occurrences", sa.Column("is_caught_up", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("occurrences", sa.Column("is_late", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE occurrences SET is_caught_up = true, is_late = true WHERE reason LIKE 'caught up, %'")
