"""The options of `cloudo schedule` and `cloudo schedules edit`, and the confirmation of unusual times."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.run import given_inputs, param_option

if TYPE_CHECKING:
    from pydantic import BaseModel

    from cloudo_kernel.api import Api
    from cloudo_kernel.models import SchedulePreview, ScheduleTrigger

#: The value that removes an earlier option.
_NONE = "none"
_OCCASIONS = {
    "on_success": "a success",
    "on_error": "a failure",
    "on_recovery": "the first success after a failure",
}
Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Request = TypeVar("Request", bound="BaseModel")


class TimedCommand(click.Command):
    """A command with the options of all kinds of triggers. Their values are in the context's `params`.

    They are added when the command is used, as the kinds import pydantic: `cloudo --help` does not wait for it.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters and those of the trigger. click calls it."""
        return [*_kind_options(), *super().get_params(ctx)]


@cache
def _kind_options() -> tuple[click.Option, ...]:
    from cloudo_kernel.scheduling.triggers import KINDS

    options = (option for kind in KINDS for option in kind.options)
    return tuple(click.Option(one.names, metavar=one.metavar, default=None, help=one.help) for one in options)


#: Adds one option to a command.
_Option = Callable[[Any], Any]
_TIMING: tuple[_Option, ...] = (
    click.option(
        "--timezone",
        metavar="ZONE",
        help="Zone of these times, such as Europe/Vienna; default: yours, or the server's.",
    ),
    click.option(
        "--max-iterations", type=click.IntRange(min=1), metavar="N", help="Maximum number of runs; default: no limit."
    ),
    click.option("--yes", is_flag=True, help="Do not ask for confirmation of anything unusual, such as a past time."),
)
_INPUTS: tuple[_Option, ...] = (
    param_option,
    click.option(
        "-i",
        "--inputs",
        "files",
        multiple=True,
        type=click.File(encoding="utf-8"),
        metavar="FILE",
        help="A JSON object of inputs, - for standard input; may be repeated. -p takes precedence.",
    ),
)
_RULES: tuple[_Option, ...] = (
    click.option("--name", help="Name of the schedule; default: the flow's name."),
    click.option(
        "--overlap",
        type=click.Choice(("skip", "queue", "cancel", "allow")),
        help="If an earlier run has not ended; default: skip.",
    ),
    click.option(
        "--catch-up",
        type=click.Choice(("last", "none", "all")),
        help="Missed runs: run the latest (default), none, or all.",
    ),
    click.option(
        "--catch-up-window", metavar="DURATION", help="Maximum age of missed runs to catch up; default: none, no limit."
    ),
    click.option("--jitter", metavar="DURATION", help="Delay each run by up to this much."),
    click.option(
        "--pause-after",
        type=click.IntRange(min=0),
        metavar="N",
        help="Pause after N failures in a row; default: 0, never.",
    ),
    click.option("--until", metavar="TIME", help="No runs after this time, written as for --at; none for no end."),
    click.option(
        "--pin/--no-pin",
        "pin_source",
        default=None,
        help="Run the flow as it is now, even if its file changes; default: as it is at each run.",
    ),
)
_FOLLOW_UPS: tuple[_Option, ...] = tuple(
    click.option(
        f"--{name.replace('_', '-')}", name, multiple=True, metavar="FLOW|URL|JSON", help=f"Run or call after {end}."
    )
    for name, end in _OCCASIONS.items()
)


def schedule_options(command: Decorated) -> Decorated:
    """Add the options of a schedule that are the same for all kinds of triggers. The command is a `TimedCommand`."""
    for option in reversed((*_TIMING, *_INPUTS, *_RULES, *_FOLLOW_UPS)):
        command = option(command)
    return command


def is_given(words: dict[str, Any]) -> bool:
    """Tell whether the options change the trigger. --max-iterations alone does not."""
    from cloudo_kernel.scheduling.triggers import WORDS

    return any(words[word] is not None for word in WORDS)


def trigger_of(api: Api, words: dict[str, Any]) -> ScheduleTrigger:
    """Return the trigger for the options of a `TimedCommand`. Raises `click.UsageError`."""
    from cloudo_kernel.models import ScheduleTrigger
    from cloudo_kernel.scheduling.triggers import KINDS, WORDS

    given = [kind for kind in KINDS if words[kind.word] is not None]
    flags = {kind: kind.options[0].names[0] for kind in KINDS}
    if len(given) != 1:
        both = f", not {' and '.join(flags[kind] for kind in given)}" if given else ""
        raise click.UsageError(f"Give one of {', '.join(flags.values())}{both}.")

    def moment(text: str) -> datetime:
        return moment_of(api, text, words["timezone"])

    fields = {word: words[word] for word in (*WORDS, "max_iterations") if words[word] is not None}
    kind = given[0]
    fields[kind.word] = read_option(flags[kind], words[kind.word], partial(kind.read, moment=moment))
    if "start" in fields:
        fields["start"] = read_option("--start", words["start"], moment)
    return request_of(ScheduleTrigger, fields)


def request_of(kind: type[Request], fields: dict[str, Any]) -> Request:
    """Return a request with these fields. Raises `click.UsageError`."""
    from pydantic import ValidationError

    from cloudo_kernel.models import malformed

    try:
        return kind(**fields)
    except ValidationError as error:
        raise click.UsageError(str(malformed(error))) from error
    except ValueError as error:
        message = str(error)
        raise click.UsageError(f"{message[:1].upper()}{message[1:]}.") from error


def is_confirmed(preview: SchedulePreview, trigger: ScheduleTrigger, *, yes: bool) -> bool:
    """Print notes about unusual times, and ask for confirmation. Raises `click.ClickException` without a terminal."""
    if yes or not preview.notes:
        return True
    click.echo("\n".join([*map(display.clean, preview.notes), coming(preview, trigger)]), err=True)
    if not sys.stdin.isatty():
        raise click.ClickException("Nothing was saved. Confirm with --yes.")
    return click.confirm("Save it?", default=True, err=True)


def coming(preview: SchedulePreview, trigger: ScheduleTrigger) -> str:
    """Return the next times in words: `next: Tue 24 Nov 08:30 … (Europe/Vienna)`."""
    return trigger.rule.coming([time.utc for time in preview.times], preview.timezone, now=datetime.now(UTC))


def moment_of(api: Api, text: str, timezone: str | None) -> datetime:
    """Parse a moment. An ISO date and time without an offset stays local, for the service to resolve."""
    from cloudo_kernel.models import PreviewSchedule, ScheduleTrigger
    from cloudo_kernel.scheduling import humanize, zones

    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        if timezone is None:
            request = PreviewSchedule(trigger=ScheduleTrigger(delay_seconds=0))
            timezone = api.preview_schedule(request).timezone
        return humanize.moment(text, zones.zone(timezone), now=datetime.now(UTC))


def read_option(flag: str, text: str, read: Callable[[str], Any]) -> Any:
    """Parse an option's text with `read`. Raises `click.BadParameter`, naming the option."""
    from cloudo_kernel.errors import MalformedRequest

    try:
        return read(text)
    except MalformedRequest as error:
        hint = "--timezone" if error.field == "timezone" else flag
        raise click.BadParameter(str(error), param_hint=hint) from error


