"""`cloudo messages|answer`: list the messages of flows, and answer their questions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.ids import find_id
from cloudo_kernel.cli.target import Target, json_option, target_options

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.models import JsonObject, Message

_STATES = click.Choice(("info", "open", "answered", "expired", "withdrawn"))
_COLOURS = {"open": "cyan", "answered": "green", "expired": "yellow", "withdrawn": "yellow"}


@click.command()
@click.option("-u", "--unanswered", is_flag=True, help="Only those that wait for an answer.")
@click.option("--state", "states", multiple=True, type=_STATES, help="Only those in this state; may be repeated.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So many at most.")
@json_option("the messages")
@target_options
@click.pass_obj
def messages(target: Target, *, unanswered: bool, states: Sequence[str], limit: int, as_json: bool) -> None:
    """List what flows told and asked, newest first.

    A message that is open waits for an answer: `cloudo answer` gives it.

    \b
    cloudo messages
    cloudo messages --unanswered
    cloudo messages --state answered --state expired
    cloudo messages --json | jq '.[] | select(.state == "OPEN") | .id'
    """
    found, is_all = _newest(target.connect(), limit, unanswered=unanswered, states=states)
    if as_json:
        display.print_json(found)
    elif found:
        heads = ("ID", "STATE", "CREATED", "EXECUTION", "SUBJECT")
        click.echo(display.table(heads, [_row(message) for message in found]))
        if not is_all and sys.stdout.isatty():
            click.echo(f"There are more; -n {2 * limit} shows more of them.", err=True)
    elif states:
        click.echo(f"No message is {' or '.join(states)}.")
    elif unanswered:
        click.echo("No message waits for an answer.")
    else:
        click.echo("No messages yet. A flow makes one with system.message(subject).")


@click.command()
@click.argument("message_id", metavar="MESSAGE")
@click.option(
    "-p",
    "--param",
    "words",
    multiple=True,
    metavar="KEY=VALUE",
    help="An answer, without being asked; may be repeated.",
)
@json_option("the answered message")
@target_options
@click.pass_obj
def answer(target: Target, message_id: str, *, words: Sequence[str], as_json: bool) -> None:
    """Answer what a flow asks, field by field.

    It shows what is asked, with choices and defaults, says at once what does not fit, and asks again. Enter takes the
    default, or leaves out what is optional. Passwords are not shown while they are typed. MESSAGE is what `cloudo
    messages` prints; the beginning or the end of any id will do, if no other has it.

    \b
    cloudo answer 5c1f09ab
    cloudo answer 5c1f09ab -p region=north -p top=5
    cloudo answer 5c1f09ab -p cancel=true              press the button `cancel`
    cloudo answer 5c1f09ab -p 'regions=north, south'   several of the choices
    cloudo answer 5c1f09ab -p report=./report.csv      a file

    With -p nothing is asked: what is not given has its default. Keep passwords out of -p, as others on this machine
    can see the arguments of a command. The first answer counts; the exit code is 1 if the message takes none (any
    more), or if the answer does not fit.
    """
    from cloudo_kernel.cli import questions
    from cloudo_kernel.forms.form import Form

    api = target.connect()
    message = api.message(_find(api, message_id))
    if message.body is None or not message.is_open:
        api.answer_message(message.id, {})  # raises, and says why
        return
    form = Form(message.body)
    if words:
        try:
            given = questions.answers_of(words, form)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="-p") from error
    else:
        click.echo(_head(api, message), err=as_json)
        given = questions.ask(form, preview=lambda request: _coming(api, request), is_error=as_json)
    answered = api.answer_message(message.id, given)
    if as_json:
        display.print_json(answered)
    else:
        click.echo(f"{display.short_id(answered.id)}  {display.value(answered.subject)}: answered")


def _coming(api: Api, request: JsonObject) -> str:
    """Return a schedule's next times with notes about unusual ones, or the error."""
    from cloudo_kernel.cli import schedule_options
    from cloudo_kernel.errors import CloudoError
    from cloudo_kernel.models import PreviewSchedule

    try:
        wanted = schedule_options.request_of(PreviewSchedule, request)
        found = api.preview_schedule(wanted)
    except (CloudoError, click.UsageError) as error:
        return display.clean(str(error))
    return "\n".join([*map(display.clean, found.notes), schedule_options.coming(found, wanted.trigger)])


def _head(api: Api, message: Message) -> str:
    """Return the subject of a message, its execution, and its expiry."""
    from cloudo_kernel.errors import ExecutionNotFound

    by = ""
    if message.execution_id is not None:
        try:
            name = display.clean(api.execution(message.execution_id).name)
        except ExecutionNotFound:
            name = "a deleted execution"
        by = f", by {name} ({display.short_id(message.execution_id)})"
    until = "" if message.expires_at is None else f", until {display.local_time(message.expires_at)}"
    subject = click.style(display.value(message.subject, limit=500), bold=True)
    return f"{subject}\nAsked {display.ago(message.created_at)}{by}{until}."


def _find(api: Api, text: str) -> str:
    from cloudo_kernel.errors import MessageNotFound

    def listed() -> list[tuple[str, str]]:
        return [(one.id, display.value(one.subject, limit=60)) for one in _newest(api, sys.maxsize)[0]]

    return find_id(text, listed, MessageNotFound)


def _newest(
    api: Api, limit: int, *, unanswered: bool = False, states: Sequence[str] = ()
) -> tuple[list[Message], bool]:
    from cloudo_kernel.api import PAGE_LIMIT
    from cloudo_kernel.models import MessageState

    wanted = [MessageState(state.upper()) for state in states]
    found: list[Message] = []
    cursor = None
    while len(found) < limit:
        size = min(PAGE_LIMIT, limit - len(found))
        page = api.messages(unanswered=unanswered, states=wanted, limit=size, cursor=cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            break
    return found, cursor is None


def _row(message: Message) -> tuple[str, ...]:
    state = message.state.lower()
    return (
        display.short_id(message.id),
        click.style(state, fg=_COLOURS.get(state)),
        display.ago(message.created_at),
        display.short_id(message.execution_id or ""),
        display.value(message.subject),
    )
