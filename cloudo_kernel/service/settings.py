"""Verbs for settings. A setting `client.webhook.<name>` defines a webhook, as in the original.

The webhook is authoritative. Its setting shows it without its key.
"""

from __future__ import annotations

import json
from contextlib import nullcontext, suppress
from typing import Any

from pydantic import ValidationError

from cloudo_kernel.errors import MalformedRequest, SettingInvalid, SettingNotFound, WebhookExists, WebhookNotFound
from cloudo_kernel.models import Action, ChangeWebhook, CreatedWebhook, CreateWebhook, JsonObject, Setting, Webhook
from cloudo_kernel.security.redaction import PROTECTED
from cloudo_kernel.service.webhooks import WebhookVerbs
from cloudo_kernel.settings import DOCUMENTED

_MAX_NAME = 200
#: The name that is an address of its own.
_RESERVED = "documented"
#: Maximum size of a setting as JSON.
_LIMIT_BYTES = 1024 * 1024
#: SQLite gives a JSON column numeric affinity, so it rounds a larger number that is the whole value.
_MAX_NUMBER = 2**63 - 1
#: The prefix of settings that define a webhook, and the fields of their values.
_PREFIX = "client.webhook."
_FIELDS = {"flow_name", "user_name", "key"}
_FITS = "an object with flow_name, and optionally user_name (a text) and key (12 to 500 ASCII characters)"


class SettingVerbs(WebhookVerbs):
    """List, read, save and delete settings. Keep webhooks and the settings that define them in sync."""

    def settings(self) -> tuple[Setting, ...]:
        """See `Api.settings`."""
        self._ask("settings")
        return self._store.settings.all()

    def setting(self, name: str) -> Setting:
        """See `Api.setting`."""
        self._ask("setting")
        return self._store.settings.get(name)

    def revealed_setting(self, name: str) -> Setting:
        """Return a setting with its value, even if it is a secret. Only workers expose it. Raises `SettingNotFound`."""
        self._ask("setting")
        return self._store.settings.get(name, reveal=True)

    def revealed_settings(self) -> tuple[Setting, ...]:
        """Return all saved settings, with the values of secrets. Only workers expose it."""
        self._ask("settings")
        return self._store.settings.all(reveal=True)

    def save_setting(self, name: str, value: Any, *, secret: bool | None = None) -> Setting:
        """See `Api.save_setting`."""
        self._ask("save_setting")
        return self._save(name, value, secret=secret)

    def create_setting(self, name: str, value: Any, *, secret: bool = False) -> Setting:
        """See `Api.create_setting`."""
        self._ask("create_setting")
        return self._save(name, value, secret=secret, is_new=True)

    def delete_setting(self, name: str) -> None:
        """See `Api.delete_setting`."""
        self._ask("delete_setting")
        self._check_setting(name)
        with self._store.journal.together():
            self._store.settings.delete(name, user_name=self._user_name)
            if _is_webhook(name):
                with suppress(WebhookNotFound):
                    super().delete_webhook(name.removeprefix(_PREFIX))

    def change_webhook(self, name: str, request: ChangeWebhook) -> CreatedWebhook:
        """See `Api.change_webhook`."""
        with self._store.journal.together():
            changed = super().change_webhook(name, request)
            if _is_webhook(_PREFIX + name) and self._is_saved(_PREFIX + name):
                self._store.settings.save(_PREFIX + name, _masked(changed), user_name=self._user_name)
        return changed

    def delete_webhook(self, name: str) -> None:
        """See `Api.delete_webhook`."""
        with self._store.journal.together():
            super().delete_webhook(name)
            if _is_webhook(_PREFIX + name):
                with suppress(SettingNotFound):
                    self._store.settings.delete(_PREFIX + name, user_name=self._user_name)

    def _save(self, name: str, value: Any, *, secret: bool | None, is_new: bool = False) -> Setting:
        """Save a setting, and create or change the webhook that it defines."""
        self._check_setting(name)
        is_webhook = _is_webhook(name)
        if is_webhook and secret:
            raise SettingInvalid(name, "no secret: the key of a webhook is always hidden, and nothing else has to be")
        with self._store.journal.together() if is_webhook else nullcontext():
            if is_webhook:
                value = self._defined(name, value)
            _check(name, value)
            if secret is None and self.redaction.holds(value):
                secret = True
            return self._store.settings.save(name, value, user_name=self._user_name, is_new=is_new, secret=secret)

    def _check_setting(self, name: str) -> None:
        """Raise `PermissionDenied` if the setting is about webhooks and the caller may not write webhooks."""
        if name.startswith(_PREFIX):
            self._rights.check(Action.WEBHOOK_WRITE)

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
            return _masked(self.create_webhook(wanted))
        except WebhookExists:
            if not is_saved:  # it was not created by a setting, so do not overwrite it by accident
                raise
        return _masked(super().change_webhook(wanted.name, ChangeWebhook.model_validate(given)))

    def _is_saved(self, name: str) -> bool:
        try:
            return self._store.settings.get(name).modified_at is not None
        except SettingNotFound:
            return False


def check_name(name: str) -> None:
    """Raise `SettingInvalid` if the name of a setting or lock is invalid."""
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise SettingInvalid(name, f"a printable name of 1 to {_MAX_NAME} characters")


def _check(name: str, value: Any) -> None:
    """Raise an error if the name or the value of a setting is invalid."""
    check_name(name)
    if name == _RESERVED:
        raise SettingInvalid(name, "another name: GET /setting/documented lists the documented settings")
    try:
        size = len(json.dumps(value, allow_nan=False))
    except (ValueError, TypeError, RecursionError) as error:
        raise MalformedRequest(f"The value is not JSON: {error}.", field="value") from error
    if size > _LIMIT_BYTES:
        raise SettingInvalid(name, f"at most {_LIMIT_BYTES / 1e6:.0f} MB as JSON; this value has {size / 1e6:.1f} MB")
    if isinstance(value, int) and abs(value) > _MAX_NUMBER:
        raise SettingInvalid(name, f"whole numbers up to {_MAX_NUMBER:,}; larger ones can be saved as text")


def _is_webhook(name: str) -> bool:
    """Tell whether a setting defines a webhook. A few names with this prefix are settings of Cloudo itself."""
    return name.startswith(_PREFIX) and name not in DOCUMENTED


def _masked(webhook: Webhook) -> JsonObject:
    shown = {"flow_name": webhook.flow_name, "user_name": webhook.user_name}
    return {**shown, "key": PROTECTED} if webhook.has_key else dict(shown)