def schedule_fields(api: Api, flow_name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the request's fields for the options that are given, without the trigger."""
    from cloudo_kernel.scheduling import humanize

    words: Sequence[str] = given["words"]
    files: Sequence[IO[str]] = given["files"]
    names = ("name", "overlap", "catch_up", "pin_source")
    fields = {name: given[name] for name in names if given[name] is not None}
    readers: dict[str, tuple[str, Callable[[str], Any]]] = {
        "until": ("end_at", lambda text: moment_of(api, text, given["timezone"])),
        "catch_up_window": ("catch_up_window_seconds", humanize.seconds),
        "jitter": ("jitter_seconds", humanize.seconds),
    }
    for name, (field, read) in readers.items():
        if given[name] is not None:
            flag = f"--{name.replace('_', '-')}"
            fields[field] = None if given[name] == _NONE else read_option(flag, given[name], read)
    if given["pause_after"] is not None:
        fields["pause_on_error_count"] = given["pause_after"] or None
    for name in _OCCASIONS:
        if given[name]:
            fields[name] = _following(name, given[name])
    if words or files:
        fields["inputs"] = given_inputs(api, flow_name, words, files)
    return fields


def _following(name: str, lines: Sequence[str]) -> Any:
    from cloudo_kernel.models import follow_ups

    try:
        return follow_ups.parse_lines(lines)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=f"--{name.replace('_', '-')}") from error
