"""REST for the history: pages of events, a long poll, and a stream."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from tornado import web

from cloudo_extension.base import API, Handler
from cloudo_extension.feed import Subscription
from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.models import Event, Page

#: A longer poll would be cut by the proxies that people put in front.
_POLL_SECONDS = 60
#: A comment at least this often keeps proxies from closing a stream on which nothing happens.
HEARTBEAT_SECONDS = 15
#: Events are numbered by the database: a 64 bit number.
_NEWEST = 2**63 - 1


class Events(Handler):
    """`/event`."""

    query_of: ClassVar = {"GET": frozenset({"after", "limit", "timeout_seconds", "subject_id"})}

    async def get(self) -> None:
        """Return events above `after`, oldest first: as a stream, or as one page."""
        after = self.query_number("after", at_most=_NEWEST)
        subject_id = self.query("subject_id")
        if "text/event-stream" in self.request.headers.get("Accept", ""):
            if (last := self.request.headers.get("Last-Event-ID")) is not None:
                after = self.number("Last-Event-ID", last, at_most=_NEWEST)
            await self.while_connected(self._stream(after, subject_id))
        else:
            seconds = self.query_seconds("timeout_seconds", at_most=_POLL_SECONDS)
            limit = self.query_number("limit", at_least=1, at_most=PAGE_LIMIT) or 100
            page = await self.while_connected(self._page(after, subject_id, limit, seconds))
            await self.answer(lambda: page)

    async def _page(self, after: int | None, subject_id: str | None, limit: int, seconds: float) -> Page[Event]:
        """Return what is there, else what comes within `seconds`; `next` is the `after` of the next call."""
        feed = await self.engine.feed()
        with feed.subscribe(subject_id) as news:
            page = await self._read(after, subject_id, limit)
            if page.items or not seconds:
                return page
            try:
                async with asyncio.timeout(seconds):
                    event = await news.next()
                    while event is not None and event.id <= int(page.next or 0):
                        event = await news.next()
            except TimeoutError:
                return page
            return page if event is None else Page[Event](items=(event,), next=str(event.id))

    async def _stream(self, after: int | None, subject_id: str | None) -> None:
        """Send events as they come, until the client goes or the server stops."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache, no-transform")
        self.set_header("X-Accel-Buffering", "no")  # nginx would keep events back to fill its buffer
        feed = await self.engine.feed()
        with feed.subscribe(subject_id) as news:
            await self._read(after, subject_id, 1)  # who may not is refused here, before the reply has begun
            await self._write(": the events of Cloudo\n\n")
            while not news.is_closed:
                news.catch_up()
                page = await self._read(after, subject_id, PAGE_LIMIT)
                while page.items:
                    await self._write("".join(map(_frame, page.items)))
                    page = await self._read(int(page.next or 0), subject_id, PAGE_LIMIT)
                after = await self._follow(news, int(page.next or 0))
        await web.RequestHandler.finish(self)  # APIHandler's calls all it sends JSON

    async def _follow(self, news: Subscription, after: int) -> int:
        """Send new events until some were missed, or there are no more for this caller; return the last one's id."""
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
            if not await self.is_still_known():  # the caller's token was revoked, or has expired
                news.close()
                return after
            if text:
                await self._write(text)

    async def _read(self, after: int | None, subject_id: str | None, limit: int) -> Page[Event]:
        return await self.engine.call(self.api.events, after=after, limit=limit, subject_id=subject_id)

    async def _write(self, text: str) -> None:
        self.write(text)
        await self.flush()


def _frame(event: Event) -> str:
    return f"id: {event.id}\ndata: {event.model_dump_json()}\n\n"


routes = [(rf"{API}/event", Events)]
