"""REST for settings."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from cloudo_extension.base import API, Handler
from cloudo_kernel.models import Page, Setting


class SettingValue(BaseModel):
    """The body of `PUT /setting/<name>`, and with the name what `GET` replies."""

    model_config = ConfigDict(extra="forbid")

    value: Any


class NamedValue(SettingValue):
    """A setting's value: the saved one, or the documented default."""

    name: str


class Settings(Handler):
    """`/setting`."""

    async def get(self) -> None:
        """List the settings that were saved."""
        await self.answer(lambda: Page[Setting](items=self.api.settings()))


class OneSetting(Handler):
    """`/setting/<name>`."""

    async def get(self, name: str) -> None:
        """Return the value."""
        await self.answer(lambda: NamedValue(name=name, value=self.api.setting(name)))

    async def put(self, name: str) -> None:
        """Save a value."""
        await self.answer(self.api.save_setting, name, self.parse(SettingValue, self.body()).value)

    async def delete(self, name: str) -> None:
        """Forget the setting."""
        await self.engine.call(self.api.delete_setting, name)
        await self.finish_empty()


routes = [(rf"{API}/setting", Settings), (rf"{API}/setting/(.+)", OneSetting)]
