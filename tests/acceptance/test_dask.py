"""The executor `dask` with a cluster of its own programs: bad Dask workers, secrets, cancelling, a lost dispatcher."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography.fernet import Fernet
from distributed import Client, Scheduler
from distributed import Worker as DaskWorker

from cloudo_kernel.dask.executor import DaskExecutor
from cloudo_kernel.errors import Unavailable
from cloudo_kernel.models import StartExecution, Status
from cloudo_kernel.service import Service
from cloudo_kernel.settings import LINGER_SECONDS
from cloudo_kernel.store import Store
from cloudo_kernel.worker.executor import ExecutorContext
from cloudo_kernel.worker.slots import WorkerSlots
from cloudo_kernel.worker.worker import Worker
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.dask_cluster import DaskCluster
from tests.databases import Databases
from tests.flows import write_flow
from tests.server import until
from tests.workers import is_alive

pytestmark = [pytest.mark.timeout(180), pytest.mark.db("postgresql")]

MINUTE = timedelta(minutes=1)
PASSWORD, SECRET = secrets.token_hex(16), secrets.token_hex(16)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "workspace")
    workspace.root.mkdir()
    workspace.create()
    write_flow(
        workspace.root,
        "quick",
        "print(word)\nthis.set_output('length', len(word))",
        parameters="word = 'x'",
        metadata={"protect_inputs": ["word"]},
    )
    for name in ("cancelled", "lost"):
        path = str(tmp_path / name)
        note = f"import os, pathlib\npathlib.Path({path!r}).write_text(f'{{os.getpid()}} {{os.getppid()}}')"
        write_flow(workspace.root, name, note, "import time\nwhile True: time.sleep(0.05)")
    return workspace


@pytest.fixture
def store(workspace: Workspace, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store whose URL has a password, and whose key exists."""
    with databases.copy(workspace.state / "unused") as without:
        url = without.replace("cloudo@", f"cloudo:{PASSWORD}@")
        monkeypatch.setenv("CLOUDO_DATABASE_URL", url)
        store = Store.open(url, key_file=workspace.key_file)
        store.encryption.digest("")
        yield store
        store.close()


def environment(workspace: Workspace) -> dict[str, str]:
    return {"CLOUDO_DATABASE_URL": workspace.database_url, "CLOUDO_KEY_FILE": str(workspace.key_file)}


@contextmanager
def started(store: Store, workspace: Workspace, dask: DaskCluster) -> Iterator[Worker]:
    worker = Worker(store, Catalog(workspace), executor="dask", dask_address=dask.address)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def start(api: Service, flow_name: str, **inputs: str) -> str:
    return api.start_execution(StartExecution(flow_name=flow_name, inputs=inputs)).id


def processes(path: Path) -> list[psutil.Process]:
    """Return kernel and runner of a flow, once its first cell has ended."""
    until(lambda: path.exists() and " " in path.read_text())
    return [psutil.Process(int(pid)) for pid in path.read_text().split()]


