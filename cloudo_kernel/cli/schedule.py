"""`cloudo schedule|schedules`: create schedules, look at them, change them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cloudo_kernel.cli import display, schedule_report
from cloudo_kernel.cli.listing import find_id, newest, print_list
from cloudo_kernel.cli.schedule_options import (
    TimedCommand,
    coming,
    is_confirmed,
    is_given,
    request_of,
    schedule_fields,
    schedule_options,
    trigger_of,
)
from cloudo_kernel.cli.target import Target, json_option, pass_target, target_options

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.models import Schedule

_ids_argument = click.argument("schedule_ids", metavar="ID...", nargs=-1, required=True)


@click.command(cls=TimedCommand)
@click.argument("flow_name", metavar="FLOW")
@schedule_options
@json_option("the schedule")
@pass_target
def schedule(target: Target, /, flow_name: str, *, yes: bool, as_json: bool, **given: Any) -> int:
    """Start a flow later, or repeatedly.

    \b
    cloudo schedule examples/sales_report --daily 08:30 --timezone Europe/Vienna
    cloudo schedule examples/sales_report --in 1h30m -p region=south
    cloudo schedule nightly --at 'tomorrow 02:00'
    cloudo schedule watch --every 10m --max-iterations 6      10 minutes after the end of each run
    cloudo schedule watch --every 10m --grid                  at :00, :10, :20 … after a start at :00
    cloudo schedule invoices --monthly 'last 18:00'            or '31 18:00', 'first monday 18:00'
    cloudo schedule report --cron '0 9 * * mon-fri' --overlap queue
    cloudo schedule poll --cron '*/5 * * * *' --jitter 30s --pause-after 3
    cloudo schedule nightly --daily 02:00 --on-error 'Notify by email' --on-error https://hooks.example.com/cloudo
    cloudo schedule nightly --daily 02:00 --on-error '{"flow": "tell", "inputs": {"channel": "alerts"}}'

    --on-success, --on-error and --on-recovery take the name of a flow, an address or a JSON object, and may be
    repeated. They replace the follow-ups that the flow defines: '[]' means none, and null those of the flow.

    The command prints the next times. It asks for confirmation of anything unusual: a time in the past, a local time
    that occurs twice or not at all, an interval below one second. Without a terminal it requires --yes for them.
    `cloudo schedules` lists and changes schedules.
    """
    from cloudo_kernel.models import CreateSchedule, PreviewSchedule

    api = target.connect()
    trigger = trigger_of(api, given)
    zone = {} if given["timezone"] is None else {"timezone": given["timezone"]}
    preview = api.preview_schedule(PreviewSchedule(trigger=trigger, **zone))
    fields = {"flow_name": flow_name, "trigger": trigger, **zone, **schedule_fields(api, flow_name, given)}
    request = request_of(CreateSchedule, {**fields, "confirmed": True})
    if not is_confirmed(preview, trigger, yes=yes):
        click.echo("Nothing was saved.", err=True)
        return 1
    made = api.create_schedule(request)
    display.print_record(made, f"{schedule_report.named(made)}\n{coming(preview, trigger)}", as_json=as_json)
    if not api.health().workers:
        click.echo("No worker is running. Start one with `cloudo up` or `cloudo worker`.", err=True)
    return 0


@click.group(invoke_without_command=True)
@click.option("--flow", "flow_name", metavar="FLOW", help="Only schedules of this flow.")
@click.option(
    "-q", "--filter", "text", metavar="TEXT", help="Only schedules with TEXT in their name or their flow's name."
)
@click.option("-n", "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Maximum number.")
@json_option("the schedules")
@target_options
@click.pass_context
def schedules(context: click.Context, *, flow_name: str | None, text: str | None, limit: int, as_json: bool) -> None:
    """List the schedules, newest first. Subcommands show, pause, resume, run, edit or delete them.

    NEXT is in this machine's time zone. The beginning or the end of an ID is enough if it is unique.

    \b
    cloudo schedules
    cloudo schedules --flow examples/sales_report
    cloudo schedules show 5c1f09ab                        with the next ten times
    cloudo schedules history 5c1f09ab                     past times and their outcomes
    cloudo schedules edit 5c1f09ab --daily 09:00
    cloudo schedules pause 5c1f09ab
    cloudo schedules run 5c1f09ab                         now, besides its times
    cloudo schedules backfill 5c1f09ab --from 2026-11-01  run past times in order
    cloudo schedules delete 5c1f09ab
    """
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError(f"Put --json after {context.invoked_subcommand}.")
        return
    list_page = partial(context.ensure_object(Target).connect().schedules, flow_name=flow_name, q=text)
    found, is_all = newest(list_page, limit)
    if flow_name is None and text is None:
        empty = "No schedules yet. Create one with `cloudo schedule FLOW --daily 08:30`."
    else:
        empty = "No matching schedules. `cloudo schedules` lists all."
    heads = ("ID", "NAME", "FLOW", "WHEN", "NEXT", "LAST", "STATE")
    print_list(found, heads, schedule_report.row, empty=empty, as_json=as_json)
    if not (is_all or as_json) and sys.stdout.isatty():
        click.echo(f"There are more. Show them with -n {2 * limit}.", err=True)


@schedules.command()
@click.argument("schedule_id", metavar="ID")
@json_option("the schedule")
@pass_target
def show(target: Target, schedule_id: str, *, as_json: bool) -> None:
    """Show a schedule with its next ten times."""
    api = target.connect()
    found = api.schedule(find_schedule(api, schedule_id))
    display.print_record(found, schedule_report.everything(found), as_json=as_json)


@schedules.command()
@click.argument("schedule_id", metavar="ID")
@click.option("-n", "--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="Maximum number.")
@json_option("the occurrences")
@pass_target
def history(target: Target, schedule_id: str, *, limit: int, as_json: bool) -> None:
    """List past times and their outcomes, newest first."""
    api = target.connect()
    found = api.occurrences(find_schedule(api, schedule_id), limit=limit).items
    heads = ("DUE", "OUTCOME", "LATE", "EXECUTION", "REASON")
    print_list(found, heads, schedule_report.past, empty="No past times yet.", as_json=as_json)


@schedules.command()
@_ids_argument
@json_option("the schedules")
@pass_target
def pause(target: Target, schedule_ids: Sequence[str], *, as_json: bool) -> int:
    """Pause schedules until they are resumed. Times that pass meanwhile do not count."""
    api = target.connect()
    return _changed(api, schedule_ids, api.pause_schedule, as_json=as_json)


@schedules.command()
@_ids_argument
@json_option("the schedules")
@pass_target
def resume(target: Target, schedule_ids: Sequence[str], *, as_json: bool) -> int:
    """Resume paused schedules with their next times."""
    api = target.connect()
    return _changed(api, schedule_ids, api.resume_schedule, as_json=as_json)


@schedules.command()
@_ids_argument
@json_option("the executions")
@pass_target
def run(target: Target, schedule_ids: Sequence[str], *, as_json: bool) -> int:
    """Start an extra execution of each now. Its times and its limit do not change."""
    api = target.connect(keep_running=True)
    started, failed = _each(api, schedule_ids, api.trigger_schedule)
    if as_json:
        display.print_json(started)
    else:
        for execution in started:
            click.echo(f"{display.short_id(execution.id)}  {display.clean(execution.name)}: started")
    return 1 if failed else 0


@schedules.command(cls=TimedCommand)
@click.argument("schedule_id", metavar="ID")
@schedule_options
@json_option("the schedule")
@pass_target
def edit(target: Target, /, schedule_id: str, *, yes: bool, as_json: bool, **given: Any) -> int:
    """Change a schedule in place. Past and running executions are not affected.

    Only the given options change. Inputs replace all earlier inputs. A new trigger starts now, --every with an
    immediate run.

    \b
    cloudo schedules edit 5c1f09ab --daily 09:00
    cloudo schedules edit 5c1f09ab --timezone Asia/Tokyo
    cloudo schedules edit 5c1f09ab -p region=south --name 'the south'
    cloudo schedules edit 5c1f09ab --pin                      keep running the flow as it is now
    cloudo schedules edit 5c1f09ab --until none               remove the end
    cloudo schedules edit 5c1f09ab --max-iterations 100       does not change its times
    cloudo schedules edit 5c1f09ab --on-error 'Notify by email'
    cloudo schedules edit 5c1f09ab --on-error null            the follow-ups that the flow defines
    """
    from cloudo_kernel.models import ChangeSchedule, PreviewSchedule

    api = target.connect()
    before = api.schedule(find_schedule(api, schedule_id))
    zone = given["timezone"] or before.timezone
    fields = schedule_fields(api, before.flow_name, {**given, "timezone": zone})
    if given["timezone"] is not None:
        fields["timezone"] = zone
    if is_given(given):
        fields["trigger"] = trigger = trigger_of(api, {**given, "timezone": zone})
        if not is_confirmed(api.preview_schedule(PreviewSchedule(trigger=trigger, timezone=zone)), trigger, yes=yes):
            click.echo("Nothing was changed.", err=True)
            return 1
    elif given["max_iterations"] is not None:
        fields["max_iterations"] = given["max_iterations"]
    if not fields:
        raise click.UsageError("Give at least one option to change. --help lists them.")
    changed = api.change_schedule(before.id, request_of(ChangeSchedule, {**fields, "confirmed": True}))
    _print([changed], as_json=as_json)
    return 0


@schedules.command()
@_ids_argument
@pass_target
def delete(target: Target, schedule_ids: Sequence[str]) -> int:
    """Delete schedules and their history, but not their executions."""
    api = target.connect()

    def delete_one(schedule_id: str) -> str:
        api.delete_schedule(schedule_id)
        return schedule_id

    deleted, failed = _each(api, schedule_ids, delete_one)
    for schedule_id in deleted:
        click.echo(f"{display.short_id(schedule_id)} is deleted.")
    return 1 if failed else 0


def _changed(api: Api, ids: Sequence[str], verb: Callable[[str], Schedule], *, as_json: bool) -> int:
    changed, failed = _each(api, ids, verb)
    _print(changed, as_json=as_json)
    return 1 if failed else 0


def _each(api: Api, ids: Sequence[str], verb: Callable[[str], Any]) -> tuple[list[Any], bool]:
    """Call `verb` with each id. Return the results, and whether any failed. Prints the errors."""
    from cloudo_kernel.errors import CloudoError

    done, failed = [], False
    for schedule_id in ids:
        try:
            done.append(verb(find_schedule(api, schedule_id)))
        except CloudoError as error:
            click.echo(f"Error: {error}", err=True)
            failed = True
    return done, failed


def find_schedule(api: Api, text: str) -> str:
    """Return the schedule's id for a whole or partial id. Raises `ScheduleNotFound`, `MalformedRequest`."""
    from cloudo_kernel.errors import ScheduleNotFound

    def listed() -> list[tuple[str, str]]:
        return [(one.id, display.clean(one.name)) for one in newest(api.schedules)[0]]

    return find_id(text, listed, ScheduleNotFound)


def _print(records: Sequence[Schedule], *, as_json: bool) -> None:
    if as_json:
        display.print_json(records)
        return
    for one in records:
        click.echo(f"{schedule_report.named(one)}: {schedule_report.state(one)}")
