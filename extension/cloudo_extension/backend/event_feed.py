"""The event feed: reads every new event once per process and passes it to the coroutines waiting for it.

It reads on the event listener's thread, because another thread for each commit would cost more than the read.
Without readers it reads nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType

from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.models import Event

#: Maximum number of queued events per reader. A slower reader has to read from the store again.
_BACKLOG = 1000

#: Called with an event id; returns up to `PAGE_LIMIT` next events, oldest first.
Read = Callable[[int], Sequence[Event]]


class Subscription:
    """The events of one subject, or of all, from now on. A context manager for one coroutine."""

    def __init__(self, feed: EventFeed, subject_id: str | None) -> None:
        self._feed = feed
        self.subject_id = subject_id
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        #: Whether events were dropped because their reader was too slow; `catch_up` clears it.
        self.has_missed = False
        #: Whether the feed has ended because the server is stopping.
        self.is_closed = False

    def put(self, event: Event) -> None:
        """Add an event; called by the feed."""
        if len(self._events) >= _BACKLOG:
            self._events.clear()
            self.has_missed = True
        self._events.append(event)
        self._news.set()

    def close(self) -> None:
        """End the subscription and wake the reader; called by the feed."""
        self.is_closed = True
        self._news.set()

    def catch_up(self) -> None:
        """Discard queued events; called by a reader that reads the store next."""
        self._events.clear()
        self.has_missed = False

    async def next(self) -> Event | None:
        """Wait for the next event. Returns None if some were missed or the feed ended."""
        while not self._events:
            if self.is_closed:
                return None
            self._news.clear()
            await self._news.wait()
        if self.has_missed:
            return None
        return self._events.popleft()

    def __enter__(self) -> Subscription:
        self._feed.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._feed.remove(self)


class EventFeed:
    """Reads events once for all subscriptions. Lives on the server's event loop, except for `wake`."""

    def __init__(self, read: Read, *, newest: Callable[[], int]) -> None:
        """`newest` returns the id of the newest event that this process has noticed."""
        self._read = read
        self._newest = newest
        self._position = newest()
        self._loop = asyncio.get_running_loop()
        self._readers: dict[str | None, set[Subscription]] = {}
        self._is_closed = False

    def subscribe(self, subject_id: str | None = None) -> Subscription:
        """Return a subscription, to be entered with `with`."""
        return Subscription(self, subject_id)

    def wake(self) -> None:
        """Read and deliver new events. The event listener calls it on its own thread. Raises the store's errors."""
        is_behind = bool(self._readers)
        while is_behind:
            events = self._read(self._position)
            if events:
                self._position = events[-1].id
                self._loop.call_soon_threadsafe(self._deliver, events)
            is_behind = len(events) == PAGE_LIMIT

    def close(self) -> None:
        """End the feed and wake all readers."""
        self._is_closed = True
        for reader in [reader for readers in self._readers.values() for reader in readers]:
            reader.close()

    def add(self, reader: Subscription) -> None:
        """Hand events to `reader` from now on."""
        if not self._readers:  # nothing is read without readers
            self._position = max(self._position, self._newest())
        self._readers.setdefault(reader.subject_id, set()).add(reader)
        if self._is_closed:
            reader.close()

    def remove(self, reader: Subscription) -> None:
        """Hand no more events to `reader`."""
        readers = self._readers[reader.subject_id]
        readers.discard(reader)
        if not readers:
            del self._readers[reader.subject_id]

    def _deliver(self, events: Sequence[Event]) -> None:
        for event in events:
            for key in (event.subject_id, None):
                for reader in self._readers.get(key, ()):
                    reader.put(event)
