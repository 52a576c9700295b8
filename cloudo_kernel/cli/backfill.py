"""`cloudo schedules backfill`: run the past times of a schedule."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from cloudo_kernel.cli import display, schedule_report
from cloudo_kernel.cli.schedule import find_schedule
from cloudo_kernel.cli.schedule_options import request_of
from cloudo_kernel.cli.target import Target, json_option, pass_target

if TYPE_CHECKING:
    from cloudo_kernel.models import Occurrence, Schedule

#: Maximum number of times to show before asking for confirmation.
_SHOWN = 10


def _moment(_context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    """Parse a day, or a day and a time. Without an offset it is local time in the schedule's zone."""
    try:
        return None if text is None else datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is neither a day such as 2026-11-01 nor a time such as '2026-11-01 08:30'.", param=option
        ) from error


@click.command()
@click.argument("schedule_id", metavar="ID")
@click.option("--from", "start", metavar="TIME", required=True, callback=_moment, help="First day or time to run.")
@click.option("--to", "end", metavar="TIME", callback=_moment, help="Day or time to stop before; default: now.")
@click.option("--dry-run", is_flag=True, help="Only list the times.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option("the occurrences")
@pass_target
def backfill(
    target: Target,
    /,
    schedule_id: str,
    *,
    start: datetime,
    end: datetime | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Run the past times of a schedule that started nothing, one after another.

    The command lists them and asks for confirmation. Without a terminal it requires --yes.

    \b
    cloudo schedules backfill 5c1f09ab --from 2026-11-01 --to 2026-11-08
    cloudo schedules backfill 5c1f09ab --from '2026-11-01 08:00' --yes
    """
    from cloudo_kernel.models import Backfill

    api = target.connect(keep_running=not dry_run)
    schedule = api.schedule(find_schedule(api, schedule_id))
    span = request_of(Backfill, {"start": start, "end": datetime.now(UTC) if end is None else end})
    coming = api.backfill_schedule(schedule.id, span.model_copy(update={"dry_run": True}))
    if dry_run and as_json:
        display.print_json(coming)
        return 0
    if not coming or dry_run or not yes:
        click.echo(_said(schedule, coming), err=as_json)
    if not coming or dry_run:
        return 0
    if not yes and not _is_sure():
        click.echo("Nothing was started.", err=True)
        return 1
    _tell(schedule, api.backfill_schedule(schedule.id, span), as_json=as_json)
    return 0


def _tell(schedule: Schedule, started: Sequence[Occurrence], *, as_json: bool) -> None:
    if as_json:
        display.print_json(started)
        return
    runs = "1 run was" if len(started) == 1 else f"{len(started)} runs were"
    follow = f"Follow them with `cloudo schedules history {display.short_id(schedule.id)}`."
    click.echo(f"{runs} created, to run one after another. {follow}")


def _is_sure() -> bool:
    if not sys.stdin.isatty():
        raise click.ClickException("Nothing was started. Confirm with --yes.")
    return click.confirm("Run them?", default=True, err=True)


def _said(schedule: Schedule, coming: Sequence[Occurrence]) -> str:
    """Return the number of times, and up to `_SHOWN` lines of them in the schedule's zone."""
    from cloudo_kernel.scheduling import humanize, zones

    if not coming:
        return "There are no times to run: each has started something already."
    zone, now = zones.zone(schedule.timezone), datetime.now(UTC)
    said = [humanize.spoken(one.due, zone, now=now) for one in coming]
    if len(said) > _SHOWN:
        said = [*said[: _SHOWN - 2], f"… {len(said) - _SHOWN + 1} more …", said[-1]]
    number = "1 time" if len(coming) == 1 else f"{len(coming)} times"
    return "\n".join(
        [f"{schedule_report.named(schedule)}", f"{number} ({schedule.timezone}):", *map("  {}".format, said)]
    )
