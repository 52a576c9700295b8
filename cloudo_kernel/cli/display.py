"""Formats ids, times, states, values, tables and executions for a terminal.

click removes the colours when the output is not a terminal.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pydantic import BaseModel

    from cloudo_kernel.models import ErrorDetail, Execution, JsonObject, LogLine, Status

_COLOURS = {"success": "green", "error": "red", "cancelled": "yellow", "running": "cyan"}
_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))

#: Colours and other control characters from a flow, which would affect the reader's terminal.
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: Maximum lines of a traceback and of a log. `show --json` and `log` print all of them.
_TRACEBACK_LINES = 15
_LOG_LINES = 10


def short_id(execution_id: str) -> str:
    """Return the end of an id. UUIDv7 begins with the time, so ids of the same minute share their first digits."""
    return execution_id[-8:]


def clean(text: str) -> str:
    """Return a flow's text without colours and control characters."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def status(word: Status) -> str:
    """Return the state in lower case, without `ENDED_` and coloured."""
    text = word.removeprefix("ENDED_").lower()
    return click.style(text, fg=_COLOURS.get(text))


def ago(moment: datetime) -> str:
    """Return the time since a past moment, or until a future one, in the largest unit that fits."""
    seconds = (datetime.now(UTC) - moment) / timedelta(seconds=1)
    if abs(seconds) < 1:
        return "now"
    unit, size = next((unit, size) for unit, size in _UNITS if abs(seconds) >= size)
    count = int(abs(seconds) / size)
    text = f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def local_time(moment: datetime) -> str:
    """Return the moment in this machine's time zone."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def duration(record: Execution) -> str:
    """Return the duration of the run up to now or its end. Empty before its start."""
    if record.started_at is None:
        return ""
    seconds = ((record.ended_at or datetime.now(UTC)) - record.started_at) / timedelta(seconds=1)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def value(given: Any, *, limit: int = 200) -> str:
    """Return a value on one line: text without quotes, anything else as JSON."""
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return shortened(clean(text.replace("\n", " ")), limit)


def shortened(text: str, limit: int) -> str:
    """Return the text, cut to at most `limit` characters."""
    return text if len(text) <= limit else f"{text[: max(0, limit - 1)]}…"


def log_line(line: LogLine) -> str:
    """Return a line of a log with its time and its level."""
    colour = {"error": "red", "warning": "yellow"}.get(line.level)
    return f"{local_time(line.time)}  {click.style(f'{line.level:<7}', fg=colour)}  {clean(line.text)}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns. In a terminal, the last column is cut to the width."""
    lines = [[click.style(head, bold=True) for head in heads], *rows]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)][:-1]
    room = shutil.get_terminal_size().columns - sum(widths) - 2 * len(widths) if sys.stdout.isatty() else sys.maxsize
    made = []
    for *cells, last in lines:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True))
        made.append(
            "  ".join([*padded, last if _width(last) <= room else shortened(click.unstyle(last), max(20, room))])
        )
    return "\n".join(line.rstrip() for line in made)


def print_record(record: BaseModel, text: str, *, as_json: bool) -> None:
    """Print the record as JSON, else `text` about it."""
    if as_json:
        print_json(record)
    else:
        click.echo(text)


def print_json(record: BaseModel | Sequence[BaseModel]) -> None:
    """Print one JSON document in UTF-8 (RFC 8259), regardless of the terminal's encoding."""
    parts = [record] if not isinstance(record, Sequence) else record
    plain = [part.model_dump(mode="json") for part in parts]
    document = plain if isinstance(record, Sequence) else plain[0]
    click.echo(json.dumps(document, ensure_ascii=False, indent=2).encode())


def outcome(record: Execution, notebook: str | None) -> str:
    """Return a summary of an execution that has just ended, for the end of `cloudo run`."""
    seconds = duration(record)
    parts = [
        f"{click.style(clean(record.name), bold=True)}: {status(record.status)}"
        + (f" after {seconds}" if seconds else "")
        + f"  ({short_id(record.id)})"
    ]
    if record.message and record.error is None:
        parts.append(clean(record.message))
    if record.error is not None:
        parts += _error(record.error)
    parts += _named("Outputs", record.output_value)
    if notebook is not None:
        parts.append(f"Notebook: {notebook}")
    return "\n".join(parts)


def facts(record: Execution, notebook: str | None) -> str:
    """Return all facts about an execution, without the beginning of a long log or traceback."""
    known = [
        ("id", record.id),
        ("status", status(record.status)),
        ("message", clean(record.message or "")),
        ("flow", clean(record.flow_name or "")),
        ("started", f"by {clean(record.user_name)} ({record.trigger.value})"),
        ("parent", record.parent_id or ""),
        ("retry of", record.retry_of or ""),
        ("created", f"{local_time(record.created_at)}, {ago(record.created_at)}"),
        ("due", local_time(record.scheduled_for) if record.scheduled_for else ""),
        ("ran", duration(record)),
        ("cells", f"{record.progress.done} of {record.progress.total}" if record.progress.total else ""),
        ("attempt", str(record.attempt) if record.attempt > 1 else ""),
        ("tags", clean(", ".join(record.tags))),
        ("notebook", notebook or ""),
    ]
    parts = [click.style(clean(record.name), bold=True)]
    parts += [f"  {name:<9} {text}" for name, text in known if text]
    parts += _named("Inputs", record.input_value)
    parts += _named("Outputs", record.output_value)
    if record.error is not None:
        parts += _error(record.error)
    parts += _log(record)
    return "\n".join(parts)


def _width(text: str) -> int:
    """Return the number of terminal columns that the text takes."""
    plain = click.unstyle(text)
    if plain.isascii():
        return len(plain)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in plain
    )


def _named(title: str, values: JsonObject) -> Iterator[str]:
    if values:
        yield f"{title}:"
        width = max(map(len, values))
        yield from (f"  {clean(name):<{width}}  {value(content)}" for name, content in values.items())


def _error(error: ErrorDetail) -> Iterator[str]:
    where = "" if error.cell is None else f" in cell {error.cell + 1} of the executed notebook"
    yield click.style(f"{error.name}{where}: {clean(error.value)}", fg="red")
    lines = [line for line in error.traceback if line.strip()]
    if len(lines) > _TRACEBACK_LINES:
        yield "  …"
    yield from (f"  {clean(line)}" for line in lines[-_TRACEBACK_LINES:])


def _log(record: Execution) -> Iterator[str]:
    if record.log:
        left = len(record.log) > _LOG_LINES
        yield f"Log, the last lines (all: `cloudo log {short_id(record.id)}`):" if left else "Log:"
        yield from (f"  {log_line(line)}" for line in record.log[-_LOG_LINES:])
