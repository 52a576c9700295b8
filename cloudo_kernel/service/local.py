"""A `Service` without a server: a private worker process runs its executions."""

from __future__ import annotations

import atexit
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from cloudo_kernel.api import VERBS
from cloudo_kernel.api.run import RUN_VERBS
from cloudo_kernel.models import Origin
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.processes import liveness
from cloudo_kernel.security.permissions import ADMINISTRATION
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog, library_folders
from cloudo_kernel.workspace.layout import Workspace, default_user_name

T = TypeVar("T")

#: Workers that were told to finish what is queued and then end by themselves. They are kept until they have ended,
#: because `Popen` warns when it is dropped before.
_finishing: list[subprocess.Popen[bytes]] = []

#: All verbs that change something, including those of a running flow, so that none that may queue is missed.
_MAY_QUEUE = tuple(name for name, verb in {**VERBS, **RUN_VERBS}.items() if verb.writes and hasattr(Service, name))


class LocalService(Service):
    """Offer the verbs on a workspace without a server.

    The worker process starts when an execution is queued for it, and ends with this process.
    """

    def __init__(self, workspace: Workspace, *, trigger: Origin, keep_running: bool = False) -> None:
        workspace.create()
        self._worker_id = new_id()
        self._keep_running = keep_running
        self._worker: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        super().__init__(
            Store.open(workspace.database_url, key_file=workspace.key_file),
            Catalog(workspace, library=library_folders()),
            user_name=default_user_name(),
            trigger=trigger,
            reserved_for=self._worker_id,
            rights=ADMINISTRATION,  # the files belong to the caller
        )
        self.watch(self)
        _release_the_dead(self._store, workspace)
        atexit.register(self.close)

    def of_parent(self, parent_id: str) -> Service:
        """Return the verbs for an execution of this process. Executions started with them are its children."""
        return _OfParent(self, parent_id)

    @property
    def store(self) -> Store:
        """The workspace's store."""
        return self._store

    @property
    def workspace(self) -> Workspace:
        """The workspace."""
        return self._catalog.workspace

    def watch(self, service: Service) -> None:
        """Wrap the verbs of `service`, so that a worker runs whatever they queue."""
        for verb in _MAY_QUEUE:
            setattr(service, verb, partial(self._then_run, getattr(service, verb)))

    def close(self) -> None:
        """Stop the worker and close the store. With `keep_running`, do not wait for the worker."""
        atexit.unregister(self.close)
        with self._starting:
            worker, self._worker = self._worker, None
        if worker is not None and worker.stdin is not None:
            worker.stdin.close()  # tells the worker that no more work will come
            if self._keep_running:
                _finishing[:] = [one for one in [*_finishing, worker] if one.poll() is None]
            else:
                worker.wait()
        self._store.close()

    def _until(self, is_done: Callable[[], bool], timeout: timedelta | None) -> None:
        """Wait as `Base` does, and restart the worker if it has exited."""

        def look() -> bool:
            if self._worker is not None and self._worker.poll() is not None:
                self._start_worker()
            return is_done()

        super()._until(look, timeout)

    def _then_run(self, verb: Callable[..., T], /, *given: Any, **named: Any) -> T:
        done = verb(*given, **named)
        if self._store.queue.has_any_for(self._worker_id):
            self._start_worker()
        return done

    def _start_worker(self) -> None:
        with self._starting:
            if self._worker is not None:
                if self._worker.poll() is None:
                    return
                assert self._worker.stdin is not None
                self._worker.stdin.close()
            workspace = self._catalog.workspace
            command = [sys.executable, "-m", "cloudo_kernel.worker", "--private", self._worker_id]
            if self._keep_running:
                command.append("--finish")
            with (workspace.state / "worker.log").open("ab") as log:
                self._worker = subprocess.Popen(
                    [*command, str(workspace.root)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,  # readers of this process's output must not wait for the worker
                    stderr=log,
                    start_new_session=True,
                )


class _OfParent(Service):
    """Offer the verbs of a `LocalService`. Executions started with them are children."""

    def __init__(self, local: LocalService, parent_id: str) -> None:
        super().__init__(
            local._store,
            local._catalog,
            user_name=local._user_name,
            trigger=Origin.FLOW,
            parent_id=parent_id,
            reserved_for=local._reserved_for,
        )
        local.watch(self)


def _release_the_dead(store: Store, workspace: Workspace) -> None:
    """Reap the dead workers of this machine, as no other worker may be running to do so."""
    for worker in store.workers.all():
        if liveness.is_dead(workspace.state, worker.id):
            store.queue.release(worker.id, lost=True, heartbeat=worker.heartbeat)
            liveness.forget(workspace.state, worker.id)
