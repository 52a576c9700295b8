"""Formats one execution: in full for `cloudo show`, in a few lines at the end of `cloudo run`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cloudo_kernel.cli import display

if TYPE_CHECKING:
    from cloudo_kernel.models import ErrorDetail, Execution, JsonObject

#: Maximum lines of a traceback and of a log. `show --json` and `log` print all of them.
_TRACEBACK_LINES = 15
_LOG_LINES = 10


def outcome(record: Execution, notebook: str | None) -> str:
    """Return a summary of an execution that has just ended."""
    seconds = display.duration(record)
    parts = [
        f"{click.style(display.clean(record.name), bold=True)}: {display.status(record.status)}"
        + (f" after {seconds}" if seconds else "")
        + f"  ({display.short_id(record.id)})"
    ]
    if record.message and record.error is None:
        parts.append(display.clean(record.message))
    if record.error is not None:
        parts += _error(record.error)
    parts += _values("Outputs", record.output_value)
    if notebook is not None:
        parts.append(f"Notebook: {notebook}")
    return "\n".join(parts)


def everything(record: Execution, notebook: str | None) -> str:
    """Return the whole record, without the beginning of a long log or traceback."""
    facts = [
        ("id", record.id),
        ("status", display.status(record.status)),
        ("message", display.clean(record.message or "")),
        ("flow", display.clean(record.flow_name or "")),
        ("started", f"by {display.clean(record.user_name)} ({record.trigger.value})"),
        ("parent", record.parent_id or ""),
        ("retry of", record.retry_of or ""),
        ("created", f"{display.local_time(record.created_at)}, {display.ago(record.created_at)}"),
        ("due", display.local_time(record.scheduled_for) if record.scheduled_for else ""),
        ("ran", display.duration(record)),
        ("cells", f"{record.progress.done} of {record.progress.total}" if record.progress.total else ""),
        ("attempt", str(record.attempt) if record.attempt > 1 else ""),
        ("tags", display.clean(", ".join(record.tags))),
        ("notebook", notebook or ""),
    ]
    parts = [click.style(display.clean(record.name), bold=True)]
    parts += [f"  {name:<9} {text}" for name, text in facts if text]
    parts += _values("Inputs", record.input_value)
    parts += _values("Outputs", record.output_value)
    if record.error is not None:
        parts += _error(record.error)
    parts += _log(record)
    return "\n".join(parts)


def _values(title: str, given: JsonObject) -> Iterator[str]:
    if given:
        yield f"{title}:"
        width = max(map(len, given))
        yield from (f"  {display.clean(name):<{width}}  {display.value(content)}" for name, content in given.items())


def _error(error: ErrorDetail) -> Iterator[str]:
    where = "" if error.cell is None else f" in cell {error.cell + 1} of the executed notebook"
    yield click.style(f"{error.name}{where}: {display.clean(error.value)}", fg="red")
    lines = [line for line in error.traceback if line.strip()]
    if len(lines) > _TRACEBACK_LINES:
        yield "  …"
    yield from (f"  {display.clean(line)}" for line in lines[-_TRACEBACK_LINES:])


def _log(record: Execution) -> Iterator[str]:
    if record.log:
        left = len(record.log) > _LOG_LINES
        yield f"Log, the last lines (all: `cloudo log {display.short_id(record.id)}`):" if left else "Log:"
        yield from (f"  {display.log_line(line)}" for line in record.log[-_LOG_LINES:])
