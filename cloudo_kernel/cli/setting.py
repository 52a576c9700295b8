"""`cloudo settings`: list settings, show, save and delete them, and show their history."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from cloudo_kernel.cli import display, values
from cloudo_kernel.cli.listing import print_list
from cloudo_kernel.cli.target import Target, json_option, pass_target, target_options
from cloudo_kernel.security.documents import document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudo_kernel.api import Api
    from cloudo_kernel.models import Event, Setting

_PAGE = 500


@click.group(invoke_without_command=True)
@json_option("the settings")
@target_options
@click.pass_context
def settings(context: click.Context, *, as_json: bool) -> None:
    """List the settings, or show, save and delete one.

    Settings that Cloudo itself reads are listed with their defaults, unless they were saved. user.NAME.… overrides
    client.… for the user NAME.

    \b
    cloudo settings
    cloudo settings show client.input.timeout.minutes
    cloudo settings set client.input.timeout.minutes 30
    cloudo settings set user.ada.input.timeout.minutes 0
    cloudo settings set team.regions '[north, south]'
    cloudo settings set team.plan - < plan.yaml
    cloudo settings set bank.password --secret
    cloudo settings history client.input.timeout.minutes
    cloudo settings delete client.input.timeout.minutes
    """
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError(f"Put --json after {context.invoked_subcommand}.")
        return
    found = list(_all(context.ensure_object(Target).connect()))
    heads = ("NAME", "SAVED", "BY", "LOCKED BY", "VALUE")
    print_list(found, heads, _row, empty="No settings.", as_json=as_json)


@settings.command()
@click.argument("name")
@json_option("the setting")
@pass_target
def show(target: Target, name: str, *, as_json: bool) -> None:
    """Print the value of a setting as JSON, the default if it was not saved."""
    found = target.connect().setting(name)
    display.print_record(found, _as_json(found.value), as_json=as_json)


@settings.command(name="set", context_settings={"ignore_unknown_options": True})  # VALUE may be -1
@click.argument("name")
@click.argument("value", required=False)
@click.option(
    "--secret/--no-secret",
    default=None,
    help="Hide the value from everyone except running flows, or stop hiding it. Default: unchanged.",
)
@json_option("the saved setting")
@pass_target
def set_value(target: Target, name: str, value: str | None, *, secret: bool | None, as_json: bool) -> None:
    """Save VALUE, parsed as YAML; - reads it from standard input.

    The command prompts for a secret, or reads it from standard input, because everyone on this machine can see the
    arguments of a command.

    \b
    cloudo settings set team.regions '[north, south]'
    cloudo settings set bank.password --secret
    """
    parsed = _given(name, value, secret=bool(secret))
    saved = target.connect().save_setting(name, parsed, secret=secret)
    text = f"{display.clean(saved.name)} is {display.value(saved.value)} now."
    display.print_record(saved, text, as_json=as_json)


@settings.command()
@click.argument("name")
@pass_target
def delete(target: Target, name: str) -> None:
    """Delete the saved value. A setting that Cloudo reads gets its default again."""
    target.connect().delete_setting(name)
    click.echo(f"{display.clean(name)} is no longer saved.")


@settings.command()
@click.argument("name")
@json_option("the events")
@pass_target
def history(target: Target, name: str, *, as_json: bool) -> None:
    """List the changes of a setting: when, by which user, from which value to which."""
    found = list(_events(target.connect(), name))
    empty = f"{display.clean(name)} has not been changed yet."
    print_list(found, ("TIME", "BY", "BEFORE", "AFTER"), _change, empty=empty, as_json=as_json)


def _given(name: str, value: str | None, *, secret: bool) -> Any:
    """Return the given value, or prompt for a secret. Raises `click.UsageError`."""
    if value is None:
        if not secret:
            raise click.UsageError("Missing argument 'VALUE'.")
        if sys.stdin.isatty():
            return click.prompt(display.clean(name), hide_input=True, confirmation_prompt=True, err=True)
        return sys.stdin.read().removesuffix("\n")
    if secret and value != "-":
        raise click.UsageError(
            "Everyone on this machine can see the arguments of a command, so a secret cannot be one. "
            "Leave VALUE out to be prompted for it, or send it to standard input."
        )
    try:
        return document(sys.stdin.read()) if value == "-" else values.input_value(value, {})
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="VALUE") from error


def _all(api: Api) -> Iterator[Setting]:
    """Yield the saved and the documented settings, sorted by name."""
    from cloudo_kernel.errors import SettingNotFound
    from cloudo_kernel.settings import DOCUMENTED

    saved = {setting.name: setting for setting in api.settings()}
    for name in sorted(saved.keys() | DOCUMENTED.keys()):
        try:
            yield saved.get(name) or api.setting(name)
        except SettingNotFound:  # a server of another version does not have it
            continue


def _events(api: Api, name: str) -> Iterator[Event]:
    from cloudo_kernel.models.event_types import SETTING, SETTING_DELETED, SETTING_SAVED

    changes = (SETTING_SAVED, SETTING_DELETED)
    position = 0
    while page := api.events(after=position, subject_id=name, limit=_PAGE):
        yield from (event for event in page.items if event.subject_type == SETTING and event.type in changes)
        if not page.items:
            return
        position = int(page.next or position)


def _row(setting: Setting) -> tuple[str, ...]:
    saved = "default" if setting.modified_at is None else display.ago(setting.modified_at)
    by = "" if setting.modified_by is None else display.value(setting.modified_by, limit=30)
    locked = "" if setting.locked_by is None else display.short_id(setting.locked_by)
    value = "" if setting.modified_at is None and setting.locked_by else _shown(setting.value, 200)
    return display.clean(setting.name), saved, by, locked, value


def _change(event: Event) -> tuple[str, ...]:
    before, after = (_told(event, which) for which in ("before", "after"))
    return display.local_time(event.time), display.value(event.user_name or "", limit=30), before, after


def _told(event: Event, which: str) -> str:
    if which not in event.data:
        return "-"
    return _shown(event.data[which], 100)


def _shown(value: Any, limit: int) -> str:
    return display.shortened(display.clean(_as_json(value)), limit)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
