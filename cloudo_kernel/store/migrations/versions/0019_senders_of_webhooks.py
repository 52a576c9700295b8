"""What webhooks know of their senders: ids of deliveries, challenges, origins, the public address, raw bodies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    for column in ("public_url", "delivery_id", "challenge_parameter"):
        op.add_column("webhooks", sa.Column(column, sa.Text(), nullable=True))
    origins: sa.Column[list[str]] = sa.Column("allowed_origins", sa.JSON(), nullable=False, server_default="[]")
    op.add_column("webhooks", origins)
    raw: sa.Column[bool] = sa.Column("raw", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("webhooks", raw)
    # So far the name of the signature alone decided.
    webhooks = sa.table("webhooks", sa.column("signature"), sa.column("delivery_id"))
    for signature, place in (("standard-webhooks", "webhook-id"), ("github", "X-GitHub-Delivery")):
        op.execute(sa.update(webhooks).where(webhooks.c.signature == signature).values(delivery_id=place))
