"""Follows the service's events in a thread and tells the page what changed, a few times a second at most."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from cloudo_kernel.api import PAGE_LIMIT, Api
from cloudo_kernel.dashboard import rows
from cloudo_kernel.dashboard.schedule_rows import schedule_row
from cloudo_kernel.errors import ExecutionNotFound, ScheduleNotFound
from cloudo_kernel.models import Event, Execution, ExecutionFilter, JsonObject, event_types

_log = logging.getLogger(__name__)

#: News leave at most this often.
_PUSH_EVERY: Final = 0.2
#: How long one call waits for events.
_POLL: Final = timedelta(seconds=20)
#: Nobody has looked for this long: stop asking. Browsers slow the timers of hidden pages to one a minute.
_IDLE_SECONDS: Final = 150.0
_RETRY_SECONDS: Final = 2.0
#: Most executions that one push fetches one by one.
_SINGLE: Final = 20


class Watcher:
    """One page's watch on the events; `tell` sends a message to the page and may be called from any thread."""

    def __init__(self, api: Api, tell: Callable[[JsonObject], None]) -> None:
        self._api = api
        self._tell = tell
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._seen_at = 0.0
        #: Schedules that were made paused, and of which the page was not told yet.
        self._paused: set[str] = set()

    def touch(self) -> None:
        """Somebody looks: watch from now on, if not already."""
        self._seen_at = time.monotonic()
        with self._lock:
            if self._thread is not None or self._stop.is_set():
                return
            self._thread = threading.Thread(target=self._run, name="cloudo-dashboard-watcher", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread; it leaves when its current call returns."""
        self._stop.set()

    def _run(self) -> None:
        after: int | None = None
        is_lost = False
        while self._is_wanted():
            try:
                page = self._api.events(after=after, limit=PAGE_LIMIT, timeout=timedelta(0) if after is None else _POLL)
                news = [*page.items]
                if after is None or is_lost:
                    self._tell({"push": "resync"})
                after, is_lost = int(page.next or after or 0), False
                if news:
                    after = self._push(news, after)
            except Exception as error:  # noqa: BLE001 -- whatever it is, the page says so and this goes on
                if not is_lost:
                    _log.warning("The dashboard lost the service; trying again.", exc_info=True)
                is_lost = True
                self._tell({"push": "connection", "lost": rows.trouble(error)["message"]})
                self._stop.wait(_RETRY_SECONDS)

    def _is_wanted(self) -> bool:
        with self._lock:
            if not self._stop.is_set() and time.monotonic() - self._seen_at < _IDLE_SECONDS:
                return True
            self._thread = None
            return False

    def _push(self, news: list[Event], after: int) -> int:
        """Wait for what comes on the heels of the first event, then tell of all in one message."""
        self._stop.wait(_PUSH_EVERY)
        while True:
            page = self._api.events(after=after, limit=PAGE_LIMIT, timeout=timedelta(0))
            news += page.items
            after = int(page.next or after)
            if len(page.items) < PAGE_LIMIT or len(news) > 20 * PAGE_LIMIT:
                break
        self._tell(self._message(news))
        return after

    def _message(self, news: Iterable[Event]) -> JsonObject:
        news = list(news)
        told = _types_by_subject(news, event_types.EXECUTION)
        schedules = _types_by_subject(news, event_types.SCHEDULE)
        # Library flows make several paused, and let them run when all could be made: that is when they are told of.
        created = [
            one for one, types in schedules.items() if event_types.SCHEDULE_CREATED in types or one in self._paused
        ]
        deleted = [one for one, types in told.items() if event_types.EXECUTION_DELETED in types]
        moved = {one for one, types in told.items() if types - {event_types.EXECUTION_LOGGED}} - {*deleted}
        passing = {event_types.EXECUTION_LOGGED, event_types.EXECUTION_PROGRESSED}
        return {
            "push": "news",
            "rows": [rows.execution_row(execution) for execution in self._fetch(moved)],
            "deleted": deleted,
            "logged": [one for one, types in told.items() if event_types.EXECUTION_LOGGED in types],
            "changed": [one for one in moved if told[one] - passing],
            "flows": any(event.subject_type == event_types.FLOW for event in news),
            "messages": any(event.subject_type == event_types.MESSAGE for event in news),
            "schedules": list(schedules)[:PAGE_LIMIT],
            "scheduled": self._fetch_scheduled(created[:_SINGLE]),
            "webhooks": list(_types_by_subject(news, event_types.WEBHOOK))[:PAGE_LIMIT],
            "tokens": any(event.subject_type == event_types.TOKEN for event in news),
            "workers": any(event.subject_type == event_types.WORKER for event in news),
        }

    def _fetch(self, ids: set[str]) -> list[Execution]:
        """Fetch executions without their logs where possible: by one list that reaches back to the oldest of them."""
        if not ids:
            return []
        where = ExecutionFilter(since=_created_at(min(ids)))
        listed = [one for one in self._api.executions(where, limit=PAGE_LIMIT // 2).items if one.id in ids]
        missing = sorted(ids - {one.id for one in listed}, reverse=True)[:_SINGLE]
        return listed + [one for one in map(self._fetch_one, missing) if one is not None]

    def _fetch_scheduled(self, ids: list[str]) -> list[JsonObject]:
        found = []
        for one in ids:
            self._paused.discard(one)
            with suppress(ScheduleNotFound):
                row = schedule_row(self._api.schedule(one), now=datetime.now(UTC))
                if row["enabled"]:
                    found.append(row)
                else:
                    self._paused.add(one)
        return found

    def _fetch_one(self, execution_id: str) -> Execution | None:
        try:
            return self._api.execution(execution_id)
        except ExecutionNotFound:
            return None


def _types_by_subject(news: Iterable[Event], subject_type: str) -> dict[str, set[str]]:
    told: dict[str, set[str]] = {}
    for event in news:
        if event.subject_type == subject_type:
            told.setdefault(event.subject_id, set()).add(event.type)
    return told


def _created_at(execution_id: str) -> datetime:
    """Return a moment just before the execution was created, which a UUIDv7 begins with (RFC 9562, 5.7)."""
    milliseconds = UUID(execution_id).int >> 80
    return datetime.fromtimestamp(milliseconds / 1000, UTC) - timedelta(seconds=2)
