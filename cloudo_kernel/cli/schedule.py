"""`cloudo schedule|schedules`: create schedules, look at them, change them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any

import click

from cloudo_kernel.cli import display, schedule_report
from cloudo_kernel.cli.ids import find_id
from cloudo_kernel.cli.run import given_inputs
from cloudo_kernel.cli.target import Target, json_option, target_options
from cloudo_kernel.cli.timing import (
    coming,
    is_given,
    is_meant,
    moment_of,
    read_option,
    request_of,
    timing_options,
    trigger_of,
)

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.models import Schedule

_OVERLAPS = click.Choice(("skip", "queue", "cancel", "allow"))
_CATCH_UPS = click.Choice(("last", "none", "all"))
#: The value that removes an earlier option.
_NONE = "none"
_OCCASIONS = {
    "on_success": "a success",
    "on_error": "a failure",
    "on_recovery": "the first success after a failure",
}


def _options(command: Any) -> Any:
    """Add the options of a schedule, except those of its trigger."""
    options = (
        click.option("-p", "--param", "words", multiple=True, metavar="KEY=VALUE", help="An input; may be repeated."),
        click.option(
            "-i",
            "--inputs",
            "files",
            multiple=True,
            type=click.File(encoding="utf-8"),
            metavar="FILE",
            help="A JSON object of inputs, - for standard input; may be repeated. -p wins.",
        ),
        click.option("--name", help="Name the schedule; default: the flow's name."),
        click.option("--overlap", type=_OVERLAPS, help="While an earlier run has not ended; default: skip."),
        click.option("--catch-up", type=_CATCH_UPS, help="What passed while nobody was there; default: last."),
        click.option(
            "--catch-up-window", metavar="DURATION", help="Older ones are not caught up; none (default): of any age."
        ),
        click.option("--jitter", metavar="DURATION", help="Start each time up to so much later, by its own amount."),
        click.option(
            "--pause-after",
            type=click.IntRange(min=0),
            metavar="N",
            help="Pause after N failures in a row; 0 (default): never.",
        ),
        click.option("--until", metavar="TIME", help="Nothing starts after this, as for --at; none for no end."),
        click.option(
            "--pin/--no-pin",
            "pin_source",
            default=None,
            help="Run the flow as it is now, whatever becomes of its file; default: as it is at each run.",
        ),
        *(
            click.option(
                f"--{name.replace('_', '-')}", name, multiple=True, metavar="WHAT", help=f"What follows {end}."
            )
            for name, end in _OCCASIONS.items()
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("flow_name", metavar="FLOW")
@timing_options
@_options
@json_option("the schedule")
@target_options
@click.pass_obj
def schedule(target: Target, /, flow_name: str, *, yes: bool, as_json: bool, **given: Any) -> int:
    """Start a flow later, or again and again.

    \b
    cloudo schedule examples/sales_report --daily 08:30 --timezone Europe/Vienna
    cloudo schedule examples/sales_report --in 1h30m -p region=south
    cloudo schedule nightly --at 'tomorrow 02:00'
    cloudo schedule watch --every 10m --max-iterations 6      10 minutes after the end of each run
    cloudo schedule watch --every 10m --grid                  at :00, :10, :20 …, if that is when it begins
    cloudo schedule report --cron '0 9 * * mon-fri' --overlap queue
    cloudo schedule poll --cron '*/5 * * * *' --jitter 30s --pause-after 3
    cloudo schedule nightly --daily 02:00 --on-error 'Notify by email' --on-error https://hooks.example.com/cloudo
    cloudo schedule nightly --daily 02:00 --on-error '{"flow": "tell", "inputs": {"channel": "alerts"}}'

    What follows an execution is the name of a flow, an address or a JSON object, and may be repeated; it takes the
    place of what the flow says itself. '[]' is nothing, and null what the flow says.

    It prints the next times, and asks before it saves what is unusual: a time in the past, one that comes twice or
    not at all because the clocks are changed, an interval below one second. Where nobody can be asked such a time is
    refused, unless --yes says that it is meant. `cloudo schedules` lists what there is, and changes it.
    """
    from cloudo_kernel.models import CreateSchedule, PreviewSchedule

    api = target.connect()
    trigger = trigger_of(api, given)
    zone = {} if given["timezone"] is None else {"timezone": given["timezone"]}
    preview = api.preview_schedule(PreviewSchedule(trigger=trigger, **zone))
    fields = {"flow_name": flow_name, "trigger": trigger, **zone, **_said(api, flow_name, given)}
    request = request_of(CreateSchedule, {**fields, "confirmed": True})
    if not is_meant(preview, trigger, yes=yes):
        click.echo("Nothing was saved.", err=True)
        return 1
    made = api.create_schedule(request)
    if as_json:
        display.print_json(made)
    else:
        click.echo(f"{schedule_report.named(made)}\n{coming(preview, trigger)}")
    if not api.health().workers:
        click.echo("Nobody is there to start it yet: `cloudo up` or `cloudo worker` does.", err=True)
    return 0


@click.group(invoke_without_command=True)
@click.option("--flow", "flow_name", metavar="FLOW", help="Only those of one flow.")
@click.option("-q", "--filter", "text", metavar="TEXT", help="Only those with TEXT in their name, or the flow's.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="So many at most.")
@json_option("the schedules")
@target_options
@click.pass_context
def schedules(context: click.Context, *, flow_name: str | None, text: str | None, limit: int, as_json: bool) -> None:
    """List the schedules, newest first, or look at some, pause, resume, run, edit, delete them.

    NEXT is by this machine's clock. A schedule is named by its ID; the beginning or the end of any id will do, if no
    other has it.

    \b
    cloudo schedules
    cloudo schedules --flow examples/sales_report
    cloudo schedules show 5c1f09ab                        with its next ten times
    cloudo schedules history 5c1f09ab                     what became of the times that have come
    cloudo schedules edit 5c1f09ab --daily 09:00
    cloudo schedules pause 5c1f09ab
    cloudo schedules run 5c1f09ab                         now, out of turn
    cloudo schedules backfill 5c1f09ab --from 2026-11-01  its past times, in order
    cloudo schedules delete 5c1f09ab
    """
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError(f"--json goes behind {context.invoked_subcommand}.")
        return
    found, is_all = _newest(context.ensure_object(Target).connect(), limit, flow_name=flow_name, q=text)
    if as_json:
        display.print_json(found)
    elif found:
        heads = ("ID", "NAME", "FLOW", "WHEN", "NEXT", "LAST", "STATE")
        click.echo(display.table(heads, [schedule_report.row(one) for one in found]))
        if not is_all and sys.stdout.isatty():
            click.echo(f"There are more; -n {2 * limit} shows more of them.", err=True)
    elif flow_name is None and text is None:
        click.echo("No schedules yet. `cloudo schedule FLOW --daily 08:30` makes one.")
    else:
        click.echo("No schedule is like that. `cloudo schedules` lists them all.")


@schedules.command()
@click.argument("schedule_id", metavar="ID")
@json_option("the schedule")
@target_options
@click.pass_obj
def show(target: Target, schedule_id: str, *, as_json: bool) -> None:
    """Show what is known of a schedule, with its next ten times."""
    api = target.connect()
    found = api.schedule(find_schedule(api, schedule_id))
    if as_json:
        display.print_json(found)
    else:
        click.echo(schedule_report.everything(found))


@schedules.command()
@click.argument("schedule_id", metavar="ID")
@click.option("-n", "--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="So many at most.")
@json_option("the occurrences")
@target_options
@click.pass_obj
def history(target: Target, schedule_id: str, *, limit: int, as_json: bool) -> None:
    """List the times that have come, newest first, each with what became of it."""
    api = target.connect()
    found = api.occurrences(find_schedule(api, schedule_id), limit=limit).items
    if as_json:
        display.print_json(found)
    elif found:
        click.echo(
            display.table(
                ("DUE", "OUTCOME", "LATE", "EXECUTION", "REASON"), [schedule_report.past(one) for one in found]
            )
        )
    else:
        click.echo("None of its times has come yet.")


@schedules.command()
@click.argument("schedule_ids", metavar="ID...", nargs=-1, required=True)
@json_option("the schedules")
@target_options
@click.pass_obj
def pause(target: Target, schedule_ids: Sequence[str], *, as_json: bool) -> int:
    """Let schedules start nothing until they are resumed. Times that pass meanwhile do not count."""
    api = target.connect()
    return _changed(api, schedule_ids, api.pause_schedule, as_json=as_json)


@schedules.command()
@click.argument("schedule_ids", metavar="ID...", nargs=-1, required=True)
@json_option("the schedules")
@target_options
@click.pass_obj
def resume(target: Target, schedule_ids: Sequence[str], *, as_json: bool) -> int:
    """Let paused schedules go on with their next times."""
    api = target.connect()
    return _changed(api, schedule_ids, api.resume_schedule, as_json=as_json)


@schedules.command()
@click.argument("schedule_ids", metavar="ID...", nargs=-1, required=True)
@json_option("the executions")
@target_options
@click.pass_obj
def run(target: Target, schedule_ids: Sequence[str], *, as_json: bool) -> int:
    """Start an execution of each now, out of turn: its times and its limit stay as they are."""
    api = target.connect(keep_running=True)
    started, failed = _each(api, schedule_ids, api.trigger_schedule)
    if as_json:
        display.print_json(started)
    else:
        for execution in started:
            click.echo(f"{display.short_id(execution.id)}  {display.clean(execution.name)}: started")
    return 1 if failed else 0


@schedules.command()
@click.argument("schedule_id", metavar="ID")
@timing_options
@_options
@json_option("the schedule")
@target_options
@click.pass_obj
def edit(target: Target, /, schedule_id: str, *, yes: bool, as_json: bool, **given: Any) -> int:
    """Change a schedule in place: what has run and what runs stays as it was.

    What is not given stays; inputs that are given replace all earlier ones. A new time begins anew, --every with a
    run at once.

    \b
    cloudo schedules edit 5c1f09ab --daily 09:00
    cloudo schedules edit 5c1f09ab --timezone Asia/Tokyo
    cloudo schedules edit 5c1f09ab -p region=south --name 'the south'
    cloudo schedules edit 5c1f09ab --pin                      run the flow as it is now from then on
    cloudo schedules edit 5c1f09ab --until none               it has no end any more
    cloudo schedules edit 5c1f09ab --max-iterations 100       its times stay as they are
    cloudo schedules edit 5c1f09ab --on-error 'Notify by email'
    cloudo schedules edit 5c1f09ab --on-error null            what the flow says is to follow
    """
    from cloudo_kernel.models import ChangeSchedule, PreviewSchedule

    api = target.connect()
    before = api.schedule(find_schedule(api, schedule_id))
    zone = given["timezone"] or before.timezone
    fields = _said(api, before.flow_name, {**given, "timezone": zone})
    if given["timezone"] is not None:
        fields["timezone"] = zone
    if is_given(given):
        fields["trigger"] = trigger = trigger_of(api, {**given, "timezone": zone})
        if not is_meant(api.preview_schedule(PreviewSchedule(trigger=trigger, timezone=zone)), trigger, yes=yes):
            click.echo("Nothing was changed.", err=True)
            return 1
    elif given["max_iterations"] is not None:
        fields["max_iterations"] = given["max_iterations"]
    if not fields:
        raise click.UsageError("Say what is to change. --help lists what can be.")
    changed = api.change_schedule(before.id, request_of(ChangeSchedule, {**fields, "confirmed": True}))
    _print([changed], as_json=as_json)
    return 0


@schedules.command()
@click.argument("schedule_ids", metavar="ID...", nargs=-1, required=True)
@target_options
@click.pass_obj
def delete(target: Target, schedule_ids: Sequence[str]) -> int:
    """Delete schedules and their history; their executions stay."""
    api = target.connect()

    def delete_one(schedule_id: str) -> str:
        api.delete_schedule(schedule_id)
        return schedule_id

    deleted, failed = _each(api, schedule_ids, delete_one)
    for schedule_id in deleted:
        click.echo(f"{display.short_id(schedule_id)} is deleted.")
    return 1 if failed else 0


def _said(api: Api, flow_name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the request's fields for the options of `_options`."""
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
            fields[field] = None if given[name] == _NONE else read_option(name, given[name], read)
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
        return [(one.id, display.clean(one.name)) for one in _newest(api, sys.maxsize)[0]]

    return find_id(text, listed, ScheduleNotFound)


def _newest(api: Api, limit: int, **where: str | None) -> tuple[list[Schedule], bool]:
    from cloudo_kernel.api import PAGE_LIMIT

    found: list[Schedule] = []
    cursor = None
    while len(found) < limit:
        page = api.schedules(**where, limit=min(PAGE_LIMIT, limit - len(found)), cursor=cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            break
    return found, cursor is None


def _print(records: Sequence[Schedule], *, as_json: bool) -> None:
    if as_json:
        display.print_json(records)
        return
    for one in records:
        click.echo(f"{schedule_report.named(one)}: {schedule_report.state(one)}")
