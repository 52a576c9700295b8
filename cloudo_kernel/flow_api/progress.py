"""Follows an execution, and shows its progress in the output of a cell, or in a line of a terminal."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from cloudo_kernel.api import Api, AuthorApi
from cloudo_kernel.errors import CloudoError, Unavailable
from cloudo_kernel.flow_api import cards
from cloudo_kernel.flow_api.calls import is_whole
from cloudo_kernel.flow_api.results import cards_of
from cloudo_kernel.models import Execution

_LONG_POLL = timedelta(seconds=20)
#: How long a server may be unreachable. A restart takes a few seconds.
_ABSENCE_SECONDS = 60.0
#: Minimum time between two updates of a display: a notebook that logs quickly would flood the browser.
_UPDATE_INTERVAL_SECONDS = 0.2


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


class Shown(Protocol):
    """A display of an execution."""

    def update(self, record: Execution) -> None:
        """Show the record. After an ended one, nothing more is shown."""


@contextmanager
def show_progress(api: AuthorApi, record: Execution) -> Iterator[Shown | None]:
    """Show an execution's progress within the block, and yield the display, which the caller updates with the end.

    Yields None for an ended execution, in a running flow, and in programs that are neither a notebook nor IPython in a
    terminal.
    """
    kind = None if record.is_ended or not is_whole(api) else _kind_of_display()
    if kind is None:
        yield None
        return
    display, is_left = kind(api, record), threading.Event()

    def watch() -> None:
        try:
            for changed in follow(api, record.id):  # type: ignore[arg-type]  # only an Api has events
                if is_left.is_set() or changed.is_ended:
                    return
                display.update(changed)
                is_left.wait(_UPDATE_INTERVAL_SECONDS)
        except CloudoError:
            return  # the wait itself raises the same error

    threading.Thread(target=watch, name="cloudo-progress", daemon=True).start()
    try:
        yield display
    finally:
        is_left.set()


class CellDisplay:
    """The card of an execution in the output of the cell that waits for it, and its links below it.

    The links are an output of their own, so that an update of the card does not take the button from under the mouse.
    """

    def __init__(self, api: AuthorApi, record: Execution) -> None:
        from IPython.display import display

        self._api = api
        self._pages = cards.pages_of(api)
        self._is_over = False
        self._updating = threading.Lock()
        self._card = display(_bundle(record), raw=True, display_id=True)
        if self._pages is not None:
            links = cards.links_of(record, self._pages, can_cancel=True)
            self._links = display({"text/html": links, "text/plain": ""}, raw=True, display_id=True)

    def update(self, record: Execution) -> None:
        """See `Shown`."""
        with self._updating:
            if self._is_over:
                return
            self._is_over = record.is_ended
            results = cards_of(self._api, record.id) if record.is_ended else []
            self._card.update(_bundle(record, results), raw=True)
            if record.is_ended and self._pages is not None:
                links = cards.links_of(record, self._pages)
                self._links.update({"text/html": links, "text/plain": ""}, raw=True)


class TerminalLine:
    """The state of an execution in one line of a terminal, which is overwritten."""

    def __init__(self, _api: AuthorApi, record: Execution) -> None:
        self._updating = threading.Lock()
        self._is_over = False
        self.update(record)

    def update(self, record: Execution) -> None:
        """See `Shown`."""
        with self._updating:
            if self._is_over:
                return
            self._is_over = record.is_ended
            done, total = record.progress.done, record.progress.total
            cells = f", {done} of {total} cells" if total and not record.is_ended else ""
            text = f"{record.name}: {cards.word_of(record.status)}{cells}"
            sys.stderr.write(f"\r\x1b[K{text[:200]}" + ("\n" if record.is_ended else ""))
            sys.stderr.flush()


def _bundle(record: Execution, results: list[cards.Html] | None = None) -> dict[str, str]:
    page = cards.execution_card(record, results=results or [])
    return {"text/html": page, "text/plain": cards.execution_text(record)}


def _kind_of_display() -> Callable[[AuthorApi, Execution], Shown] | None:
    shell = cards.shell()
    if shell is None:
        return None
    if hasattr(shell, "kernel"):
        return CellDisplay
    return TerminalLine if sys.stderr.isatty() else None
