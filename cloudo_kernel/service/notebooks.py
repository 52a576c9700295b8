"""Verbs for executed notebooks: their cells, the results that they show, and the log with the lines that they print."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from datetime import datetime
from heapq import merge
from pathlib import Path
from typing import Final

from cloudo_kernel.errors import MalformedRequest, NotebookNotFound, ResultNotFound
from cloudo_kernel.forms.markdown import MAX_CHARACTERS, rendered
from cloudo_kernel.models import ExecutionCells, LogKind, LogLine, LogPage, SourceDiff
from cloudo_kernel.models.results import LAST_FIGURE, Result, ResultSummary
from cloudo_kernel.service.base import MAX_QUERY, Base, not_a_cursor, page_limit
from cloudo_kernel.workspace import executed_cells
from cloudo_kernel.workspace.executed_cells import Printed, difference

#: Maximum number of lines of `tail`.
MAX_TAIL: Final = 5_000
#: No log has a line number of this many digits, and Python refuses to parse thousands of digits.
_MAX_DIGITS: Final = 18
#: Number of notebooks whose printed lines are kept, for their next pages.
_MAX_KEPT: Final = 4


class NotebookVerbs(Base):
    """Read executed notebooks, results and logs.

    An ended execution without results offers the last figure of its notebook, which is not stored.
    """

    def execution_cells(self, execution_id: str, *, after: str | None = None, first: int = 0) -> ExecutionCells:
        """See `Api.execution_cells`."""
        self._ask_execution("execution_cells", execution_id)
        if first < 0:
            raise MalformedRequest("first is the index of a cell, from 0.", field="first")
        execution = self._store.executions.without_log(execution_id)
        is_ended, path = execution.is_ended, self._executed(execution)
        # A pending cell is skipped once the run has ended, even if the notebook was not saved again.
        version = _version(path, is_ended=is_ended)
        if not version or after == version:
            return ExecutionCells(version=version)
        try:
            found = executed_cells.page_of(path, first=first, is_ended=is_ended)
        except FileNotFoundError:  # deleted just now
            return ExecutionCells(version="")
        except ValueError as error:
            raise NotebookNotFound(execution_id) from error
        return found.model_copy(update={"version": version})

    def source_diff(self, execution_id: str, against: str) -> SourceDiff:
        """See `Api.source_diff`."""
        for one in (execution_id, against):
            self._ask_execution("source_diff", one)
        old, new = (self._store.executions.source(one) for one in (against, execution_id))
        return difference(old, new, old_name=against, new_name=execution_id)

    def execution_log(
        self,
        execution_id: str,
        *,
        limit: int = 500,
        cursor: str | None = None,
        tail: int | None = None,
        streams: bool = False,
        q: str | None = None,
        kind: LogKind | None = None,
    ) -> LogPage:
        """See `Api.execution_log`."""
        self._ask_execution("execution_log", execution_id)
        size, start = page_limit(limit), _Place.of(cursor)
        self._store.executions.status(execution_id)  # raises `ExecutionNotFound`
        printed = self._printed(execution_id) if streams else _Printed(())
        if tail is None:
            if q is not None or kind is not None:
                raise MalformedRequest("q and kind search with tail only.", field="tail")
            return self._page(execution_id, printed, start, size, is_merged=streams)
        if cursor is not None or not 1 <= tail <= MAX_TAIL:
            problem = "has no cursor" if cursor is not None else f"is a number from 1 to {MAX_TAIL:,}"
            raise MalformedRequest(f"tail {problem}.", field="tail")
        logged = self._store.log.length(execution_id)
        total = logged + printed.number
        if q is not None or kind is not None:
            return self._search(execution_id, printed, q=q or "", kind=kind, size=tail, total=total)
        # The last lines of the merged log are among the last ones of both.
        begin = _Place(max(0, logged - tail), max(0, printed.number - tail))
        page = self._page(execution_id, printed, begin, 2 * tail, is_merged=streams)
        return page.model_copy(update={"items": page.items[-tail:], "total": total, "next": None})

    def _search(
        self, execution_id: str, printed: _Printed, *, q: str, kind: LogKind | None, size: int, total: int
    ) -> LogPage:
        """Return the last lines of a log that contain a text and are of a kind."""
        if len(q) > MAX_QUERY:
            raise MalformedRequest(f"q has at most {MAX_QUERY:,} characters.", field="q")
        levels = (kind or LogKind.LOG).levels
        logged, first = self._store.log.search(execution_id, text=q, levels=levels, limit=size)
        others, second = printed.search(q, kind, size)
        items = tuple(merge(others, logged, key=lambda line: line.time))
        return LogPage(items=items[-size:], total=total, matches=first + second)

    def _page(self, execution_id: str, printed: _Printed, start: _Place, size: int, *, is_merged: bool) -> LogPage:
        """Return up to `size` lines from a place on, merged by time."""
        logged = self._store.log.lines(execution_id, limit=size + 1, after=start.logged)
        others = printed.lines(start.printed, size + 1)
        items: list[LogLine] = []
        first, second = 0, 0
        while len(items) < size and (first < len(logged) or second < len(others)):
            is_printed = first == len(logged) or (second < len(others) and others[second].time <= logged[first].time)
            items.append(others[second] if is_printed else logged[first])
            first, second = (first, second + 1) if is_printed else (first + 1, second)
        end = _Place(start.logged + first, start.printed + second).text(is_merged=is_merged)
        is_last = first == len(logged) and second == len(others)
        return LogPage(items=tuple(items), next=None if is_last else end, end=end)

    def _printed(self, execution_id: str) -> _Printed:
        execution = self._store.executions.without_log(execution_id)
        path = self._executed(execution)
        version = executed_cells.version_of(path)
        if not version:
            return _Printed(())
        return _kept.of(path, version, started_at=execution.started_at or execution.created_at)

    def execution_results(self, execution_id: str) -> tuple[ResultSummary, ...]:
        """See `Api.execution_results`."""
        self._ask_execution("execution_results", execution_id)
        if found := self._store.results.all(execution_id):
            return found
        figure = self._last_figure(execution_id)
        return () if figure is None else (ResultSummary.model_validate(figure.model_dump(exclude={"data"})),)

    def execution_result(self, execution_id: str, name: str) -> Result:
        """See `Api.execution_result`."""
        self._ask_execution("execution_result", execution_id)
        found = self._store.results.get(execution_id, name)
        if found is None and name == LAST_FIGURE and not self._store.results.all(execution_id):
            found = self._last_figure(execution_id)
        if found is None:
            self._store.executions.status(execution_id)  # raises `ExecutionNotFound`
            raise ResultNotFound(name)
        text = found.data.get("text/markdown")
        if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
            return found
        return found.model_copy(update={"markdown_html": rendered(text)})

    def _last_figure(self, execution_id: str) -> Result | None:
        execution = self._store.executions.without_log(execution_id)
        if execution.ended_at is None:
            return None
        found = executed_cells.last_figure(self._executed(execution))
        if found is None:
            return None
        data, size = found
        told = {"name": LAST_FIGURE, "types": tuple(data), "size": size, "created_at": execution.ended_at}
        return Result.model_validate({**told, "is_from_notebook": True, "data": data})


class _Place:
    """A place in a log: the number of logged lines before it, and of printed ones."""

    def __init__(self, logged: int, printed: int) -> None:
        self.logged = logged
        self.printed = printed

    @classmethod
    def of(cls, cursor: str | None) -> _Place:
        """Return the place of a cursor. Raises `MalformedRequest`."""
        parts = (cursor or "0").split(".")
        if len(parts) > 2 or not all(part.isdecimal() and len(part) < _MAX_DIGITS for part in parts):
            raise not_a_cursor()
        return cls(int(parts[0]), int(parts[1]) if len(parts) > 1 else 0)

    def text(self, *, is_merged: bool) -> str:
        """Return the cursor."""
        return f"{self.logged}.{self.printed}" if is_merged else str(self.logged)


class _Printed:
    """The lines that the cells of one notebook printed."""

    def __init__(self, parts: tuple[Printed, ...], *, started_at: datetime | None = None) -> None:
        self._parts = parts
        self._started_at = started_at
        self.number = sum(len(part.lines) for part in parts)

    def lines(self, start: int, limit: int) -> list[LogLine]:
        """Return up to `limit` lines, from the line `start` on."""
        found: list[LogLine] = []
        passed = 0
        for part in self._parts:
            if passed + len(part.lines) > start and len(found) < limit:
                begin = max(0, start - passed)
                texts = part.lines[begin : begin + limit - len(found)]
                found += [self._line(part, text) for text in texts]
            passed += len(part.lines)
        return found

    def search(self, text: str, kind: LogKind | None, limit: int) -> tuple[list[LogLine], int]:
        """Return the last lines that contain a text, ignoring case, and are of a kind, and their number."""
        wanted, number = text.lower(), 0
        last: deque[tuple[Printed, str]] = deque(maxlen=limit)
        for part in self._parts:
            if kind is None or kind.value == part.source.value:
                found = [line for line in part.lines if wanted in line.lower()]
                number += len(found)
                last.extend((part, line) for line in found)
        return [self._line(part, line) for part, line in last], number

    def _line(self, part: Printed, text: str) -> LogLine:
        about = {"time": part.time or self._started_at, "source": part.source, "cell": part.cell}
        return LogLine.model_validate({**about, "text": text})


class _Kept:
    """Keeps the printed lines of the notebooks that were read last: the pages of a long log come one by one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[Path, str], _Printed] = OrderedDict()

    def of(self, path: Path, version: str, *, started_at: datetime) -> _Printed:
        """Return the printed lines of a notebook."""
        with self._lock:
            found = self._found.get((path, version))
        if found is None:
            try:
                found = _Printed(executed_cells.printed_in(path), started_at=started_at)
            except (FileNotFoundError, ValueError):
                return _Printed(())
            with self._lock:
                self._found[path, version] = found
                while len(self._found) > _MAX_KEPT:
                    self._found.popitem(last=False)
        return found


_kept = _Kept()


def _version(path: Path, *, is_ended: bool) -> str:
    version = executed_cells.version_of(path)
    return f"{version}-ended" if version and is_ended else version
