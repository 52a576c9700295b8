"""The settings `client.webhook.<name>`: each defines a webhook, as in the original.

The webhook is authoritative. The setting shows it without its key.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from cloudo_kernel.errors import SettingInvalid, SettingNotFound, WebhookExists, WebhookNotFound
from cloudo_kernel.models import ChangeWebhook, CreateWebhook, JsonObject, Setting, Webhook
from cloudo_kernel.security.redaction import PROTECTED
from cloudo_kernel.service.settings import SettingVerbs
from cloudo_kernel.service.webhooks import WebhookVerbs
from cloudo_kernel.settings import DOCUMENTED

_PREFIX = "client.webhook."
_FIELDS = {"flow_name", "user_name", "key"}
_FITS = "an object with flow_name, and if wanted user_name (a text) and key (12 to 500 ASCII characters)"


class WebhookSettingVerbs(SettingVerbs, WebhookVerbs):
    """Keep webhooks and the settings that define them in sync."""

    def save_setting(self, name: str, value: Any, *, secret: bool | None = None) -> Setting:
        """See `Api.save_setting`."""
        if not _is_webhook(name):
            return super().save_setting(name, value, secret=secret)
        self._ask("save_setting")
        self._check_setting(name)
        _refuse_secret(name, secret=secret)
        with self._store.journal.together():
            return super().save_setting(name, self._defined(name, value))

    def create_setting(self, name: str, value: Any, *, secret: bool = False) -> Setting:
        """See `Api.create_setting`."""
        if not _is_webhook(name):
            return super().create_setting(name, value, secret=secret)
        self._ask("create_setting")
        self._check_setting(name)
        _refuse_secret(name, secret=secret)
        with self._store.journal.together():
            return super().create_setting(name, self._defined(name, value))

    def delete_setting(self, name: str) -> None:
        """See `Api.delete_setting`."""
        if not _is_webhook(name):
            super().delete_setting(name)
            return
        with self._store.journal.together():
            super().delete_setting(name)
            with suppress(WebhookNotFound):
                super().delete_webhook(name.removeprefix(_PREFIX))

    def change_webhook(self, name: str, request: ChangeWebhook) -> Webhook:
        """See `Api.change_webhook`."""
        with self._store.journal.together():
            changed = super().change_webhook(name, request)
            if _is_webhook(_PREFIX + name) and self._is_saved(_PREFIX + name):
                self._store.settings.save(_PREFIX + name, _shown(changed), user_name=self._user_name)
        return changed

    def delete_webhook(self, name: str) -> None:
        """See `Api.delete_webhook`."""
        with self._store.journal.together():
            super().delete_webhook(name)
            if _is_webhook(_PREFIX + name):
                with suppress(SettingNotFound):
                    self._store.settings.delete(_PREFIX + name, user_name=self._user_name)

    def _defined(self, name: str, value: Any) -> JsonObject:
        """Create or change the webhook, and return the value of its setting. Raises `SettingInvalid`."""
        if not isinstance(value, dict) or value.keys() - _FIELDS:
            raise SettingInvalid(name, _FITS)
        # The mask in place of the key stands for the current key.
        user_name = value.get("user_name")
        given = {
            "flow_name": value.get("flow_name"),
            "user_name": self._user_name if user_name is None else user_name,
            "key": value.get("key"),
        }
        given = {field: one for field, one in given.items() if one != PROTECTED}
        is_saved = self._is_saved(name)
        try:
            wanted = CreateWebhook.model_validate({**given, "name": name.removeprefix(_PREFIX)})
        except ValidationError as error:
            raise SettingInvalid(name, _FITS) from error
        try:
            return _shown(self.create_webhook(wanted))
        except WebhookExists:
            if not is_saved:  # it was not created by a setting, so do not overwrite it by accident
                raise
        return _shown(super().change_webhook(wanted.name, ChangeWebhook.model_validate(given)))

    def _is_saved(self, name: str) -> bool:
        try:
            return self._store.settings.get(name).modified_at is not None
        except SettingNotFound:
            return False


def _is_webhook(name: str) -> bool:
    """Tell whether a setting defines a webhook. A few names with this prefix are settings of Cloudo itself."""
    return name.startswith(_PREFIX) and name not in DOCUMENTED


def _refuse_secret(name: str, *, secret: bool | None) -> None:
    if secret:
        raise SettingInvalid(name, "no secret: of a webhook the key is hidden as it is, and nothing else need be")


def _shown(webhook: Webhook) -> JsonObject:
    shown = {"flow_name": webhook.flow_name, "user_name": webhook.user_name}
    return {**shown, "key": PROTECTED} if webhook.has_key else dict(shown)
