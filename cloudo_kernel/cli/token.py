"""`cloudo token` and `cloudo tokens`: create, list and revoke API tokens for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.ids import find_id
from cloudo_kernel.cli.target import Target, json_option, target_options

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.models import CreatedToken, Token


_user_option = click.option(
    "--user",
    "user_name",
    metavar="NAME",
    help="Those of somebody else, * for all; for administrators.",
)


@click.group()
@target_options
def token() -> None:
    """Make, list and revoke API tokens.

    A program with a token acts as you, within the limits that you give it.

    \b
    cloudo token create ci --action execution:start --action read --flow 'etl/*' --expires 30d
    cloudo token list
    cloudo token revoke 5c1f09ab
    """


@token.command()
@click.argument("name")
@click.option(
    "--action",
    "actions",
    multiple=True,
    required=True,
    metavar="ACTION",
    help="What it may; may be repeated. read, execution:start, execution:write, script:run, flow:write, "
    "schedule:write, message:write, setting:write, file:write, webhook:write, token:write, or * for everything.",
)
@click.option(
    "--flow",
    "flows",
    multiple=True,
    metavar="PATTERN",
    help="Limit it to flows of such names, `etl/*`; may be repeated. In quotes, or the shell replaces the *.",
)
@click.option("--expires", metavar="DURATION", help="When it ends by itself: 30d, 12h. Without it, it does not.")
@json_option("the token with its secret")
@target_options
@click.pass_obj
def create(
    target: Target, name: str, *, actions: Sequence[str], flows: Sequence[str], expires: str | None, as_json: bool
) -> None:
    """Make a token and print it, this one time.

    \b
    cloudo token create ci --action execution:start --flow 'etl/*' --expires 30d
    export CLOUDO_TOKEN=$(cloudo token create nightly --action read --json | jq -r .secret)
    """
    from pydantic import ValidationError

    from cloudo_kernel.models import CreateToken, Fault
    from cloudo_kernel.scheduling.humanize import seconds

    lifetime = None if expires is None else seconds(expires, field="--expires")
    given = {"name": name, "actions": actions, "flows": flows or None, "expires_in_seconds": lifetime}
    try:
        request = CreateToken.model_validate(given)
    except ValidationError as error:
        fault, refused = Fault.of(error), error.errors(include_url=False)[0]["input"]
        raise click.BadParameter(f"{refused!r}: {fault.problem}.", param_hint=_option(fault.path[0])) from error
    made = target.connect().create_token(request)
    if as_json:
        display.print_json(made)
    else:
        click.echo(_usage(made))


@token.command(name="list")
@_user_option
@json_option("the tokens")
@target_options
@click.pass_obj
def list_tokens(target: Target, *, user_name: str | None, as_json: bool) -> None:
    """List your tokens, newest first; none shows its secret."""
    _print(target, user_name, as_json=as_json)


@token.command()
@click.argument("token_id", metavar="ID")
@_user_option
@target_options
@click.pass_obj
def revoke(target: Target, token_id: str, *, user_name: str | None) -> None:
    """Revoke a token, and those that were made with it, at once.

    ID is what `cloudo tokens` prints; the beginning or the end of any id will do, if no other has it.
    """
    api = target.connect()
    found = _find(api, token_id, user_name)
    api.revoke_token(found.id)
    click.echo(f"{display.clean(found.name)} ({found.prefix}…) opens nothing any more.")


@click.command()
@_user_option
@json_option("the tokens")
@target_options
@click.pass_obj
def tokens(target: Target, *, user_name: str | None, as_json: bool) -> None:
    """List your API tokens, newest first.

    `cloudo token create` makes one, `cloudo token revoke` ends one.

    \b
    cloudo tokens
    cloudo tokens --json
    cloudo tokens --user grace
    """
    _print(target, user_name, as_json=as_json)


def _print(target: Target, user_name: str | None, *, as_json: bool) -> None:
    found = target.connect().tokens(user_name=user_name)
    if as_json:
        display.print_json(found)
    elif found:
        heads = ("ID", "NAME", "BEGINS", "USED", "EXPIRES", "FLOWS", "MAY")
        click.echo(display.table(heads, [_row(one) for one in found]))
    else:
        click.echo("No tokens yet. `cloudo token create --help` tells how to make one.")


def _row(one: Token) -> tuple[str, ...]:
    return (
        display.short_id(one.id),
        display.shortened(display.clean(one.name), 40),
        f"{one.prefix}…",
        "never" if one.last_used_at is None else display.ago(one.last_used_at),
        _end(one),
        "all" if one.flows is None else display.shortened(display.clean(" ".join(one.flows)), 60),
        display.clean(" ".join(one.actions)),
    )


def _end(one: Token) -> str:
    if one.expires_at is None:
        return "never"
    return "expired" if one.expires_at <= datetime.now(UTC) else display.ago(one.expires_at)


def _usage(made: CreatedToken) -> str:
    """Return the token with instructions."""
    end = "It does not expire." if made.expires_at is None else f"It expires {display.local_time(made.expires_at)}."
    return "\n".join(
        (
            made.secret,
            "",
            f"This is the only time that the token {display.clean(made.name)!r} is shown. {end}",
            f"It acts as {display.clean(made.user_name)}: keep it as you keep a password.",
            "",
            "  export CLOUDO_URL=…  CLOUDO_TOKEN=…       for `cloudo` and programs",
            '  curl -H "Authorization: token …"          for everything else',
            "",
            f"To revoke it: cloudo token revoke {display.short_id(made.id)}",
        )
    )


def _option(field: int | str) -> str:
    names = {"actions": "--action", "flows": "--flow", "expires_in_seconds": "--expires"}
    return names.get(str(field), "NAME")


def _find(api: Api, text: str, user_name: str | None) -> Token:
    from cloudo_kernel.errors import TokenNotFound

    tokens = {one.id: one for one in api.tokens(user_name=user_name)}
    found = find_id(text, lambda: [(one.id, display.clean(one.name)) for one in tokens.values()], TokenNotFound)
    if found not in tokens:
        raise TokenNotFound(text)
    return tokens[found]
