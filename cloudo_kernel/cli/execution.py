"""`cloudo executions|show|open|log|cancel|pause|resume|delete`: list executions, look at them, control them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.listing import find_id, limit_option, newest, print_list
from cloudo_kernel.cli.target import DASHBOARD, LAB, Target, json_option, open_browser, page_url, pass_target

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.models import BulkItem, Execution, LogLine

#: The states as options: the models' names in lower case, without `ENDED_`.
STATUSES = ("pending", "running", "waiting", "paused", "success", "error", "cancelled")
#: How long to wait for a cancelled execution. An interrupted kernel has 5 s, so its worker does not respond by then.
_CANCEL_SECONDS = 30

ids_argument = click.argument("execution_ids", metavar="ID...", nargs=-1, required=True)


class LogReader:
    """Reads a log from its first line, each line once."""

    def __init__(self, api: Api, execution_id: str) -> None:
        self._api = api
        self._execution_id = execution_id
        self._cursor: str | None = None
        #: Number of lines after the cursor that were read already. The last page has no next cursor.
        self._read = 0

    def new_lines(self) -> Iterator[LogLine]:
        """Yield the current lines that were not read yet."""
        while True:
            page = self._api.execution_log(self._execution_id, cursor=self._cursor)
            new, self._read = page.items[self._read :], len(page.items)
            yield from new
            if page.next is None:
                return
            self._cursor, self._read = page.next, 0


@click.command()
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(STATUSES, case_sensitive=False), help="May be repeated."
)
@click.option("--flow", "flow_name", metavar="FLOW", help="Only those of one flow.")
@click.option("-q", "--filter", "text", metavar="TEXT", help="Only those with TEXT in name, flow, message or id.")
@limit_option(20)
@json_option("the executions")
@pass_target
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
    found, is_all = newest(partial(target.connect().executions, where), limit)
    empty = (
        "No executions yet. `cloudo flows` lists the flows, `cloudo run FLOW` starts one."
        if where == ExecutionFilter()
        else "No matching executions. `cloudo executions` lists the newest of all."
    )
    heads = ("ID", "NAME", "STATUS", "CREATED", "TOOK", "BY", "MESSAGE")
    print_list(found, heads, _row, empty=empty, as_json=as_json, limit=None if is_all else limit)


@click.command()
@click.argument("execution_id", metavar="ID")
@json_option("the whole record")
@pass_target
def show(target: Target, execution_id: str, *, as_json: bool) -> None:
    """Show one execution in full.

    That is its state, inputs, outputs, error, the end of its log, and the path of its executed notebook. ID is what
    `cloudo executions` prints. The beginning or the end of an id is enough if no other id has it.

    \b
    cloudo show 5c1f09ab
    cloudo show 5c1f09ab --json | jq .error.traceback
    """
    api = target.connect()
    record = api.execution(find(api, execution_id))
    display.print_record(record, display.facts(record, target.notebook(record)), as_json=as_json)


@click.command(name="open")
@click.argument("execution_id", metavar="ID")
@click.option("--lab", "is_lab", is_flag=True, help="Open its executed notebook in JupyterLab instead.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@pass_target
def open_page(target: Target, execution_id: str, *, is_lab: bool, no_browser: bool) -> None:
    """Open an execution in the browser.

    That is its page in the dashboard, or its executed notebook in JupyterLab.

    \b
    cloudo open 5c1f09ab
    cloudo open 5c1f09ab --lab
    """
    from cloudo_kernel.errors import NotebookNotFound, Unavailable

    api = target.connect()
    record = api.execution(find(api, execution_id))
    if is_lab and record.notebook is None:
        raise NotebookNotFound(record.id)
    if (server := target.server()) is None:
        raise Unavailable(f"No server is running. Start one with `cloudo up {target.folder().root}`.")
    page = f"{LAB}/tree/{quote(record.notebook or '')}" if is_lab else f"{DASHBOARD}executions/{record.id}"
    address = page_url(server.url, page, server.token)
    click.echo(address)
    if not no_browser:
        from jupyter_core.paths import jupyter_runtime_dir  # only this user can enter that folder

        folder = Path(jupyter_runtime_dir())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        open_browser(address, folder / "cloudo-open.html")


@click.command()
@click.argument("execution_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Print new lines as they come, until the execution has ended.")
@json_option("the lines")
@pass_target
def log(target: Target, execution_id: str, *, follow: bool, as_json: bool) -> None:
    """Print the log of one execution.

    \b
    cloudo log 5c1f09ab
    cloudo log 5c1f09ab --follow
    """
    if follow and as_json:
        raise click.UsageError("--json prints one document, and --follow prints lines as they come. Give one of them.")
    api = target.connect()
    found = find(api, execution_id)
    reader = LogReader(api, found)
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
@ids_argument
@click.option("--tree", is_flag=True, help="Cancel all their descendants, too, even if they themselves have ended.")
@json_option("the records")
@pass_target
def cancel(target: Target, execution_ids: Sequence[str], *, tree: bool, as_json: bool) -> int:
    """Cancel executions and their children.

    The command waits until they have ended, and prints how.

    \b
    cloudo cancel 5c1f09ab
    cloudo cancel $(cloudo executions --status pending --json | jq -r '.[].id')

    The exit code is 1 if one of them could not be cancelled.
    """
    api = target.connect()
    asked, failed = apply(api, "cancel", execution_ids, tree=tree)
    ended = [api.wait(str(item.id), timeout=timedelta(seconds=_CANCEL_SECONDS)) for item in asked]
    print_states(ended, as_json=as_json)
    for record in ended:
        if not record.is_ended:
            click.echo(f"{record.id} has not ended yet. Its worker will cancel it.", err=True)
            failed = True
    return 1 if failed else 0


def _action_command(action: str, explanation: str, *, running: str | None = None) -> click.Command:
    """Return the command that applies a bulk action to executions and prints their states."""

    @click.command(name=action, help=explanation)
    @ids_argument
    @json_option("the records")
    @pass_target
    def command(target: Target, execution_ids: Sequence[str], *, as_json: bool) -> int:
        api = target.connect()
        asked, failed = apply(api, action, execution_ids)
        print_states([api.execution(str(item.id)) for item in asked], as_json=as_json, running=running)
        return 1 if failed else 0

    return command


pause = _action_command(
    "pause",
    """Pause executions; a running one pauses after its current cell.

    A paused execution holds no slot, and keeps its processes and their memory.

    \b
    cloudo pause 5c1f09ab
    cloudo resume 5c1f09ab

    The exit code is 1 if one of them could not be paused.
    """,
    running="pausing after the current cell",
)
resume = _action_command(
    "resume",
    """Let paused executions go on, as soon as there is a slot.

    \b
    cloudo resume 5c1f09ab

    The exit code is 1 if one of them was not paused.
    """,
)


@click.command()
@ids_argument
@json_option("the outcome of each")
@pass_target
def delete(target: Target, execution_ids: Sequence[str], *, as_json: bool) -> int:
    """Delete ended executions.

    Their logs and executed notebooks are deleted, too.

    \b
    cloudo delete 5c1f09ab 7e3d22c0
    cloudo delete $(cloudo executions --status error --json | jq -r '.[].id')

    The exit code is 1 if one of them could not be deleted.
    """
    deleted, failed = apply(target.connect(), "delete", execution_ids)
    if as_json:
        display.print_json(deleted)
    else:
        for item in deleted:
            click.echo(f"{display.short_id(str(item.id))} is deleted.")
    return 1 if failed else 0


def apply(api: Api, action: str, texts: Sequence[str], **more: Any) -> tuple[list[BulkItem], bool]:
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
