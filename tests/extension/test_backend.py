"""The backend of a server, in this process: its end, and its loops."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from cloudo_extension.backend.backend import Backend
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.layout import Workspace
from tests.extension.conftest import StartServer, client


def with_backend(folder: Path, scenario: Callable[[Backend, Store], Awaitable[None]]) -> None:
    """Run a scenario with an open backend that has a worker, and close the backend."""

    async def run() -> None:
        backend = Backend(Workspace(folder), has_worker=True)
        async with asyncio.timeout(60):
            store = (await backend.open()).store
            try:
                await scenario(backend, store)
            finally:
                await backend.close()

    asyncio.run(run())


def test_an_engine_that_closes_ends_worker_and_store_whatever_failed_before(tmp_path: Path) -> None:
    async def fail() -> None:
        raise RuntimeError("can't start new thread")

    async def scenario(backend: Backend, _store: Store) -> None:
        assert [worker.private for worker in _store.workers.all()] == [False]
        backend.spawn(fail())

    with_backend(tmp_path, scenario)
    store = Store.open(Workspace(tmp_path).database_url)
    assert store.workers.all() == ()
    store.close()
    # The last connection to a database removes its log.
    assert not (tmp_path / ".cloudo" / "cloudo.sqlite-wal").exists()


def test_a_loop_that_dies_is_told_by_the_health_and_its_worker_gives_up_its_lease(tmp_path: Path) -> None:
    async def scenario(backend: Backend, store: Store) -> None:
        health = await backend.health()
        assert health is not None
        assert (health.status, health.reason, health.failing_loops) == ("ok", None, ())
        store.tail.add_listener(sys.exit)
        store.events.add("FlowChanged", "flow", "a", user_name="ada")
        while (health := await backend.health()) is not None and health.status == "ok":
            await asyncio.sleep(0.02)
        assert health is not None
        assert (health.status, health.failing_loops) == ("unavailable", ("event-tail",))
        assert health.reason == "the loop event-tail has died: restart the server"
        while store.workers.all():
            await asyncio.sleep(0.02)

    with_backend(tmp_path, scenario)


def test_a_server_ends_while_jupyters_files_are_read(start: StartServer) -> None:
    server = start()
    (server.workspace / "read.txt").touch()
    is_read = threading.Barrier(5, timeout=60)

    def read() -> None:
        with client(server) as http, contextlib.suppress(httpx.TransportError):
            http.get(f"{server.url}api/contents/read.txt").raise_for_status()
            is_read.wait()
            while True:
                http.get(f"{server.url}api/contents/read.txt")

    with ThreadPoolExecutor(4) as readers:
        for _ in range(4):
            readers.submit(read)
        is_read.wait()
        server.stop()
