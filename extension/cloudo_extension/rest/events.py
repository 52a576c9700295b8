"""REST for the history: pages of events, a long poll, and a stream."""

from __future__ import annotations

import asyncio

from pydantic import Field
from tornado import web

from cloudo_extension.backend.event_feed import Subscription
from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import Query, Reply, operation, routes_of
from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.models import Event, Page
from cloudo_kernel.models.canonical import from_query

#: Maximum duration of a long poll. Proxies in front of the server would cut a longer one.
_POLL_SECONDS = 60
#: Interval of comments in an idle stream, which keep proxies from closing it.
HEARTBEAT_SECONDS = 15.0
#: The largest event id, a 64-bit number of the database.
_NEWEST = 2**63 - 1


class EventQuery(Query):
    """Filters of events, and how long to wait for one."""

    after: int | None = Field(
        default=None, ge=0, le=_NEWEST, description="Only events with a higher id. Default: only new events."
    )
    limit: int = Field(default=100, ge=1, le=PAGE_LIMIT, description="Maximum number of items.")
    timeout_seconds: float = Field(
        default=0,
        ge=0,
        le=_POLL_SECONDS,
        allow_inf_nan=False,
        description="Time to wait for an event if there is none.",
    )
    subject_id: str | None = Field(default=None, description="Only events about one object, such as an execution.")


class LastEvent(Query):
    """Where a stream is taken up again."""

    id: int = Field(alias="Last-Event-ID", ge=0, le=_NEWEST)


class Events(Handler):
    """`/event`."""

    @operation(
        "events",
        query=(EventQuery,),
        headers={
            "Last-Event-ID": "Of a stream: the last event that was seen; it goes on with the next one.",
        },
        replies={
            200: Reply(Page[Event], "A page, or a stream where that was asked for.", media=("text/event-stream",))
        },
    )
    async def get(self) -> None:
        """Return events above `after`, oldest first: as a stream, or as one page."""
        asked = self.asked(EventQuery)
        if self.request.method != "HEAD" and "text/event-stream" in self.request.headers.get("Accept", ""):
            last = self.request.headers.get("Last-Event-ID")
            after = asked.after if last is None else self.parse(LastEvent, {"Last-Event-ID": from_query(int, last)}).id
            await self.while_connected(self._stream(after, asked.subject_id))
        else:
            page = await self.while_connected(self._page(asked))
            await self.answer(lambda: page)

    async def _page(self, asked: EventQuery) -> Page[Event]:
        """Return existing events, else the next one that arrives in time. `next` is the `after` of the next call."""
        feed = await self.backend.feed()
        with feed.subscribe(asked.subject_id) as news:
            page = await self._read(asked.after, asked.subject_id, asked.limit)
            if page.items or not asked.timeout_seconds:
                return page
            try:
                async with asyncio.timeout(asked.timeout_seconds):
                    event = await news.next()
                    while event is not None and event.id <= int(page.next or 0):
                        event = await news.next()
            except TimeoutError:
                return page
            return page if event is None else Page[Event](items=(event,), next=str(event.id))

    async def _stream(self, after: int | None, subject_id: str | None) -> None:
        """Send events as they arrive, until the client disconnects or the server stops."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache, no-transform")
        self.set_header("X-Accel-Buffering", "no")  # otherwise nginx delays events to fill its buffer
        feed = await self.backend.feed()
        with feed.subscribe(subject_id) as news:
            await self._read(after, subject_id, 1)  # refuses callers without permission before the reply begins
            await self._write(": the events of Cloudo\n\n")
            while not news.is_closed:
                news.catch_up()
                page = await self._read(after, subject_id, PAGE_LIMIT)
                while page.items and await self._tell(news, "".join(map(_frame, page.items))):
                    page = await self._read(int(page.next or 0), subject_id, PAGE_LIMIT)
                after = await self._follow(news, int(page.next or 0))
        await web.RequestHandler.finish(self)  # APIHandler's sets the content type to JSON

    async def _follow(self, news: Subscription, after: int) -> int:
        """Send new events until some were missed or the stream ends for this caller. Return the last one's id."""
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    event = await news.next()
            except TimeoutError:
                text = ": still here\n\n"
            else:
                if event is None:
                    return after
                text = _frame(event) if event.id > after else ""
                after = max(after, event.id)
            if not await self._tell(news, text):
                return after

    async def _tell(self, news: Subscription, text: str) -> bool:
        """Send events. If the caller's token was revoked or has expired, end the stream and return False."""
        if not await self.is_still_known():
            news.close()
            return False
        if text:
            await self._write(text)
        return True

    async def _read(self, after: int | None, subject_id: str | None, limit: int) -> Page[Event]:
        return await self.backend.call(self.api.events, after=after, limit=limit, subject_id=subject_id)

    async def _write(self, text: str) -> None:
        self.write(text)
        await self.flush()


def _frame(event: Event) -> str:
    return f"id: {event.id}\ndata: {event.model_dump_json()}\n\n"


routes = routes_of(Events)
