"""`cloudo run|retry`: start a flow or retry an execution, watch it, and print the outcome."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, Protocol

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.execution import LogReader, apply, find, ids_argument, print_states
from cloudo_kernel.cli.target import Target, json_option, pass_target
from cloudo_kernel.cli.values import inputs_of

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.models import Execution, StartExecution

#: The exit code that a shell reports for a process ended by SIGINT.
INTERRUPTED = 130

param_option = click.option(
    "-p", "--param", "words", multiple=True, metavar="KEY=VALUE", help="An input; may be repeated."
)


@click.command()
@click.argument("flow_name", metavar="FLOW")
@param_option
@click.option(
    "-i",
    "--inputs",
    "files",
    multiple=True,
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="A JSON object of inputs, - for standard input; may be repeated. -p wins.",
)
@click.option("--follow", is_flag=True, help="Print the log and the cells as they run.")
@click.option("--detach", is_flag=True, help="Print the execution's id and return at once.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Limit the run.")
@click.option("--kernel", metavar="NAME", help="Run in this kernel; `cloudo kernels` lists them. Default: the flow's.")
@click.option("--cell-timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Limit each cell.")
@click.option("--report", "is_report", is_flag=True, help="Hide the sources of the cells in the executed notebook.")
@click.option("--name", help="Name the execution; default: the flow's name.")
@click.option("--tag", "tags", multiple=True, help="Tag the execution; may be repeated.")
@json_option("the execution's record")
@pass_target
def run(
    target: Target,
    flow_name: str,
    *,
    words: Sequence[str],
    files: Sequence[IO[str]],
    follow: bool,
    detach: bool,
    timeout: float | None,
    kernel: str | None,
    cell_timeout: float | None,
    is_report: bool,
    name: str | None,
    tags: tuple[str, ...],
    as_json: bool,
) -> int:
    """Run a flow and print the outcome.

    A VALUE is parsed as YAML if the input's type allows it: 3, true, null, [a, b], {a: 1}. Anything else is text, and
    an input of type text gets the VALUE unchanged.

    \b
    cloudo run examples/greeting -p name=Ada
    cloudo run examples/sales_report -p region=north --follow
    cloudo run nightly -i inputs.json --detach
    cloudo run report -p 'regions=[north, south]' --json | jq .output_value

    The exit code is 0 if the execution succeeded, 1 if it did not, 2 for a wrong command line, and 130 after Ctrl-C,
    which cancels the execution. Without a server, the flow runs in a worker of its own. With --detach, that worker
    finishes the flow and its children.
    """
    _check_stay(follow, detach)
    api = target.connect(keep_running=detach)
    given = given_inputs(api, flow_name, words, files)
    options = {"kernel": kernel, "cell_timeout_seconds": cell_timeout, "report_mode": is_report or None}
    request = _request(flow_name=flow_name, inputs=given, timeout_seconds=timeout, name=name, tags=tags, **options)
    if detach:
        record = _start(api, request)
        display.print_record(record, record.id, as_json=as_json)
        return 0
    return _watched(target, api, lambda: _start(api, request), follow=follow, as_json=as_json)


def _start(api: Api, request: StartExecution) -> Execution:
    """Start the execution. The error about a missing input says how to give it."""
    from cloudo_kernel.errors import InputsInvalid

    try:
        return api.start_execution(request)
    except InputsInvalid as error:
        if error.field is None or error.field in request.inputs:
            raise
        raise InputsInvalid(f"{error} Give it with -p {error.field}=VALUE.", field=error.field) from error


@click.command()
@ids_argument
@param_option
@click.option("--follow", is_flag=True, help="Print the log and the cells of one execution as they run.")
@click.option("--detach", is_flag=True, help="Print the ids of the new executions and return at once.")
@json_option("the new execution's record, or a list of them if several ids are given")
@pass_target
def retry(
    target: Target, execution_ids: Sequence[str], *, words: Sequence[str], follow: bool, detach: bool, as_json: bool
) -> int:
    """Start ended executions again.

    Each gets a new execution of the current flow, or of the same script, with the same inputs, name, tags and time
    limit. Given inputs replace all earlier ones.

    \b
    cloudo retry 5c1f09ab
    cloudo retry 5c1f09ab -p region=south --follow
    cloudo retry 5c1f09ab 7e3d22c0 --detach

    The exit code is that of `cloudo run`. With several IDs it is 1 if one was not started, or did not succeed.
    """
    _check_stay(follow, detach)
    api = target.connect(keep_running=detach)
    if len(execution_ids) > 1:
        if follow:
            raise click.UsageError("--follow shows one execution. Retry one at a time, or without it.")
        return _retry_many(api, execution_ids, words, detach=detach, as_json=as_json)
    past = api.execution(find(api, execution_ids[0]))
    given = given_inputs(api, past.flow_name, words, ()) if words else None
    if detach:
        record = api.retry_execution(past.id, given)
        display.print_record(record, record.id, as_json=as_json)
        return 0
    return _watched(target, api, lambda: api.retry_execution(past.id, given), follow=follow, as_json=as_json)


def _retry_many(api: Api, texts: Sequence[str], words: Sequence[str], *, detach: bool, as_json: bool) -> int:
    """Retry the executions at once, wait for all of them unless `detach`, and return the exit code."""
    # The flows' inputs may differ, so the values are parsed without a schema, and checked at each start.
    more = {"inputs": given_inputs(api, None, words, ())} if words else {}
    items, failed = apply(api, "retry", texts, **more)
    ids = [item.execution.id for item in items if item.execution is not None]
    try:
        records = [api.execution(id_) if detach else api.wait(id_) for id_ in ids]
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, _quit)
        click.echo("\nCancelling; Ctrl-C again quits at once.", err=True)
        open_ids = [id_ for id_ in ids if not api.execution(id_).is_ended]
        apply(api, "cancel", open_ids)
        print_states([api.wait(id_) for id_ in open_ids], as_json=False)
        return INTERRUPTED
    if detach and not as_json:
        click.echo("\n".join(ids))
    else:
        print_states(records, as_json=as_json)
    is_success = detach or all(record.status == "ENDED_SUCCESS" for record in records)
    return 0 if is_success and not failed else 1


def _check_stay(follow: bool, detach: bool) -> None:
    if follow and detach:
        raise click.UsageError("--follow waits for the end, and --detach does not. Give one of them.")


def _watched(target: Target, api: Api, start: Callable[[], Execution], *, follow: bool, as_json: bool) -> int:
    """Start an execution, wait for it, print the outcome, and return the exit code."""
    with _interruptible(api, start) as started:
        record = _wait(api, started, with_log=follow, out_is_taken=as_json)
    is_success = record.status == "ENDED_SUCCESS"
    if as_json:
        display.print_json(record)
    if not as_json or not is_success:
        click.echo(display.outcome(record, target.notebook(record)), err=not is_success)
    return 0 if is_success else 1


def given_inputs(api: Api, flow_name: str | None, words: Sequence[str], files: Sequence[IO[str]]) -> dict[str, Any]:
    """Return the inputs from files and `KEY=VALUE` words. Words take precedence."""
    inputs: dict[str, Any] = {}
    for file in files:
        try:
            found = json.load(file)
        except ValueError as error:
            raise click.BadParameter(f"{file.name} is not JSON: {error}.", param_hint="-i") from error
        if not isinstance(found, dict):
            raise click.BadParameter(f"{file.name} does not contain a JSON object of inputs.", param_hint="-i")
        inputs |= found
    if words:
        try:
            inputs |= inputs_of(words, {} if flow_name is None else api.flow(flow_name).input_schema)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="-p") from error
    return inputs


def _request(**fields: Any) -> StartExecution:
    from cloudo_kernel.models import StartExecution

    try:
        return StartExecution(**{name: value for name, value in fields.items() if value is not None})
    except ValueError as error:
        raise click.UsageError(str(error)) from error


class _Screen(Protocol):
    """A display for an execution."""

    def write(self, line: str) -> None:
        """Show a line of the log."""

    def show(self, record: Execution) -> None:
        """Show the progress of the execution."""


def _wait(api: Api, record: Execution, *, with_log: bool, out_is_taken: bool) -> Execution:
    """Block until the execution has ended, showing its progress, and return its last record.

    If standard error is a terminal, it shows a progress bar. `with_log` prints the log and, without a bar, the cells.
    They go to standard output, or with `out_is_taken` to standard error.
    """
    is_terminal = sys.stderr.isatty()
    if not is_terminal and not with_log:
        # A missing worker may never come, and a log of cron would not say why nothing happens.
        if record.requires and (now := api.execution(record.id)).started_at is None and now.message:
            click.echo(_state(now), err=True)
        return api.wait(record.id)
    from cloudo_kernel.flow_api.progress import follow

    log = LogReader(api, record.id)
    lines = _Lines(is_error=out_is_taken)
    screen: AbstractContextManager[_Screen] = _bar(record, lines) if is_terminal else nullcontext(lines)
    with screen as shown:
        for changed in follow(api, record.id):
            record = changed
            for line in log.new_lines() if with_log else ():
                shown.write(display.log_line(line))
            shown.show(record)
    return record


class _Lines:
    """Prints log lines and states. A repeated state is printed once."""

    def __init__(self, *, is_error: bool) -> None:
        self.stream = sys.stderr if is_error else sys.stdout
        self._shown = ""

    def write(self, line: str) -> None:
        click.echo(line, file=self.stream)
        self.stream.flush()

    def show(self, record: Execution) -> None:
        state = _state(record)
        if not record.is_ended and state != self._shown:
            self.write(state)
            self._shown = state


@contextmanager
def _bar(record: Execution, lines: _Lines) -> Iterator[_Screen]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.text import Text

    class Bar:
        """Shows the cells as a progress bar. Lines go above it, or to their own stream if that is not a terminal."""

        def write(self, line: str) -> None:
            if lines.stream.isatty():
                progress.console.print(Text.from_ansi(line))
            else:
                lines.write(line)

        def show(self, record: Execution) -> None:
            done, total = record.progress.done, record.progress.total
            progress.update(task, description=_state(record), completed=done, total=total or None)

    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(_state(record), total=None)
        yield Bar()


def _state(record: Execution) -> str:
    """Return one line about the execution's state and progress."""
    progress = record.progress
    if record.started_at is None:
        why = f" ({display.value(record.message, limit=60)})" if record.message else ""
        return f"{display.clean(record.name)}: {record.status.lower()}{why}"
    doing = ("paused" if record.status == "PAUSED" else record.message) or progress.cell or "its kernel starts"
    return f"{display.clean(record.name)}: {progress.done}/{progress.total} cells · {display.value(doing, limit=60)}"


@contextmanager
def _interruptible(api: Api, start: Callable[[], Execution]) -> Iterator[Execution]:
    """Start the execution. Ctrl-C cancels it, even while the start is still in progress."""
    pressed: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda number, _frame: pressed.append(number))
    try:
        record = start()
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        if pressed:
            raise KeyboardInterrupt
        yield record
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, _quit)
        _cancel(api, record)
        raise click.exceptions.Exit(INTERRUPTED) from None


def _quit(_signal: int, _frame: FrameType | None) -> None:
    # Without a server, the private worker notices the end of this process and ends its executions.
    os._exit(INTERRUPTED)


def _cancel(api: Api, record: Execution) -> None:
    from cloudo_kernel.errors import IllegalTransition

    click.echo("\nCancelling; Ctrl-C again quits at once.", err=True)
    with suppress(IllegalTransition):  # it may have ended just now
        api.cancel_execution(record.id)
    ended = api.wait(record.id)
    click.echo(f"{display.clean(ended.name)}: {display.status(ended.status)}  ({ended.id})", err=True)
