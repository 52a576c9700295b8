"""One bout of chaos: workers and a server on one store, a load of executions, kills, and the reckoning at the end."""

from __future__ import annotations

import random
import signal
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from cloudo_kernel.errors import CloudoError
from cloudo_kernel.models import ExecutionFilter, StartExecution, Status
from cloudo_kernel.service import Service
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import LEASE_SECONDS, Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.chaos import marks
from tests.chaos.killer import Killer
from tests.chaos.machine import MAX_LOCK_SECONDS, Machine, disk_at
from tests.chaos.promises import Promises
from tests.chaos.reckoning import Reckoning, reckon
from tests.server import CAN_FORK, WITHOUT_LAB, RunningServer, free_port, start_server
from tests.workers import VARIABLE, Worker, end_worker, start_worker

#: Of each door; then only executions are started.
_MAX_PROMISES = 300
UNENDED = tuple(status for status in Status if not status.is_ended)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done: it ends with the kills or with the seconds, whichever comes first."""

    kills: int
    seconds: float
    seed: int
    workers: int = 2
    server: bool = False
    real: bool = False
    #: So many executions run at once, and twice as many wait.
    at_once: int = 4
    #: The pause between two kills is random, so long at most.
    pause: float = 2.0
    #: Whether the machine has faults, too, between the kills.
    faults: bool = False
    #: How long another process locks the database, at most.
    lock: float = MAX_LOCK_SECONDS
    #: The URL of an empty PostgreSQL database; by default the store is in SQLite.
    database: str = ""


@dataclass
class Chaos:
    """The processes of one bout. Short paths: a kernel's sockets are below `folder`."""

    folder: Path
    plan: Plan
    accepted: set[str] = field(default_factory=set)
    lost_workers: set[int] = field(default_factory=set)
    stuck: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.plan.seed)
        self._workspace = Workspace(self.folder / "w")
        self._workspace.root.mkdir()
        self._disk = ExitStack()
        has_disk = self.plan.faults and self._disk.enter_context(disk_at(self._workspace.root))
        self._workspace.create()
        (self.folder / "t").mkdir()
        (self.folder / "h").mkdir()
        self._url = self.plan.database or self._workspace.database_url
        self._environment = {
            "TMPDIR": str(self.folder / "t"),
            VARIABLE: str(self._workspace.root),
            "CLOUDO_DATABASE_URL": self._url,
        }
        self._store = Store.open(self._url, key_file=self._workspace.key_file)
        self._api = Service(self._store, Catalog(self._workspace), user_name="chaos")
        self._api.save_setting(MAX_RUNNING, self.plan.at_once)
        self._flows = marks.write_flows(self._workspace.root)["real" if self.plan.real else "light"]
        self._killer = Killer(self._workspace.root, self._chance)
        self.machine = Machine(self._workspace.state, self._chance, lock_seconds=self.plan.lock, has_disk=has_disk)
        self.promises = Promises()
        self._workers: list[Worker] = []
        self._server: RunningServer | None = None
        self._worker_options: tuple[str, ...] = ()
        self._port = free_port()
        self._is_over = threading.Event()

    def run(self) -> Reckoning:
        """Do it all, and reckon."""
        with self._disk:
            return self._run()

    def _run(self) -> Reckoning:
        loader = threading.Thread(target=self._load, name="load", daemon=True)
        try:
            self._start_what_is_missing()
            loader.start()
            self._kill()
            self._is_over.set()
            loader.join()
            self._killer.look(until_all_are_due=True)
            self._drain()
            self._stop()
        finally:
            self._is_over.set()
            for worker in self._workers:
                end_worker(worker)
            if self._server is not None:
                self._server.process.kill()
                self._server.process.wait()
        self._store.close()
        with closing(Store.open(self._url)) as store:  # as after a restart
            found = reckon(self, store, self._killer, self._workspace.root)
        found.faults += self.promises.broken(self._url)
        found.promises = sum(map(len, self.promises.kept.values()))
        found.machine = self.machine.faults
        return found

    def _start_what_is_missing(self) -> None:
        self._workers = [worker for worker in self._workers if worker.poll() is None]
        while len(self._workers) < self.plan.workers:
            self._workers.append(
                start_worker(self._workspace.root, *self._worker_options, environment=self._environment)
            )
        if self.plan.server and (self._server is None or self._server.process.poll() is not None):
            self._server = start_server(
                self._workspace.root,
                self.folder / "h",
                extensions=WITHOUT_LAB,
                token="chaos",
                port=self._port,
                environment=self._environment,
                is_forked=CAN_FORK,
            )
            self._start(self._flows[0])  # the first request opens the engine

    def _kill(self) -> None:
        end = time.monotonic() + self.plan.seconds
        while self._killer.kills.total() < self.plan.kills and time.monotonic() < end:
            self._is_over.wait(self._chance.uniform(0.05, self.plan.pause))
            if self.plan.faults:
                self.machine.break_for_a_while([psutil.Process(worker.pid) for worker in self._workers])
            roots = {"worker": [psutil.Process(worker.pid) for worker in self._workers]}
            if self._server is not None:
                roots["server"] = [psutil.Process(self._server.process.pid)]
            victim = self._killer.kill(roots)
            if victim is not None:
                self.lost_workers.add(victim.pid)
                for worker in [one for one in self._workers if one.pid == victim.pid]:
                    end_worker(worker)
                if self._server is not None and self._server.process.pid == victim.pid:
                    self._server.process.wait()
                self._start_what_is_missing()
            self._killer.look()

    def _load(self) -> None:
        while not self._is_over.wait(0.1):
            self._ask_for_more()
            try:
                waiting = len(self._unended())
            except CloudoError:
                continue
            for _ in range(3 * self.plan.at_once - waiting):
                self._start(self._chance.choice(self._flows))

    def _ask_for_more(self) -> None:
        """Have every other door promise something, a few hundred times at most."""
        if len(self.promises.kept["schedule"]) >= _MAX_PROMISES:
            return
        if self._server is None:
            self.promises.ask(self._api)
            return
        client = self._server.client()
        try:
            self.promises.ask(client)
        finally:
            client.close()

    def _start(self, flow_name: str) -> None:
        """Start one over REST where there is a server that answers, else at the store."""
        server = self._server
        if server is not None:
            try:
                reply = httpx.post(
                    f"{server.api}/execution",
                    json={"flow_name": flow_name},
                    headers={"Authorization": f"token {server.token}"},
                    timeout=30,
                )
            except httpx.HTTPError:
                return  # it was killed meanwhile
            if reply.status_code == 201:
                self.accepted.add(reply.json()["id"])
            return
        try:
            self.accepted.add(self._api.start_execution(StartExecution(flow_name=flow_name)).id)
        except CloudoError:
            return

    def _unended(self) -> set[str]:
        page = self._api.executions(ExecutionFilter(status=UNENDED), limit=500)
        return {execution.id for execution in page.items}

    def _drain(self) -> None:
        """Wait until everything has ended, or nothing has for two leases."""
        left, since = self._unended(), time.monotonic()
        while left:
            time.sleep(0.2)
            now = self._unended()
            if now != left:
                left, since = now, time.monotonic()
            elif time.monotonic() - since > 2 * LEASE_SECONDS:
                self.stuck = [self._told(execution_id) for execution_id in sorted(left)]
                return

    def _told(self, execution_id: str) -> str:
        one = self._api.execution(execution_id)
        return (
            f"{one.id} ({one.status}, attempt {one.attempt}, started {one.started_at}, {one.message}, {one.progress})"
        )

    def _stop(self) -> None:
        if self._server is not None:
            self._server.stop()
        for worker in self._workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self._workers:
            worker.wait(timeout=30)
