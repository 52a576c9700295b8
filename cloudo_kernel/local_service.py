"""A `Service` of this process, whose executions a worker process of its own runs."""

from __future__ import annotations

import atexit
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta

from cloudo_kernel import lease
from cloudo_kernel.catalog import Catalog, library_folders
from cloudo_kernel.ids import new_id
from cloudo_kernel.models import (
    Backfill,
    BulkAction,
    BulkOutcome,
    BulkRequest,
    Execution,
    JsonObject,
    Occurrence,
    StartExecution,
    Trigger,
)
from cloudo_kernel.permissions import ADMINISTRATION
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.users import default_user_name
from cloudo_kernel.workspace import Workspace


class LocalService(Service):
    """The verbs on a workspace without a server.

    The worker process is started with the first execution, and ends with this process.
    """

    def __init__(self, workspace: Workspace, *, trigger: Trigger, keep_running: bool = False) -> None:
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
            rights=ADMINISTRATION,  # whose files they are
        )
        _release_the_dead(self._store, workspace)
        atexit.register(self.close)

    def start_execution(self, request: StartExecution, *, idempotency_key: str | None = None) -> Execution:
        """See `Api.start_execution`."""
        execution = super().start_execution(request, idempotency_key=idempotency_key)
        self._start_worker()
        return execution

    def retry_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """See `Api.retry_execution`."""
        execution = super().retry_execution(execution_id, inputs)
        self._start_worker()
        return execution

    def bulk_executions(self, request: BulkRequest) -> BulkOutcome:
        """See `Api.bulk_executions`."""
        outcome = super().bulk_executions(request)
        if request.action is BulkAction.START:  # a retry has its own verb
            self._start_worker()
        return outcome

    def replay_delivery(self, name: str, delivery_id: str) -> Execution:
        """See `Api.replay_delivery`."""
        execution = super().replay_delivery(name, delivery_id)
        self._start_worker()
        return execution

    def trigger_schedule(self, schedule_id: str) -> Execution:
        """See `Api.trigger_schedule`."""
        execution = super().trigger_schedule(schedule_id)
        self._start_worker()
        return execution

    def backfill_schedule(self, schedule_id: str, request: Backfill) -> tuple[Occurrence, ...]:
        """See `Api.backfill_schedule`."""
        started = super().backfill_schedule(schedule_id, request)
        if not request.dry_run:
            self._start_worker()
        return started

    def of_parent(self, parent_id: str) -> Service:
        """Return the verbs for an execution of this process: what it starts are its children."""
        return _OfParent(self, parent_id)

    @property
    def store(self) -> Store:
        """The workspace's store."""
        return self._store

    @property
    def workspace(self) -> Workspace:
        """The workspace."""
        return self._catalog.workspace

    def close(self) -> None:
        """Let the worker end, and close the store."""
        atexit.unregister(self.close)
        with self._starting:
            worker, self._worker = self._worker, None
        if worker is not None and worker.stdin is not None:
            worker.stdin.close()  # its sign that nobody will start anything more
            if not self._keep_running:
                worker.wait()
        self._store.close()

    def _until(self, is_done: Callable[[], bool], timeout: timedelta | None) -> None:
        """Wait as every service does, and see to it that there is a worker to wait for."""

        def look() -> bool:
            if self._worker is not None and self._worker.poll() is not None:
                self._start_worker()
            return is_done()

        super()._until(look, timeout)

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
                    stdout=subprocess.DEVNULL,  # whoever reads this process's output must not wait for the worker's end
                    stderr=log,
                    start_new_session=True,
                )


class _OfParent(Service):
    """The verbs of a `LocalService` whose starts are children."""

    def __init__(self, local: LocalService, parent_id: str) -> None:
        super().__init__(
            local._store,
            local._catalog,
            user_name=local._user_name,
            trigger=Trigger.FLOW,
            parent_id=parent_id,
            reserved_for=local._reserved_for,
        )
        self._local = local

    def start_execution(self, request: StartExecution, *, idempotency_key: str | None = None) -> Execution:
        """See `Api.start_execution`."""
        execution = super().start_execution(request, idempotency_key=idempotency_key)
        self._local._start_worker()
        return execution

    def retry_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """See `Api.retry_execution`."""
        execution = super().retry_execution(execution_id, inputs)
        self._local._start_worker()
        return execution

    def trigger_schedule(self, schedule_id: str) -> Execution:
        """See `Api.trigger_schedule`."""
        execution = super().trigger_schedule(schedule_id)
        self._local._start_worker()
        return execution

    def backfill_schedule(self, schedule_id: str, request: Backfill) -> tuple[Occurrence, ...]:
        """See `Api.backfill_schedule`."""
        started = super().backfill_schedule(schedule_id, request)
        if not request.dry_run:
            self._local._start_worker()
        return started

    def start_child(
        self, request: StartExecution, *, is_held: bool = False, init: JsonObject | None = None
    ) -> Execution:
        """See `ChildVerbs.start_child`."""
        execution = super().start_child(request, is_held=is_held, init=init)
        self._local._start_worker()
        return execution


def _release_the_dead(store: Store, workspace: Workspace) -> None:
    """End what the dead of this machine held: there may be no worker that would notice."""
    for worker in store.workers.all():
        if lease.is_dead(workspace.state, worker.id):
            store.queue.release(worker.id, lost=True, heartbeat=worker.heartbeat)
            lease.forget(workspace.state, worker.id)
