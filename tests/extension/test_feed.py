"""The event feed, the session tokens: what the server keeps in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from cloudo_extension.backend import event_feed
from cloudo_extension.backend.event_feed import EventFeed
from cloudo_kernel.errors import Unavailable
from cloudo_kernel.models import Event
from cloudo_kernel.store import Store


class History:
    """A real store, of whose events a test reads and counts."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.open(f"sqlite:///{folder / 'store.sqlite'}")
        self.reads = 0
        self.is_out_of_reach = False

    def tell(self, subject_id: str) -> None:
        self.store.events.add("FlowChanged", "flow", subject_id, user_name="ada")

    def read(self, after: int) -> Sequence[Event]:
        self.reads += 1
        if self.is_out_of_reach:
            raise Unavailable("gone")
        return self.store.events.after(after, limit=500)


def in_a_loop(folder: Path, scenario: Callable[..., Awaitable[None]]) -> None:
    """Run a scenario with a feed that follows a new history."""

    async def run() -> None:
        history = History(folder)
        feed = EventFeed(history.read, newest=lambda: max(0, history.store.tail.newest))
        remove = history.store.tail.add_listener(feed.wake)
        try:
            async with asyncio.timeout(20):
                await scenario(history, feed)
        finally:
            remove()
            feed.close()
            history.store.close()

    asyncio.run(run())


def test_each_reader_gets_what_it_asked_for_and_the_store_is_read_once(tmp_path: Path) -> None:
    async def scenario(history: History, feed: EventFeed) -> None:
        with feed.subscribe("a") as of_a, feed.subscribe() as of_all:
            crowd = [feed.subscribe("b") for _ in range(500)]
            for reader in crowd:
                feed.add(reader)
            history.tell("b")
            history.tell("a")
            assert (await of_a.next()).subject_id == "a"
            assert [(await of_all.next()).subject_id for _ in range(2)] == ["b", "a"]
            assert {(await reader.next()).subject_id for reader in crowd} == {"b"}
            assert history.reads <= 6

    in_a_loop(tmp_path, scenario)


def test_nothing_is_read_while_nobody_listens_and_who_comes_then_hears_what_is_new(tmp_path: Path) -> None:
    async def scenario(history: History, feed: EventFeed) -> None:
        history.tell("old")
        old = history.store.events.newest_id()
        while history.store.tail.newest < old:
            await asyncio.sleep(0.01)
        assert history.reads == 0
        for name in ("new", "newer"):
            with feed.subscribe() as reader:
                history.tell(name)
                assert (await reader.next()).subject_id == name

    in_a_loop(tmp_path, scenario)


def test_a_reader_that_is_too_slow_is_told_to_read_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "_BACKLOG", 3)

    async def scenario(history: History, feed: EventFeed) -> None:
        with feed.subscribe() as slow, feed.subscribe("last") as quick:
            for name in ("a", "b", "c", "d", "last"):
                history.tell(name)
            await quick.next()
            assert slow.has_missed
            assert await slow.next() is None
            slow.catch_up()
            history.tell("e")
            assert (await slow.next()).subject_id == "e"

    in_a_loop(tmp_path, scenario)


def test_a_store_that_was_out_of_reach_for_a_while_loses_nothing(tmp_path: Path) -> None:
    async def scenario(history: History, feed: EventFeed) -> None:
        with feed.subscribe("a") as reader:
            history.is_out_of_reach = True
            history.tell("a")
            while history.reads < 3:
                await asyncio.sleep(0.01)
            history.is_out_of_reach = False
            assert (await reader.next()).subject_id == "a"

    in_a_loop(tmp_path, scenario)


def test_a_feed_that_ends_wakes_its_readers_and_keeps_no_new_ones(tmp_path: Path) -> None:
    async def scenario(history: History, feed: EventFeed) -> None:
        with feed.subscribe() as reader:
            waiting = asyncio.create_task(reader.next())
            await asyncio.sleep(0)
            feed.close()
            assert await waiting is None
            assert reader.is_closed
        with feed.subscribe() as late:
            assert await late.next() is None

    in_a_loop(tmp_path, scenario)
