"""REST for settings."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import PageQuery, operation, routes_of
from cloudo_kernel.errors import SettingNotFound
from cloudo_kernel.models import Page, Request, Setting, SettingDescription


class SettingValue(Request):
    """The body of `PUT` and `PATCH` of `/setting/<name>`."""

    value: Any
    secret: bool | None = Field(default=None, description="Whether the value is secret. Null: unchanged.")


class NewSetting(SettingValue):
    """The body of `POST /setting`."""

    name: str


class Settings(Handler):
    """`/setting`."""

    @operation("settings", reply=Page[Setting], query=(PageQuery,))
    async def get(self) -> None:
        """List the saved settings."""
        await self.answer_page(self.api.settings, "name")

    @operation(
        "create_setting",
        reply=Setting,
        status=201,
        body=NewSetting,
        example={"name": "team.regions", "value": ["north", "south"]},
    )
    async def post(self) -> None:
        """Create a setting."""
        new = await self.sent(NewSetting)
        await self.answer_created(
            "setting", self.api.create_setting, new.name, new.value, secret=bool(new.secret), key="name"
        )


class Documented(Handler):
    """`/setting/documented`."""

    @operation("documented_settings", reply=Page[SettingDescription], query=(PageQuery,))
    async def get(self) -> None:
        """List the settings that Cloudo reads."""
        await self.answer_page(self.api.documented_settings, "name")


class OneSetting(Handler):
    """`/setting/<name>`."""

    @operation("setting", reply=Setting)
    async def get(self, name: str) -> None:
        """Return the setting, or its documented default."""
        await self.answer(self.api.setting, name)

    @operation("save_setting", reply=Setting, is_conditional=True, body=SettingValue, example={"value": ["north"]})
    async def put(self, name: str) -> None:
        """Save a value."""
        given, save = await self.sent(SettingValue), self.unless_changed(self.api.setting, self.api.save_setting)
        await self.answer(save, name, given.value, secret=given.secret)

    @operation(
        "save_setting",
        id="change_setting",
        reply=Setting,
        body=SettingValue,
        example={"value": ["north"]},
        raises=(SettingNotFound,),
        is_conditional=True,
    )
    async def patch(self, name: str) -> None:
        """Change an existing setting, or one with a documented default."""
        given, save = await self.sent(SettingValue), self.unless_changed(self.api.setting, self.api.save_setting)
        await self.backend.call(self.api.setting, name)  # raises if it does not exist
        await self.answer(save, name, given.value, secret=given.secret)

    @operation("delete_setting", status=204, is_conditional=True)
    async def delete(self, name: str) -> None:
        """Delete the setting."""
        await self.backend.call(self.unless_changed(self.api.setting, self.api.delete_setting), name)
        await self.finish_empty()


routes = routes_of(Settings, Documented, OneSetting)
