"""`cloudo executions|show|log|cancel|pause|resume|delete`: list executions, look at them, control them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from cloudo_kernel.cli import display, report, watching
from cloudo_kernel.cli.ids import find_id
from cloudo_kernel.cli.target import Target, json_option, target_options

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.models import BulkItem, Execution, ExecutionFilter

#: The states as options: the models' names in lower case, without `ENDED_`.
STATUSES = ("pending", "running", "waiting", "paused", "success", "error", "cancelled")
#: How long to wait for a cancelled execution. An interrupted kernel has 5 s, so its worker does not respond by then.
_CANCEL_SECONDS = 30


@click.command()
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(STATUSES, case_sensitive=False), help="May be repeated."
)
@click.option("--flow", "flow_name", metavar="FLOW", help="Only those of one flow.")
@click.option("-q", "--filter", "text", metavar="TEXT", help="Only those with TEXT in name, flow, message or id.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So many at most.")
@json_option("the executions")
@target_options
@click.pass_obj
def executions(
    target: Target, *, statuses: Sequence[str], flow_name: str | None, text: str | None, limit: int, as_json: bool
) -> None:
    """List the executions, newest first.

    \b
    cloudo executions
    cloudo executions --status running --status waiting
    cloudo executions --flow examples/sales_report -n 100
    """
    from cloudo_kernel.models import ExecutionFilter

    states = [f"ENDED_{word.upper()}" if word in STATUSES[4:] else word.upper() for word in statuses]
    where = ExecutionFilter.model_validate({"status": states or None, "flow_name": flow_name, "q": text})
    found, is_all = _newest(target.connect(), where, limit)
    if as_json:
        display.print_json(found)
    elif found:
        heads = ("ID", "NAME", "STATUS", "CREATED", "TOOK", "BY", "MESSAGE")
        click.echo(display.table(heads, [_row(record) for record in found]))
        if not is_all and sys.stdout.isatty():
            click.echo(f"There are more; -n {2 * limit} shows more of them.", err=True)
    elif where == ExecutionFilter():
        click.echo("No executions yet. `cloudo flows` lists the flows, `cloudo run FLOW` starts one.")
    else:
        click.echo("No execution is like that. `cloudo executions` lists the newest of all.")


@click.command()
@click.argument("execution_id", metavar="ID")
@json_option("the whole record")
@target_options
@click.pass_obj
def show(target: Target, execution_id: str, *, as_json: bool) -> None:
    """Show what is known of one execution.

    State, inputs, outputs, error, the end of the log, and where the executed notebook is. ID is what `cloudo
    executions` prints; the beginning or the end of any id will do, if no other has it.

    \b
    cloudo show 5c1f09ab
    cloudo show 5c1f09ab --json | jq .error.traceback
    """
    api = target.connect()
    record = api.execution(find(api, execution_id))
    if as_json:
        display.print_json(record)
    else:
        click.echo(report.everything(record, target.notebook(record)))


@click.command()
@click.argument("execution_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come, until the execution has ended.")
@json_option("the lines")
@target_options
@click.pass_obj
def log(target: Target, execution_id: str, *, follow: bool, as_json: bool) -> None:
    """Print the log of one execution.

    \b
    cloudo log 5c1f09ab
    cloudo log 5c1f09ab --follow
    """
    if follow and as_json:
        raise click.UsageError("--json prints one document, which --follow never ends. Give one of them.")
    api = target.connect()
    found = find(api, execution_id)
    reader = watching.LogReader(api, found)
    if as_json:
        display.print_json(tuple(reader.new_lines()))
        return
    from cloudo_kernel.flow_api.progress import follow as changes

    is_empty = True
    for _ in changes(api, found) if follow else (None,):
        for line in reader.new_lines():
            click.echo(display.log_line(line))
            is_empty = False
        sys.stdout.flush()
    if is_empty:
        click.echo("Nothing was logged.", err=True)


@click.command()
@click.argument("execution_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--tree", is_flag=True, help="End everything below them, too, also where they have ended themselves.")
@json_option("the records")
@target_options
@click.pass_obj
def cancel(target: Target, execution_ids: Sequence[str], *, tree: bool, as_json: bool) -> int:
    """Cancel executions and their children.

    It waits until they have ended, and says how.

    \b
    cloudo cancel 5c1f09ab
    cloudo cancel $(cloudo executions --status pending --json | jq -r '.[].id')

    The exit code is 1 if one of them could not be cancelled.
    """
    api = target.connect()
    asked, failed = done(api, "cancel", execution_ids, tree=tree)
    ended = [api.wait(str(item.id), timeout=timedelta(seconds=_CANCEL_SECONDS)) for item in asked]
    print_states(ended, as_json=as_json)
    for record in ended:
        if not record.is_ended:
            click.echo(f"{record.id} has not ended yet: it is up to the worker that runs it.", err=True)
            failed = True
    return 1 if failed else 0


@click.command()
@click.argument("execution_ids", metavar="ID...", nargs=-1, required=True)
@json_option("the records")
@target_options
@click.pass_obj
def pause(target: Target, execution_ids: Sequence[str], *, as_json: bool) -> int:
    """Pause executions; one that runs pauses before its next cell.

    A paused execution holds no slot, and keeps its processes and all that they know.

    \b
    cloudo pause 5c1f09ab
    cloudo resume 5c1f09ab

    The exit code is 1 if one of them could not be paused.
    """
    api = target.connect()
    asked, failed = done(api, "pause", execution_ids)
    print_states(
        [api.execution(str(item.id)) for item in asked],
        as_json=as_json,
        running="running, and pauses before its next cell",
    )
    return 1 if failed else 0


@click.command()
@click.argument("execution_ids", metavar="ID...", nargs=-1, required=True)
@json_option("the records")
@target_options
@click.pass_obj
def resume(target: Target, execution_ids: Sequence[str], *, as_json: bool) -> int:
    """Let paused executions go on, as soon as there is a slot.

    \b
    cloudo resume 5c1f09ab

    The exit code is 1 if one of them was not paused.
    """
    api = target.connect()
    asked, failed = done(api, "resume", execution_ids)
    print_states([api.execution(str(item.id)) for item in asked], as_json=as_json)
    return 1 if failed else 0


@click.command()
@click.argument("execution_ids", metavar="ID...", nargs=-1, required=True)
@json_option("what became of each")
@target_options
@click.pass_obj
def delete(target: Target, execution_ids: Sequence[str], *, as_json: bool) -> int:
    """Delete ended executions.

    Their logs and executed notebooks go with them.

    \b
    cloudo delete 5c1f09ab 7e3d22c0
    cloudo delete $(cloudo executions --status error --json | jq -r '.[].id')

    The exit code is 1 if one of them could not be deleted.
    """
    deleted, failed = done(target.connect(), "delete", execution_ids)
    if as_json:
        display.print_json(deleted)
    else:
        for item in deleted:
            click.echo(f"{display.short_id(str(item.id))} is deleted.")
    return 1 if failed else 0


def done(api: Api, action: str, texts: Sequence[str], **more: Any) -> tuple[list[BulkItem], bool]:
    """Apply a bulk action to executions. Return the successful items, and whether any failed.

    Prints the errors. `more` are other fields of the request.
    """
    from cloudo_kernel.errors import CloudoError
    from cloudo_kernel.models import BulkRequest
    from cloudo_kernel.models.executions import BULK_LIMIT

    ids, items, failed = dict[str, None](), list["BulkItem"](), False
    for text in texts:
        try:
            ids[find(api, text)] = None
        except CloudoError as error:
            click.echo(f"Error: {error}", err=True)
            failed = True
    for start in range(0, len(ids), BULK_LIMIT):
        some = tuple(ids)[start : start + BULK_LIMIT]
        for item in api.bulk_executions(BulkRequest.model_validate({"action": action, "ids": some, **more})).items:
            if item.error is None:
                items.append(item)
            else:
                click.echo(f"Error: {item.error.message}", err=True)
                failed = True
    return items, failed


def print_states(records: Sequence[Execution], *, as_json: bool, running: str | None = None) -> None:
    """Print the records as JSON, or one line with the state of each."""
    if as_json:
        display.print_json(records)
        return
    for record in records:
        word = running if running and record.status == "RUNNING" else display.status(record.status)
        click.echo(f"{display.short_id(record.id)}  {display.clean(record.name)}: {word}")


def find(api: Api, text: str) -> str:
    """Return the id for `text`, which is a whole id, or its unique beginning or end.

    Raises `ExecutionNotFound`, `MalformedRequest`.
    """
    from cloudo_kernel.api import PAGE_LIMIT
    from cloudo_kernel.errors import ExecutionNotFound
    from cloudo_kernel.models import ExecutionFilter

    def listed() -> list[tuple[str, str]]:
        page = api.executions(ExecutionFilter(q=text.lower()), limit=PAGE_LIMIT)
        return [(one.id, display.clean(one.name)) for one in page.items]

    return find_id(text, listed, ExecutionNotFound)


def _newest(api: Api, where: ExecutionFilter, limit: int) -> tuple[list[Execution], bool]:
    from cloudo_kernel.api import PAGE_LIMIT

    found: list[Execution] = []
    cursor = None
    while len(found) < limit:
        page = api.executions(where, limit=min(PAGE_LIMIT, limit - len(found)), cursor=cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            break
    return found, cursor is None


def _row(record: Execution) -> tuple[str, ...]:
    progress = record.progress
    told = record.message or ""
    if not record.is_ended and progress.total:
        told = f"{progress.done}/{progress.total} {told or progress.cell or ''}"
    return (
        display.short_id(record.id),
        display.shortened(display.clean(record.name), 40),
        display.status(record.status),
        display.ago(record.created_at),
        display.duration(record),
        record.trigger.value,
        display.value(told),
    )
