"""The schema of version 0.1.0. A store has it from its creation, so there is nothing to change."""

from __future__ import annotations

revision = "0100"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""
