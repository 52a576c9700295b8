"""`cloudo token` and `cloudo tokens`: create, list and revoke API tokens for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.listing import find_id, print_list
from cloudo_kernel.cli.target import Target, json_option, pass_target, target_options

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.models import CreatedToken, Token


_user_option = click.option(
    "--user",
    "user_name",
    metavar="NAME",
    help="Tokens of another user, * for all users. Only for administrators.",
)


@click.group()
@target_options
def token() -> None:
    """Create, list and revoke API tokens.

    A program with a token acts as you, within the limits of the token.

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
    help="An allowed action; may be repeated. read, execution:start, execution:write, script:run, flow:write, "
    "schedule:write, message:write, setting:write, file:write, webhook:write, token:write, or * for everything.",
)
@click.option(
    "--flow",
    "flows",
    multiple=True,
    metavar="PATTERN",
    help="Limit it to flows with these names, such as 'etl/*'; may be repeated. Quote it: the shell expands *.",
)
@click.option("--expires", metavar="DURATION", help="Time until it expires: 30d, 12h. Default: never.")
@json_option("the token with its secret")
@pass_target
def create(
    target: Target, name: str, *, actions: Sequence[str], flows: Sequence[str], expires: str | None, as_json: bool
) -> None:
    """Create a token and print it. It is shown only once.

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
    display.print_record(made, _usage(made), as_json=as_json)


@token.command()
@click.argument("token_id", metavar="ID")
@_user_option
@pass_target
def revoke(target: Target, token_id: str, *, user_name: str | None) -> None:
    """Revoke a token at once, with all tokens that were created with it.

    ID is what `cloudo tokens` prints. The beginning or the end of an id is enough if no other id has it.
    """
    api = target.connect()
    found = _find(api, token_id, user_name)
    api.revoke_token(found.id)
    click.echo(f"{display.clean(found.name)} ({found.prefix}…) is revoked.")


@click.command()
@_user_option
@json_option("the tokens")
@pass_target
def tokens(target: Target, *, user_name: str | None, as_json: bool) -> None:
    """List your API tokens, newest first, without their secrets.

    `cloudo token create` creates one, `cloudo token revoke` revokes one.

    \b
    cloudo tokens
    cloudo tokens --json
    cloudo tokens --user grace
    """
    found = target.connect().tokens(user_name=user_name)
    heads = ("ID", "NAME", "BEGINS", "USED", "EXPIRES", "FLOWS", "MAY")
    empty = "No tokens yet. `cloudo token create --help` tells how to create one."
    print_list(found, heads, _row, empty=empty, as_json=as_json)


token.add_command(tokens, "list")


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
            f"The token {display.clean(made.name)!r} is shown only this once. {end}",
            f"It acts as {display.clean(made.user_name)}: keep it like a password.",
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
