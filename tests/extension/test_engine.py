"""The engine of a server, in this process: its end, and its loops."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from cloudo_extension.backend.backend import Engine
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.layout import Workspace


def in_an_engine(folder: Path, scenario: Callable[[Engine, Store], Awaitable[None]]) -> None:
    """Run a scenario with an open engine that has a worker, and close the engine."""

    async def run() -> None:
        engine = Engine(Workspace(folder), has_worker=True)
        async with asyncio.timeout(60):
            store = (await engine.open()).store
            try:
                await scenario(engine, store)
            finally:
                await engine.close()

    asyncio.run(run())


def test_an_engine_that_closes_ends_worker_and_store_whatever_failed_before(tmp_path: Path) -> None:
    async def fail() -> None:
        raise RuntimeError("can't start new thread")

    async def scenario(engine: Engine, _store: Store) -> None:
        assert [worker.private for worker in _store.workers.all()] == [False]
        engine._spawn(fail())

    in_an_engine(tmp_path, scenario)
    store = Store.open(Workspace(tmp_path).database_url)
    assert store.workers.all() == ()
    store.close()
    # The last connection to a database removes its log.
    assert not (tmp_path / ".cloudo" / "cloudo.sqlite-wal").exists()


def test_a_loop_that_dies_is_told_by_the_health_and_its_worker_gives_up_its_lease(tmp_path: Path) -> None:
    async def scenario(engine: Engine, store: Store) -> None:
        health = await engine.health()
        assert health is not None
        assert (health.status, health.reason, health.failing_loops) == ("ok", None, ())
        store.tail.add_listener(sys.exit)
        store.events.add("FlowChanged", "flow", "a", user_name="ada")
        while (health := await engine.health()) is not None and health.status == "ok":
            await asyncio.sleep(0.02)
        assert health is not None
        assert (health.status, health.failing_loops) == ("unavailable", ("event-tail",))
        assert health.reason == "the loop event-tail has died: restart the server"
        while store.workers.all():
            await asyncio.sleep(0.02)

    in_an_engine(tmp_path, scenario)
