"""The verbs about settings, over HTTP."""

from __future__ import annotations

from typing import Any

from cloudo_kernel.client.base import Base, in_path, json_body
from cloudo_kernel.models import Page, Setting


class SettingVerbs(Base):
    """Read, create, save and delete settings."""

    def settings(self) -> tuple[Setting, ...]:
        """See `Api.settings`."""
        return self._whole(Page[Setting], "setting")

    def setting(self, name: str) -> Setting:
        """See `Api.setting`."""
        return self._get(Setting, f"setting/{in_path(name)}")

    def save_setting(self, name: str, value: Any, *, secret: bool | None = None) -> Setting:
        """See `Api.save_setting`."""
        body = json_body({"value": value, "secret": secret}, what="value")
        return self._record(Setting, self._send("PUT", f"setting/{in_path(name)}", **body, is_repeatable=True))

    def create_setting(self, name: str, value: Any, *, secret: bool = False) -> Setting:
        """See `Api.create_setting`."""
        body = json_body({"name": name, "value": value, "secret": secret}, what="value")
        return self._record(Setting, self._send("POST", "setting", **body))

    def delete_setting(self, name: str) -> None:
        """See `Api.delete_setting`."""
        self._send("DELETE", f"setting/{in_path(name)}")
