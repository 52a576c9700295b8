"""Find out whether the store holds sealed values."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, or_, select

from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import calls, executions, messages, schedules, settings, webhook_responses, webhooks

#: Per table, the condition for a row with a sealed value; the small tables first.
_CONDITIONS: tuple[ColumnElement[bool], ...] = (
    settings.c.sealed.is_not(None),
    webhooks.c.sealed_inputs.is_not(None),
    and_(webhooks.c.kept_key.is_not(None), webhooks.c.signature.is_not(None)),
    schedules.c.sealed_inputs.is_not(None),
    webhook_responses.c.is_sealed,
    messages.c.protected.is_not(None),
    calls.c.sealed.is_not(None),
    or_(executions.c.sealed_inputs.is_not(None), executions.c.sealed_outputs.is_not(None)),
)


def has_sealed(database: Database) -> bool:
    """Return whether the store holds a sealed value. Reads whole tables; called only when the key file is missing."""
    with database.read() as connection:
        return any(connection.execute(select(exists().where(one))).scalar() for one in _CONDITIONS)
