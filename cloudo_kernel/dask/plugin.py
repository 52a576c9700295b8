"""What a dispatcher sends to Dask workers: a plugin, and functions that name executions by id and attempt.

None of it has the address of the database or the key. Each Dask worker has them in its own environment.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker, secede

from cloudo_kernel.dask.runs import Runs
from cloudo_kernel.errors import CloudoError
from cloudo_kernel.models import ErrorDetail, Status
from cloudo_kernel.processes.zygotes import shared_zygotes
from cloudo_kernel.store import Outcome, Store
from cloudo_kernel.workspace.catalog import Catalog, library_folders
from cloudo_kernel.workspace.layout import Workspace

#: The environment that each Dask worker needs.
VARIABLES = ("CLOUDO_DATABASE_URL", "CLOUDO_KEY_FILE")
_LOST = ErrorDetail(name="WorkerLost", value="Its Dask worker was stopped, or lost the connection to its scheduler.")
_STOPPED = Outcome(status=Status.ENDED_ERROR, message="Dask worker stopped", error=_LOST, is_interrupted=True)


class CloudoPlugin(WorkerPlugin):
    """Holds the runs of a Dask worker. The settings of the dispatcher that comes first count."""

    name = "cloudo"

    def __init__(self, workspace: str, preload: tuple[str, ...], linger_seconds: float) -> None:
        """`workspace` is the folder of the dispatcher's workspace, unless the worker has `CLOUDO_WORKSPACE`."""
        self._settings = (workspace, preload, linger_seconds)
        self.runs: Runs | None = None
        #: Opens the store; kept, because the event loop does not.
        self.setting_up: asyncio.Task[object] | None = None
        #: Why this Dask worker cannot run executions; empty if it can.
        self.obstacle = ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings only."""
        return CloudoPlugin, self._settings

    async def setup(self, worker: Worker) -> None:
        """Open the store; called by Dask in the worker's process."""
        del worker
        try:
            self.runs = await asyncio.to_thread(_started, *self._settings)
        except Exception as error:  # noqa: BLE001 -- the dispatcher logs it
            self.obstacle = str(error) or type(error).__name__

    async def teardown(self, worker: Worker) -> None:
        """End all runs; called by Dask when the worker closes in an orderly way or has lost its scheduler."""
        del worker
        runs, self.runs = self.runs, None
        if runs is not None:
            await asyncio.to_thread(runs.end, _STOPPED)


def _started(folder: str, preload: tuple[str, ...], linger_seconds: float) -> Runs:
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise CloudoError(f"{' and '.join(missing)} must be set in its environment.")
    workspace = Workspace.at(os.environ.get("CLOUDO_WORKSPACE") or folder)
    if not Path(os.environ["CLOUDO_KEY_FILE"]).is_file():
        raise CloudoError(f"its CLOUDO_KEY_FILE {os.environ['CLOUDO_KEY_FILE']} is not a file.")
    shared_zygotes(preload)
    store = Store.open(workspace.database_url, key_file=workspace.key_file)
    runs = Runs(store, Catalog(workspace, library=library_folders()), linger_seconds=linger_seconds)
    runs.start()
    return runs


@dataclass(frozen=True)
class Facts:
    """What a Dask worker says about itself."""

    version: str
    obstacle: str
    #: Whether its database has the dispatcher.
    knows_dispatcher: bool = False
    #: A keyed digest, which is the same where the key is.
    digest: str = ""


async def prepare(plugin: CloudoPlugin, worker_id: str, nonce: str, *, dask_worker: Worker) -> Facts | None:
    """Set the plugin up on a Dask worker, and return what a dispatcher checks before it uses it; None until then.

    The scheduler does not know the plugin: Dask workers that are there for other things are left alone.
    """
    found = dask_worker.plugins.get(CloudoPlugin.name)
    if found is None:
        plugin.setting_up = asyncio.create_task(dask_worker.plugin_add(plugin, CloudoPlugin.name))
        return None
    if found.obstacle:
        return Facts(version("cloudo"), found.obstacle)
    return None if found.runs is None else await asyncio.to_thread(_facts_of, found.runs.store, worker_id, nonce)


def _facts_of(store: Store, worker_id: str, nonce: str) -> Facts:
    knows = any(worker.id == worker_id for worker in store.workers.all())
    return Facts(version("cloudo"), "", knows_dispatcher=knows, digest=store.encryption.digest(nonce))


def run_claim(execution_id: str, attempt: int) -> None:
    """Run a claim until its end: the task of an execution. It gives its Dask thread back when the execution waits."""
    _runs(get_worker()).run(execution_id, attempt, on_wait=secede)


async def stop_run(execution_id: str, attempt: int, outcome: Outcome, *, dask_worker: Worker) -> None:
    """End a run with `outcome`, if it runs on this Dask worker."""
    await asyncio.to_thread(_runs(dask_worker).stop, execution_id, attempt, outcome)


async def kill_run(execution_id: str, attempt: int, *, dask_worker: Worker) -> None:
    """Kill the processes of a run, if it runs on this Dask worker."""
    await asyncio.to_thread(_runs(dask_worker).kill, execution_id, attempt)


def _runs(worker: Worker) -> Runs:
    runs: Runs | None = worker.plugins[CloudoPlugin.name].runs
    if runs is None:
        raise CloudoError("This Dask worker cannot run executions.")
    return runs
