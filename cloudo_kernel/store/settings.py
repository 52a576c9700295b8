"""Saved settings, with the locks of their names. `cloudo_kernel.settings` defines and validates them."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from cloudo_kernel import settings as documented
from cloudo_kernel.errors import SettingExists, SettingInvalid, SettingNotFound
from cloudo_kernel.models import JsonObject, Setting
from cloudo_kernel.models.event_types import SETTING, SETTING_DELETED, SETTING_SAVED
from cloudo_kernel.security.encryption import Encryption
from cloudo_kernel.security.redaction import PROTECTED
from cloudo_kernel.store.events import record
from cloudo_kernel.store.sql.database import Database
from cloudo_kernel.store.tables import events, locks, settings

# Built once: every start and claim runs it, and SQLAlchemy takes longer to build a statement than to run it.
_VALUES = select(settings.c.name, settings.c.value).where(
    settings.c.name.in_((bindparam("personal"), bindparam("shared")))
)

_HOLDERS = select(locks.c.name, locks.c.execution_id)


def value_of(connection: Connection, name: str, *, user_name: str | None = None) -> Any:
    """Return the value of a setting for a user: their own, else the shared one, else the documented default.

    An invalid saved value, such as one that an older version accepted, counts as not saved.
    """
    names = documented.names_for(name, user_name)
    rows = connection.execute(_VALUES, {"personal": names[0], "shared": name})
    saved = {row.name: row.value for row in rows.all()}
    found = [saved[one] for one in names if one in saved and documented.fits(one, saved[one])]
    return found[0] if found else documented.default(name)


class Settings:
    """Reads and writes settings. Each change records an event with the old and new value, masked for a secret."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database = database
        self._encryption = encryption

    def all(self, *, reveal: bool = False) -> tuple[Setting, ...]:
        """Return saved or locked settings, ordered by name. Only running flows get the values of secrets: `reveal`."""
        with self._database.read() as connection:
            holders: dict[str, str] = {row.name: row.execution_id for row in connection.execute(_HOLDERS)}
            saved = {row.name: row for row in connection.execute(select(settings))}
        names = sorted(saved.keys() | holders.keys())
        return tuple(self._record(name, saved.get(name), holders.get(name), reveal=reveal) for name in names)

    def get(self, name: str, *, reveal: bool = False) -> Setting:
        """Return a setting with its saved value or its documented default. Raises `SettingNotFound`.

        A user's own setting that was not saved has the value that holds for the user. Only running flows get the value
        of a secret: `reveal`.
        """
        shared = documented.overridden(name)
        with self._database.read() as connection:
            row = _row(connection, name)
            holder = _holder(connection, name)
            if row is None and shared is not None:
                return Setting(name=name, value=value_of(connection, shared), locked_by=holder)
        if row is None and name not in documented.DOCUMENTED:
            raise SettingNotFound(name)
        return self._record(name, row, holder, reveal=reveal)

    def value(self, name: str, *, user_name: str | None = None) -> Any:
        """Return the value of a documented setting for a user; see `value_of`."""
        with self._database.read() as connection:
            return value_of(connection, name, user_name=user_name)

    def save(
        self, name: str, value: Any, *, user_name: str, is_new: bool = False, secret: bool | None = None
    ) -> Setting:
        """Save a value. Raises `SettingInvalid`, and `SettingExists` if `is_new` is set for an existing one.

        With `secret` None it stays a secret if it was one. Saving the mask of a secret keeps its value.
        """
        value = documented.checked(name, value, secret=bool(secret))
        now = self._database.clock()
        with self._database.write() as connection:
            before = _row(connection, name)
            if is_new and before is not None:
                raise SettingExists(name)
            was_secret = before is not None and before.secret
            is_secret = was_secret if secret is None else secret
            saved = {"name": name, "modified_at": now, "modified_by": user_name}
            saved |= self._kept(name, value, before, is_secret=is_secret)
            upsert = self._database.insert()(settings).values(saved)
            connection.execute(upsert.on_conflict_do_update(index_elements=["name"], set_=saved))
            if is_secret and not was_secret:
                _forget_values(connection, name)
            details = _entry("before", before, hides=is_secret) | {"after": PROTECTED if is_secret else value}
            record(connection, SETTING_SAVED, SETTING, name, time=now, user_name=user_name, **details)
            return self._record(name, _row(connection, name), _holder(connection, name))

    def _kept(self, name: str, value: Any, before: Any, *, is_secret: bool) -> JsonObject:
        """Return the value columns, sealed for a secret. The mask of a secret keeps its value."""
        was_secret = before is not None and before.secret
        if not (is_secret or was_secret) or value != PROTECTED:
            sealed = self._encryption.encrypt(json.dumps(value).encode()) if is_secret else None
            return {"value": None if is_secret else value, "secret": is_secret, "sealed": sealed}
        if not (is_secret and was_secret):
            raise SettingInvalid(name, f"the value itself; {PROTECTED} is only shown in its place")
        return {"value": None, "secret": True, "sealed": before.sealed}

    def delete(self, name: str, *, user_name: str) -> None:
        """Delete a setting. Raises `SettingNotFound` if it was not saved."""
        now = self._database.clock()
        with self._database.write() as connection:
            before = _row(connection, name)
            if before is None:
                raise SettingNotFound(name)
            connection.execute(delete(settings).where(settings.c.name == name))
            details = _entry("before", before)
            record(connection, SETTING_DELETED, SETTING, name, time=now, user_name=user_name, **details)

    def _record(self, name: str, row: Any, holder: str | None, *, reveal: bool = False) -> Setting:
        if row is None:
            return Setting(name=name, value=documented.default(name), locked_by=holder)
        value = row.value
        if row.secret:
            value = json.loads(self._encryption.decrypt(row.sealed)) if reveal else PROTECTED
        return Setting.model_validate({**row._mapping, "value": value, "locked_by": holder})


def _holder(connection: Connection, name: str) -> str | None:
    holder: str | None = connection.execute(select(locks.c.execution_id).where(locks.c.name == name)).scalar()
    return holder


def _row(connection: Connection, name: str) -> Any:
    return connection.execute(select(settings).where(settings.c.name == name)).one_or_none()


def _entry(when: str, row: Any, *, hides: bool = False) -> JsonObject:
    """Return the entry of a row in the event of a change; the value of a secret is masked."""
    if row is None:
        return {}
    return {when: PROTECTED if row.secret or hides else row.value}


def _forget_values(connection: Connection, name: str) -> None:
    """Mask the values in the history of a setting that becomes a secret: the old values may be the secret."""
    of_it = (events.c.subject_type == SETTING, events.c.subject_id == name)
    for event in connection.execute(select(events.c.id, events.c.data).where(*of_it)).all():
        hidden = dict.fromkeys(event.data.keys() & {"before", "after"}, PROTECTED)
        connection.execute(update(events).where(events.c.id == event.id).values(data={**event.data, **hidden}))
