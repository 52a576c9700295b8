"""The verbs about settings, over HTTP."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from cloudo_kernel.client.base import Base, in_path
from cloudo_kernel.models import Page, Setting


class _Value(BaseModel):
    """The part of `GET /setting/<name>` that `Api.setting` returns."""

    value: Any


class SettingVerbs(Base):
    """Settings: read, saved, forgotten."""

    def settings(self) -> tuple[Setting, ...]:
        """See `Api.settings`."""
        return self._get(Page[Setting], "setting").items

    def setting(self, name: str) -> Any:
        """See `Api.setting`."""
        return self._get(_Value, f"setting/{in_path(name)}").value

    def save_setting(self, name: str, value: Any) -> Setting:
        """See `Api.save_setting`."""
        return self._record(
            Setting, self._send("PUT", f"setting/{in_path(name)}", json={"value": value}, is_repeatable=True)
        )

    def delete_setting(self, name: str) -> None:
        """See `Api.delete_setting`."""
        self._send("DELETE", f"setting/{in_path(name)}")
