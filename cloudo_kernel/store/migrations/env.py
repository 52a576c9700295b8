"""Alembic runs this: it migrates over the connection that the store hands in."""

from __future__ import annotations

from alembic import context

from cloudo_kernel.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,
)
context.run_migrations()
