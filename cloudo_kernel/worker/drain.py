"""Have a worker of the store, on any machine, end once its runs have ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.processes import liveness
from cloudo_kernel.store import Store, WorkerRow
from cloudo_kernel.workspace.layout import Workspace

#: Seconds between two reads of the state of the worker.
_POLL_INTERVAL_SECONDS = 0.5


def drain(workspace: Workspace, name: str) -> Iterator[str]:
    """Drain the worker with this name or id, and yield one line when that begins and one when nothing runs there.

    Raises `MalformedRequest` unless exactly one live worker has it.
    """
    with closing(Store.open(workspace.database_url, key_file=workspace.key_file)) as store:
        live = _live(store, workspace)
        found = [one for one in live.values() if name in (one.id, one.name)]
        if not found:
            names = ", ".join(sorted(one.name for one in live.values())) or "none"
            raise MalformedRequest(f"--drain: there is no worker {name!r}. Live workers: {names}.", field="--drain")
        if len(found) > 1:
            ids = ", ".join(sorted(one.id for one in found))
            raise MalformedRequest(f"--drain: several workers are called {name!r}. Give an id: {ids}.", field="--drain")
        [worker] = found
        store.workers.drain(worker.id)
        yield f"{worker.name} takes nothing more. It ends once what it runs has ended."
        while _is_busy(store, _live(store, workspace).get(worker.id), worker):
            time.sleep(_POLL_INTERVAL_SECONDS)
        yield f"{worker.name} runs nothing any more."


def _is_busy(store: Store, now: WorkerRow | None, before: WorkerRow) -> bool:
    """Return whether the worker may still run something. After two heartbeats it knows that it drains."""
    if now is None:
        return False
    return now.heartbeat < before.heartbeat + 2 or store.queue.holds_any(now.id)


def _live(store: Store, workspace: Workspace) -> dict[str, WorkerRow]:
    """Return the live workers that are not private, by id."""
    live = (one for one in store.workers.all() if not one.private and one.holds_its_lease(store.now))
    return {one.id: one for one in live if not liveness.is_dead(workspace.state, one.id)}
