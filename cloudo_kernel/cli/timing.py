"""The options for the trigger of a schedule, and the confirmation of unusual times."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cloudo_kernel.cli import display

if TYPE_CHECKING:
    from pydantic import BaseModel

    from cloudo_kernel.api import Api
    from cloudo_kernel.models import SchedulePreview, ScheduleTrigger

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Request = TypeVar("Request", bound="BaseModel")

#: The option for each kind of trigger. Exactly one of them is required.
KINDS = {"at": "--at", "delay": "--in", "every": "--every", "daily": "--daily", "cron": "--cron"}
#: The options for an interval. The last one is also for daily and cron.
_MORE = {"wait": "--wait/--grid", "start": "--start", "max_iterations": "--max-iterations"}


def timing_options(command: Decorated) -> Decorated:
    """Add the options for the trigger."""
    options = (
        click.option("--at", metavar="TIME", help="Once: '2026-11-24 08:30', 08:30, 'tomorrow 08:30', 'fri 18:00'."),
        click.option("--in", "delay", metavar="DURATION", help="Once, after 90 (seconds), 10m, 1h30m, 2d."),
        click.option("--every", metavar="DURATION", help="Again and again, the first time at once or at --start."),
        click.option("--daily", metavar="HH:MM", help="Every day at this time."),
        click.option("--cron", metavar="FIELDS", help="By cron: '0 9 * * 1-5', @hourly."),
        click.option(
            "--timezone", metavar="ZONE", help="Of these times: Europe/Vienna; default: yours, or the server's."
        ),
        click.option(
            "--wait/--grid",
            default=None,
            help="--every counts from the end of each run (the default), or along a grid that does not drift.",
        ),
        click.option("--start", metavar="TIME", help="The first run of --every, as for --at."),
        click.option("--max-iterations", type=click.IntRange(min=1), metavar="N", help="So many times at most."),
        click.option("--yes", is_flag=True, help="Do not ask about what is unusual, such as a time in the past."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def is_given(words: dict[str, Any]) -> bool:
    """Tell whether the options change the trigger. --max-iterations alone does not."""
    return any(words[name] is not None for name in (*KINDS, *_MORE) if name != "max_iterations")


def trigger_of(api: Api, words: dict[str, Any]) -> ScheduleTrigger:
    """Return the trigger for the options of `timing_options`. Raises `click.UsageError`."""
    from cloudo_kernel.models import ScheduleTrigger
    from cloudo_kernel.scheduling import humanize

    kinds = [name for name in KINDS if words[name] is not None]
    if len(kinds) != 1:
        both = f", not {' and '.join(KINDS[name] for name in kinds)}" if kinds else ""
        raise click.UsageError(f"Say when: give one of {', '.join(KINDS.values())}{both}.")
    readers: dict[str, tuple[str, Callable[[str], Any]]] = {
        "at": ("at", lambda text: moment_of(api, text, words["timezone"])),
        "delay": ("delay_seconds", humanize.seconds),
        "every": ("every_seconds", humanize.seconds),
        "daily": ("daily_at", humanize.time_of_day),
        "cron": ("cron", str),
        "start": ("start", lambda text: moment_of(api, text, words["timezone"])),
    }
    fields = {name: words[name] for name in ("wait", "max_iterations") if words[name] is not None}
    for name, (field, read) in readers.items():
        if words[name] is not None:
            fields[field] = read_option(name, words[name], read)
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
        said = str(error)
        raise click.UsageError(f"{said[:1].upper()}{said[1:]}.") from error


def is_meant(preview: SchedulePreview, trigger: ScheduleTrigger, *, yes: bool) -> bool:
    """Print notes about unusual times, and ask for confirmation. Raises `click.ClickException` without a terminal."""
    if yes or not preview.notes:
        return True
    click.echo("\n".join([*map(display.clean, preview.notes), coming(preview, trigger)]), err=True)
    if not sys.stdin.isatty():
        raise click.ClickException("Nothing was saved. Give --yes if that is meant.")
    return click.confirm("Is that meant?", default=True, err=True)


def coming(preview: SchedulePreview, trigger: ScheduleTrigger) -> str:
    """Return the next times in words: `next: Tue 24 Nov 08:30 … (Europe/Vienna)`."""
    from cloudo_kernel.scheduling import humanize

    return humanize.coming([time.utc for time in preview.times], trigger, preview.timezone, now=datetime.now(UTC))


def moment_of(api: Api, text: str, timezone: str | None) -> datetime:
    """Parse a moment. An ISO date and time without an offset stays local, for the service to resolve."""
    from cloudo_kernel.models import PreviewSchedule, ScheduleTrigger
    from cloudo_kernel.scheduling import humanize, triggers

    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        if timezone is None:
            request = PreviewSchedule(trigger=ScheduleTrigger(delay_seconds=0))
            timezone = api.preview_schedule(request).timezone
        return humanize.moment(text, triggers.zone(timezone), now=datetime.now(UTC))


def read_option(name: str, text: str, read: Callable[[str], Any]) -> Any:
    """Parse an option's text with `read`. Raises `click.BadParameter`, naming the option."""
    from cloudo_kernel.errors import MalformedRequest

    try:
        return read(text)
    except MalformedRequest as error:
        hint = "--timezone" if error.field == "timezone" else KINDS.get(name, f"--{name.replace('_', '-')}")
        raise click.BadParameter(str(error), param_hint=hint) from error
