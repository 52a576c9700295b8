"""Follows an execution, and shows it in a notebook cell: live while it runs, and as a rich result."""

from __future__ import annotations

import html
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from cloudo_kernel.api import Api, AuthorApi
from cloudo_kernel.errors import CloudoError, Unavailable
from cloudo_kernel.flow_api.results import cards_of
from cloudo_kernel.models import Execution, Status

_LONG_POLL = timedelta(seconds=20)
#: How long a server may be unreachable. A restart takes a few seconds.
_ABSENCE_SECONDS = 60.0
_COLOURS = {
    Status.ENDED_SUCCESS: "#1a7f37",
    Status.ENDED_ERROR: "#cf222e",
    Status.ENDED_CANCELLED: "#6e7781",
    Status.RUNNING: "#0969da",
}
_CELL = "style='text-align:left;vertical-align:top'"


def follow(api: Api, execution_id: str) -> Iterator[Execution]:
    """Yield the execution's record now and after each change, until it has ended."""
    # Read the position first, so that no change between the first read and the first poll is missed.
    after = int(api.events(limit=1).next or 0)
    while True:
        record = api.execution(execution_id)
        yield record
        if record.is_ended:
            return
        after = _after_next(api, execution_id, after)


def _after_next(api: Api, execution_id: str, after: int) -> int:
    """Wait for the next events and return the last one's id. The wait survives a restart of the server."""
    give_up = time.monotonic() + _ABSENCE_SECONDS
    while True:
        try:
            page = api.events(after=after, timeout=_LONG_POLL, subject_id=execution_id, limit=500)
            return int(page.next or after)
        except Unavailable:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)


@contextmanager
def show_progress(api: AuthorApi, record: Execution) -> Iterator[None]:
    """Show the execution's progress in the current cell within the block. Do nothing outside of a notebook."""
    events = getattr(api, "events", None)
    if events is None or not _in_cell():
        yield
        return
    from IPython.display import HTML, display

    handle = display(HTML(to_html(record)), display_id=True)
    is_left = threading.Event()

    def watch() -> None:
        try:
            for changed in follow(api, record.id):  # type: ignore[arg-type]  # only an Api has events
                if is_left.is_set():
                    return
                results = cards_of(api, changed.id) if changed.is_ended else ()
                handle.update(HTML(to_html(changed, results)))
        except CloudoError:
            return  # the wait itself raises the same error

    thread = threading.Thread(target=watch, name="cloudo-progress", daemon=True)
    thread.start()
    try:
        yield
        thread.join(timeout=5)  # let it show the end
    finally:
        is_left.set()


def to_html(record: Execution, results: Sequence[str] = ()) -> str:
    """Return the execution as HTML; everything in it is escaped. `results` are HTML already."""
    escape = html.escape
    colour = _COLOURS.get(record.status, "#9a6700")
    seconds = _seconds(record)
    parts = [
        f"<b>{escape(record.name)}</b> "
        f"<span style='color:{colour};font-weight:600'>{record.status.replace('ENDED_', '').lower()}</span>"
        f"{'' if seconds is None else f' · {seconds:.1f} s'}"
    ]
    if not record.is_ended and record.progress.total:
        done, total = record.progress.done, record.progress.total
        parts.append(f"<progress value='{done}' max='{total}' style='width:16em'></progress> {done}/{total} cells")
    if record.message:
        parts.append(escape(record.message))
    if record.error is not None and record.error.traceback:
        lines = escape("\n".join(record.error.traceback))
        parts.append(f"<details><summary>Traceback</summary><pre>{lines}</pre></details>")
    parts.extend(results)
    if record.output_value and record.is_ended:
        rows = "".join(
            f"<tr><td {_CELL}><code>{escape(name)}</code></td><td {_CELL}>{escape(_short(value))}</td></tr>"
            for name, value in record.output_value.items()
        )
        parts.append(f"<table style='margin:4px 0'>{rows}</table>")
    if record.notebook is not None:
        parts.append(f"<small style='opacity:.7'>{escape(record.notebook)}</small>")
    return f"<div>{''.join(f'<div>{part}</div>' for part in parts)}</div>"


def _seconds(record: Execution) -> float | None:
    if record.started_at is None:
        return None
    return ((record.ended_at or datetime.now(UTC)) - record.started_at).total_seconds()


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 500 else f"{text[:500]}…"


def _in_cell() -> bool:
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")
