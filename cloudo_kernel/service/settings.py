"""Verbs for settings."""

from __future__ import annotations

import json
from typing import Any

from cloudo_kernel.errors import MalformedRequest, SettingInvalid
from cloudo_kernel.models import Action, Setting
from cloudo_kernel.service.base import Base

#: A setting with this prefix defines a webhook.
_WEBHOOK = "client.webhook."
_MAX_NAME = 200
#: Maximum size of a setting as JSON.
_LIMIT_BYTES = 1024 * 1024
#: SQLite gives a JSON column numeric affinity, so it rounds a larger number that is the whole value.
_MAX_NUMBER = 2**63 - 1


class SettingVerbs(Base):
    """List, read, save and delete settings."""

    def settings(self) -> tuple[Setting, ...]:
        """See `Api.settings`."""
        self._ask("settings")
        return self._store.settings.all()

    def setting(self, name: str) -> Setting:
        """See `Api.setting`."""
        self._ask("setting")
        return self._store.settings.get(name)

    def save_setting(self, name: str, value: Any, *, secret: bool | None = None) -> Setting:
        """See `Api.save_setting`."""
        self._ask("save_setting")
        self._check_setting(name)
        _check(name, value)
        if secret is None and self.redaction.holds(value):
            secret = True
        return self._store.settings.save(name, value, user_name=self._user_name, secret=secret)

    def create_setting(self, name: str, value: Any, *, secret: bool = False) -> Setting:
        """See `Api.create_setting`."""
        self._ask("create_setting")
        self._check_setting(name)
        _check(name, value)
        return self._store.settings.save(name, value, user_name=self._user_name, is_new=True, secret=secret)

    def delete_setting(self, name: str) -> None:
        """See `Api.delete_setting`."""
        self._ask("delete_setting")
        self._check_setting(name)
        self._store.settings.delete(name, user_name=self._user_name)

    def _check_setting(self, name: str) -> None:
        """Raise `PermissionDenied` if the setting defines a webhook and the caller may not write webhooks."""
        if name.startswith(_WEBHOOK):
            self._rights.check(Action.WEBHOOK_WRITE)


def check_name(name: str) -> None:
    """Raise `SettingInvalid` if the name of a setting or lock is invalid."""
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise SettingInvalid(name, f"a printable name of 1 to {_MAX_NAME} characters")


def _check(name: str, value: Any) -> None:
    """Raise an error if the name or the value of a setting is invalid."""
    check_name(name)
    try:
        size = len(json.dumps(value, allow_nan=False))
    except (ValueError, TypeError, RecursionError) as error:
        raise MalformedRequest(f"The value is not JSON: {error}.", field="value") from error
    if size > _LIMIT_BYTES:
        raise SettingInvalid(name, f"at most {_LIMIT_BYTES / 1e6:.0f} MB as JSON; this value has {size / 1e6:.1f} MB")
    if isinstance(value, int) and abs(value) > _MAX_NUMBER:
        raise SettingInvalid(name, f"whole numbers up to {_MAX_NUMBER:,}; larger ones can be saved as text")
