"""Shows an execution while it runs: a progress bar on a terminal, and optionally its log and its cells as lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

import click

from cloudo_kernel.cli import display

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.models import Execution, LogLine


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


class _Screen(Protocol):
    """A display for an execution."""

    def write(self, line: str) -> None:
        """Show a line of the log."""

    def show(self, record: Execution) -> None:
        """Show the progress of the execution."""


def wait(api: Api, record: Execution, *, with_log: bool, out_is_taken: bool) -> Execution:
    """Block until the execution has ended, showing its progress, and return its last record.

    If standard error is a terminal, it shows a progress bar. `with_log` prints the log and, without a bar, the cells.
    They go to standard output, or with `out_is_taken` to standard error.
    """
    is_terminal = sys.stderr.isatty()
    if not is_terminal and not with_log:
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
