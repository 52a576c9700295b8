"""`cloudo messages|answer`: list the messages of flows, and answer their questions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.listing import find_id, limit_option, newest, print_list
from cloudo_kernel.cli.target import Target, json_option, pass_target

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.models import JsonObject, Message

_STATES = click.Choice(("info", "open", "answered", "expired", "withdrawn"))
_COLOURS = {"open": "cyan", "answered": "green", "expired": "yellow", "withdrawn": "yellow"}


@click.command()
@click.option("-u", "--unanswered", is_flag=True, help="Only those that wait for an answer.")
@click.option("--state", "states", multiple=True, type=_STATES, help="Only those in this state; may be repeated.")
@limit_option(20)
@json_option("the messages")
@pass_target
def messages(target: Target, *, unanswered: bool, states: Sequence[str], limit: int, as_json: bool) -> None:
    """List the messages of flows, newest first.

    An open message waits for an answer: `cloudo answer` gives it.

    \b
    cloudo messages
    cloudo messages --unanswered
    cloudo messages --state answered --state expired
    cloudo messages --json | jq '.[] | select(.state == "OPEN") | .id'
    """
    from cloudo_kernel.models import MessageState

    wanted = [MessageState(state.upper()) for state in states]
    found, is_all = newest(partial(target.connect().messages, unanswered=unanswered, states=wanted), limit)
    if states:
        empty = f"No message is {' or '.join(states)}."
    elif unanswered:
        empty = "No message waits for an answer."
    else:
        empty = "No messages yet. A flow sends one with system.message(subject)."
    heads = ("ID", "STATE", "CREATED", "EXECUTION", "SUBJECT")
    print_list(found, heads, _row, empty=empty, as_json=as_json, limit=None if is_all else limit)


@click.command()
@click.argument("message_id", metavar="MESSAGE")
@click.option(
    "-p",
    "--param",
    "words",
    multiple=True,
    metavar="KEY=VALUE",
    help="The value of a field, without a prompt; may be repeated.",
)
@json_option("the answered message")
@pass_target
def answer(target: Target, message_id: str, *, words: Sequence[str], as_json: bool) -> None:
    """Answer the question of a flow, field by field.

    The command prompts for each field with its choices and its default, and again after an invalid value. Enter takes
    the default, or skips an optional field. Passwords are hidden. MESSAGE is the ID that `cloudo messages` prints. The
    beginning or the end of an id is enough if no other id has it.

    \b
    cloudo answer 5c1f09ab
    cloudo answer 5c1f09ab -p region=north -p top=5
    cloudo answer 5c1f09ab -p cancel=true              press the button `cancel`
    cloudo answer 5c1f09ab -p 'regions=north, south'   several of the choices
    cloudo answer 5c1f09ab -p report=./report.csv      a file
    cloudo answer 5c1f09ab -p delay=10m                a duration
    cloudo answer 5c1f09ab -p 'inputs={region: north}'   the inputs of a flow

    With -p there are no prompts, and other fields get their defaults. Do not pass passwords with -p: other users of
    this machine can see the arguments of a command. The first answer counts. The exit code is 1 if the message
    accepts no answer, or if the answer is invalid.
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
        given = questions.ask(form, preview=lambda request: _coming(api, request), flow=api.flow, is_error=as_json)
    answered = api.answer_message(message.id, given)
    text = f"{display.short_id(answered.id)}  {display.value(answered.subject)}: answered"
    display.print_record(answered, text, as_json=as_json)


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
        return [(one.id, display.value(one.subject, limit=60)) for one in newest(api.messages)[0]]

    return find_id(text, listed, MessageNotFound)


def _row(message: Message) -> tuple[str, ...]:
    state = message.state.lower()
    return (
        display.short_id(message.id),
        click.style(state, fg=_COLOURS.get(state)),
        display.ago(message.created_at),
        display.short_id(message.execution_id or ""),
        display.value(message.subject),
    )
