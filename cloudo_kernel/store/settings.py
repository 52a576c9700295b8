"""The settings that were saved, and the locks of their names. What fits them is known in `cloudo_kernel.settings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from cloudo_kernel import settings as documented
from cloudo_kernel.errors import SettingExists, SettingNotFound
from cloudo_kernel.events import SETTING, SETTING_DELETED, SETTING_SAVED
from cloudo_kernel.models import JsonObject, Setting
from cloudo_kernel.store.database import Database
from cloudo_kernel.store.events import record
from cloudo_kernel.tables import locks, settings

# Made once, as every start and every claim asks: making a statement takes SQLAlchemy longer than running it.
_VALUES = select(settings.c.name, settings.c.value).where(
    settings.c.name.in_((bindparam("personal"), bindparam("shared")))
)

_HOLDERS = select(locks.c.name, locks.c.execution_id)


def value_of(connection: Connection, name: str, *, user_name: str | None = None) -> Any:
    """Return the value of a setting for a user: their own, else everybody's, else the documented default.

    A saved value that does not fit, as one that an older version took, counts as not saved.
    """
    names = documented.names_for(name, user_name)
    rows = connection.execute(_VALUES, {"personal": names[0], "shared": name})
    saved = {row.name: row.value for row in rows}
    found = [saved[one] for one in names if one in saved and documented.fits(one, saved[one])]
    return found[0] if found else documented.default(name)


class Settings:
    """Reads and writes settings. Each change is an event with the value before and after it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[Setting, ...]:
        """Return what was saved or is locked, by name."""
        with self._database.read() as connection:
            holders: dict[str, str] = {row.name: row.execution_id for row in connection.execute(_HOLDERS)}
            saved = {row.name: row._mapping for row in connection.execute(select(settings))}
        return tuple(
            _record(name, saved.get(name), holders.get(name)) for name in sorted(saved.keys() | holders.keys())
        )

    def get(self, name: str) -> Setting:
        """Return a setting as it was saved, or with its documented default. Raises `SettingNotFound`."""
        with self._database.read() as connection:
            row = _row(connection, name)
            holder = _holder(connection, name)
        if row is None and name not in documented.DOCUMENTED:
            raise SettingNotFound(name)
        return _record(name, None if row is None else row._mapping, holder)

    def value(self, name: str, *, user_name: str | None = None) -> Any:
        """Return the value of a setting for a user; see `value_of`."""
        with self._database.read() as connection:
            return value_of(connection, name, user_name=user_name)

    def save(self, name: str, value: Any, *, user_name: str, is_new: bool = False) -> Setting:
        """Save a value. Raises `SettingInvalid`; when it is to be new, `SettingExists`."""
        documented.check(name, value)
        now = self._database.clock()
        saved = {"name": name, "value": value, "modified_at": now, "modified_by": user_name}
        with self._database.write() as connection:
            before = _row(connection, name)
            if is_new and before is not None:
                raise SettingExists(name)
            upsert = self._database.insert()(settings).values(saved)
            connection.execute(upsert.on_conflict_do_update(index_elements=["name"], set_=saved))
            told = _told(before, {"after": value})
            record(connection, SETTING_SAVED, SETTING, name, time=now, user_name=user_name, **told)
            holder = _holder(connection, name)
        secret = before is not None and before.secret
        return _record(name, {**saved, "secret": secret}, holder)

    def delete(self, name: str, *, user_name: str) -> None:
        """Forget a setting. Raises `SettingNotFound` when it was not saved."""
        now = self._database.clock()
        with self._database.write() as connection:
            before = _row(connection, name)
            if before is None:
                raise SettingNotFound(name)
            connection.execute(delete(settings).where(settings.c.name == name))
            record(connection, SETTING_DELETED, SETTING, name, time=now, user_name=user_name, **_told(before, {}))


def _record(name: str, saved: Mapping[Any, Any] | None, holder: str | None) -> Setting:
    if saved is None:
        return Setting(name=name, value=documented.default(name), locked_by=holder)
    return Setting.model_validate({**saved, "locked_by": holder})


def _holder(connection: Connection, name: str) -> str | None:
    holder: str | None = connection.execute(select(locks.c.execution_id).where(locks.c.name == name)).scalar()
    return holder


def _row(connection: Connection, name: str) -> Any:
    return connection.execute(select(settings).where(settings.c.name == name)).one_or_none()


def _told(before: Any, values: JsonObject) -> JsonObject:
    """Return what the event of a change says: the values before and after it, but never those of a secret."""
    if before is None:
        return values
    return {} if before.secret else {"before": before.value, **values}
