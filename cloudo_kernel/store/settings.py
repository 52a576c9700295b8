"""The settings that were saved. What fits them is known in `cloudo_kernel.settings`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from cloudo_kernel import settings as documented
from cloudo_kernel.events import SETTING, SETTING_DELETED, SETTING_SAVED
from cloudo_kernel.models import Setting
from cloudo_kernel.store.database import Database
from cloudo_kernel.store.events import record
from cloudo_kernel.tables import settings

# Made once, as every start and every claim asks: making a statement takes SQLAlchemy longer than running it.
_VALUE = select(settings.c.value).where(settings.c.name == bindparam("wanted"))


def value_of(connection: Connection, name: str) -> Any:
    """Return the saved value, or the documented default."""
    row = connection.execute(_VALUE, {"wanted": name}).one_or_none()
    return documented.default(name) if row is None else row.value


class Settings:
    """Reads and writes settings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[Setting, ...]:
        """Return what was saved, by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(settings).order_by(settings.c.name))
            return tuple(Setting.model_validate(dict(row._mapping)) for row in rows)

    def value(self, name: str) -> Any:
        """Return the saved value, or the documented default."""
        with self._database.read() as connection:
            return value_of(connection, name)

    def save(self, name: str, value: Any, *, user_name: str) -> Setting:
        """Save a value. Raises `SettingInvalid`."""
        documented.check(name, value)
        now = self._database.clock()
        saved = {"name": name, "value": value, "modified_at": now, "modified_by": user_name}
        with self._database.write() as connection:
            upsert = self._database.insert()(settings).values(saved)
            connection.execute(upsert.on_conflict_do_update(index_elements=["name"], set_=saved))
            record(connection, SETTING_SAVED, SETTING, name, time=now, user_name=user_name)
        return Setting.model_validate(saved)

    def delete(self, name: str, *, user_name: str) -> bool:
        """Forget a setting; return whether it was there."""
        with self._database.write() as connection:
            was_there = connection.execute(delete(settings).where(settings.c.name == name)).rowcount > 0
            if was_there:
                record(
                    connection,
                    SETTING_DELETED,
                    SETTING,
                    name,
                    time=self._database.clock(),
                    user_name=user_name,
                )
            return was_there