def test_dask_workers_that_cannot_run_executions_are_named_and_left_out(
    store: Store, api: Service, workspace: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, old = environment(workspace), tmp_path / "old"
    other_key = tmp_path / "other.key"
    other_key.write_bytes(Fernet.generate_key())
    (old / "cloudo-0.0.9.dist-info").mkdir(parents=True)
    (old / "cloudo-0.0.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: cloudo\nVersion: 0.0.9\n")
    reasons = [
        "CLOUDO_DATABASE_URL and CLOUDO_KEY_FILE must be set in its environment.",
        "its CLOUDO_KEY_FILE has another key.",
        "its CLOUDO_DATABASE_URL names another database.",
        "it has Cloudo 0.0.9, and this worker has",
        "it cannot load Cloudo (ModuleNotFoundError",
    ]
    with DaskCluster(tmp_path, good, workers=0) as dask:
        with started(store, workspace, dask):
            execution_id = start(api, "quick")
            dask.add_worker("bare", {})
            dask.add_worker("other-key", good | {"CLOUDO_KEY_FILE": str(other_key)})
            dask.add_worker("other-database", good | {"CLOUDO_DATABASE_URL": f"sqlite:///{tmp_path}/other.sqlite"})
            dask.add_worker("old", good | {"PYTHONPATH": str(old)})
            dask.add_worker("without", good, has_cloudo=False)
            until(lambda: all(reason in caplog.text for reason in reasons), what=lambda: f"{caplog.text}\n{dask.log}")
            assert api.execution(execution_id).status is Status.PENDING
            dask.add_worker("good", good)
            assert api.wait(execution_id, timeout=MINUTE).status is Status.ENDED_SUCCESS
        with pytest.raises(Unavailable) as refused, started(store, workspace, dask):
            pass
        assert [reason for reason in reasons if reason not in str(refused.value)] == []
        assert PASSWORD not in str(refused.value) + caplog.text + dask.log


def test_a_cluster_learns_no_secret_and_a_cancelled_or_lost_run_leaves_no_process(
    store: Store, api: Service, workspace: Workspace, tmp_path: Path
) -> None:
    with DaskCluster(tmp_path, environment(workspace)) as dask:
        # A dispatcher whose heart does not beat.
        store.workers.register("lost", private=False)
        context = ExecutorContext(
            store=store,
            catalog=Catalog(workspace),
            slots=WorkerSlots(store, "lost", None),
            linger_seconds=LINGER_SECONDS,
            address=dask.address,
        )
        ends: list[bool] = []
        lost = DaskExecutor(context)
        lost.start(lambda *, is_reported: ends.append(is_reported))
        lost_id = start(api, "lost")
        [claim] = store.queue.claim("lost", free=1)
        lost.submit(claim)
        of_lost = processes(tmp_path / "lost")

        with started(store, workspace, dask):
            told = start(api, "quick", word=SECRET)
            assert api.wait(told, timeout=MINUTE).output_value == {"length": len(SECRET)}
            cancelled = start(api, "cancelled")
            of_cancelled = processes(tmp_path / "cancelled")
            with Client(dask.address, set_as_default=False) as client:
                seen = everything(client, dask, tmp_path)
            assert told in seen
            assert cancelled in seen
            assert str(workspace.root) in seen
            key = workspace.key_file.read_text().strip()
            assert [text for text in (PASSWORD, SECRET, key) if text in seen] == []

            api.cancel_execution(cancelled)
            until(lambda: not any(map(is_alive, of_cancelled)), seconds=3)
            assert api.wait(cancelled, timeout=MINUTE).status is Status.ENDED_CANCELLED

        until(lambda: api.execution(lost_id).is_ended)
        assert api.execution(lost_id).error.name == "WorkerLost"
        until(lambda: not any(map(is_alive, of_lost)))
        lost.end()
        assert ends == [True]


def everything(client: Client, dask: DaskCluster, folder: Path) -> str:
    """Return all that another client of the cluster can learn without asking for the environment of a Dask worker."""

    def of_scheduler(dask_scheduler: Scheduler) -> str:
        tasks = [(task.key, repr(task.run_spec), task.annotations) for task in dask_scheduler.tasks.values()]
        log = dask_scheduler.transition_log
        return repr((dict(os.environ), tasks, log, dask_scheduler.worker_plugins, dask_scheduler.get_events()))

    def of_worker(dask_worker: DaskWorker) -> str:
        import pickle

        tasks = [(key, repr(vars(task))) for key, task in dask_worker.state.tasks.items() if hasattr(task, "__dict__")]
        plugin = dask_worker.plugins["cloudo"]
        return repr((tasks, dask_worker.state.stimulus_log, repr(plugin), pickle.dumps(plugin)))

    client.dump_cluster_state(str(folder / "dump"), format="yaml")
    logs: tuple[Any, ...] = (client.get_scheduler_logs(), client.get_worker_logs())
    lines = [process.cmdline() for process in psutil.Process(dask.scheduler.pid).children(recursive=True)]
    lines += [
        one.cmdline() for worker in dask.running(dask.workers) for one in (worker, *worker.children(recursive=True))
    ]
    parts = (client.run_on_scheduler(of_scheduler), client.run(of_worker), logs, lines, dask.log)
    return (folder / "dump.yaml").read_text() + repr(parts)
