"""A worker: all parts that run the executions of a queue.

`python -m cloudo_kernel.worker --private ID WORKSPACE` runs the private worker of a process without a server.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from cloudo_kernel.errors import Unavailable
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.processes.loop import Repeated, states
from cloudo_kernel.processes.zygotes import PRELOAD, shared_zygotes
from cloudo_kernel.service import Service
from cloudo_kernel.settings import LINGER_SECONDS, NOTIFICATION_DELAYS
from cloudo_kernel.store import LEASE_SECONDS, Store
from cloudo_kernel.worker.dispatcher import Dispatcher
from cloudo_kernel.worker.executor import ExecutorContext
from cloudo_kernel.worker.executors import LOCAL, load
from cloudo_kernel.worker.heartbeat import Heartbeat
from cloudo_kernel.worker.housekeeping import Housekeeping
from cloudo_kernel.worker.local_executor import LocalExecutor
from cloudo_kernel.worker.notifier import Notifier
from cloudo_kernel.worker.scheduler import Scheduler
from cloudo_kernel.worker.slots import WorkerSlots
from cloudo_kernel.workspace.catalog import Catalog, library_folders
from cloudo_kernel.workspace.layout import Workspace


class Worker:
    """Runs executions of a store until it is stopped.

    `slots` limits this worker, in addition to the limit of the store. With `labels` it also runs executions that
    require them. `executor` is the name of an installed one; `dask` finds its scheduler at `dask_address`. With
    `private_id` it runs only executions that are reserved for that id, and no schedules. After `lease_seconds` without
    a heartbeat, another worker counts as lost. After `linger_seconds`, a durable execution that waits here gives up its
    processes. `notification_delays` are the seconds between delivery attempts.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        *,
        slots: int | None = None,
        labels: tuple[str, ...] = (),
        executor: str = LOCAL,
        dask_address: str = "",
        private_id: str | None = None,
        lease_seconds: float = LEASE_SECONDS,
        linger_seconds: float = LINGER_SECONDS,
        notification_delays: Sequence[float] = NOTIFICATION_DELAYS,
    ) -> None:
        """Assemble the parts; nothing runs before `start`."""
        service = Service(store, catalog, user_name="cloudo", reserved_for=private_id)
        is_private = private_id is not None
        #: Its id in the store.
        self.id = private_id or new_id()
        #: Called after the worker has given up because one of its loops has died.
        self.on_death: Callable[[], None] = lambda: None
        #: Called when the worker drains and its runs have ended, possibly several times.
        self.on_drained: Callable[[], None] = lambda: None
        self._listener = store.tail
        self._heartbeat = Heartbeat(store, self.id, private=is_private, labels=labels)
        own_slots = WorkerSlots(store, self.id, slots, labels=labels)
        context = ExecutorContext(
            store=store,
            catalog=catalog,
            slots=own_slots,
            reserved_for=private_id,
            linger_seconds=linger_seconds,
            address=dask_address,
        )
        self._executor = load(executor)(context)
        self._dispatcher = Dispatcher(
            store,
            self._executor,
            worker_id=self.id,
            heartbeat=self._heartbeat,
            state=catalog.workspace.state,
            slots=own_slots,
            private=is_private,
            lease_seconds=lease_seconds,
            follow_up=service.start_following_flows,
            on_drained=lambda: self.on_drained(),  # noqa: PLW0108 -- it is set after this
        )
        self._housekeeping = Housekeeping(store, service.delete_expired, private=is_private)
        self._notifier = Notifier(
            store, service.send_notification, worker_id=self.id, reserved_for=private_id, delays=notification_delays
        )
        self._scheduler = None if is_private else Scheduler(store, service.run_due_schedules, self._heartbeat)
        self._heartbeat.loops = self.loops

    @property
    def loops(self) -> tuple[Repeated, ...]:
        """All background loops and jobs of this worker, and the loop of the event listener, which wakes them."""
        return (
            *self._dispatcher.loops,
            *(() if self._scheduler is None else (self._scheduler.loop,)),
            self._notifier.loop,
            *self._housekeeping.jobs,
            *self._executor.loops,
            self._listener.loop,
        )

    def start(self) -> None:
        """Start running executions, and return at once."""
        for loop in self.loops:
            loop.on_death = self._give_up
        try:
            self._dispatcher.start()
            self._housekeeping.start()
            self._notifier.start()
            if self._scheduler is not None:
                self._scheduler.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all runs, as an orderly stop of the server does; takes at most a few seconds."""
        with ExitStack() as steps:  # in reverse order; each step runs even if another one raises
            steps.callback(self._dispatcher.stop)
            steps.callback(self._housekeeping.stop)
            steps.callback(self._notifier.stop)
            if self._scheduler is not None:
                steps.callback(self._scheduler.stop)

    def _give_up(self, _loop: str) -> None:
        try:
            self._dispatcher.give_up()
        finally:
            self.on_death()

    @property
    def runners(self) -> dict[str, int]:
        """The number of its runs, and of processes of the local executor that are ready for one."""
        executor = self._executor
        ready = {"ready": executor.ready} if isinstance(executor, LocalExecutor) else {}
        return {"running": len(executor.running()), **ready}

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs here."""
        return self._dispatcher.is_idle


