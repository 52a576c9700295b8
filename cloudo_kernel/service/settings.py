"""The verbs about settings."""

from __future__ import annotations

from typing import Any

from cloudo_kernel.errors import ResourceNotFoundError, SettingInvalid
from cloudo_kernel.models import Setting
from cloudo_kernel.service.base import Base


class SettingVerbs(Base):
    """Settings: read, saved, forgotten."""

    def settings(self) -> tuple[Setting, ...]:
        """See `Api.settings`."""
        return self._store.settings.all()

    def setting(self, name: str) -> Any:
        """See `Api.setting`."""
        return self._store.settings.value(name)

    def save_setting(self, name: str, value: Any) -> Setting:
        """See `Api.save_setting`."""
        if not name or len(name) > 200 or not name.isprintable():
            raise SettingInvalid(name, "a printable name of 1 to 200 characters")
        return self._store.settings.save(name, value, user_name=self._user_name)

    def delete_setting(self, name: str) -> None:
        """See `Api.delete_setting`."""
        if not self._store.settings.delete(name, user_name=self._user_name):
            raise ResourceNotFoundError(f"There is no setting {name!r}.")