def run(
    workspace: Workspace,
    *,
    slots: int | None = None,
    labels: tuple[str, ...] = (),
    executor: str = LOCAL,
    dask_address: str = "",
    preload: Sequence[str] = PRELOAD,
    linger_seconds: float = LINGER_SECONDS,
    on_ready: Callable[[], None],
) -> bool:
    """Run a worker until SIGINT, SIGTERM, or the death of one of its loops, or until it has drained.

    Returns whether all loops survived.
    `on_ready` is called once the worker has started.
    """
    shared_zygotes(preload)
    store, worker = _open(
        workspace,
        slots=slots,
        labels=labels,
        executor=executor,
        dask_address=dask_address,
        linger_seconds=linger_seconds,
    )
    stop = threading.Event()

    def on_signal(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    worker.on_death = worker.on_drained = stop.set
    worker.start()
    on_ready()
    stop.wait()
    is_whole = all(state.is_alive for state in states(worker.loops))
    worker.stop()
    store.close()
    return is_whole


def run_private(workspace: Workspace, worker_id: str, *, finish: bool) -> None:
    """Run what is reserved for `worker_id` until standard input closes; with `finish`, until that has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shared_zygotes(())  # it often runs a single execution, for which preloading pandas does not pay
    store, worker = _open(workspace, private_id=worker_id)
    worker.on_death = lambda: os._exit(1)  # the parent process starts another one
    worker.start()
    sys.stdin.buffer.read()
    if finish:
        _until_done(store, worker, worker_id)
    worker.stop()
    store.close()


def _until_done(store: Store, worker: Worker, worker_id: str) -> None:
    woken = threading.Event()
    remove = store.tail.add_listener(woken.set)
    is_done = False
    while not is_done:
        with suppress(Unavailable):  # an unavailable store is asked again
            is_done = worker.is_idle and not store.queue.has_reserved(worker_id)
        woken.wait(0 if is_done else 1.0)
        woken.clear()
    remove()


def _open(
    workspace: Workspace,
    *,
    private_id: str | None = None,
    **options: Any,
) -> tuple[Store, Worker]:
    workspace.create()
    store = Store.open(workspace.database_url, key_file=workspace.key_file)
    catalog = Catalog(workspace, library=library_folders())
    return store, Worker(store, catalog, private_id=private_id, **options)


def main() -> None:
    """Run the worker that `connect` starts; users run `cloudo worker`."""
    parser = argparse.ArgumentParser(prog="python -m cloudo_kernel.worker", description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--private", required=True, metavar="ID", help="run only what is reserved for this id")
    parser.add_argument("--finish", action="store_true", help="finish it when standard input is closed")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    run_private(Workspace(given.workspace), given.private, finish=given.finish)
