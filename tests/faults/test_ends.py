"""Ends of runs that the store does not take, whatever the reason, and workers that have to go on."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

from cloudo_kernel.models import Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.layout import Workspace
from tests.faults.conftest import begun, start
from tests.server import until
from tests.workers import StartWorker

MINUTE = timedelta(minutes=1)


@contextmanager
def refused(workspace: Workspace, ends: str) -> Iterator[None]:
    """Have the database refuse ends of executions, as a violated constraint does."""
    with closing(sqlite3.connect(workspace.state / "cloudo.sqlite", timeout=30)) as database:
        database.execute(
            f"CREATE TRIGGER refusal BEFORE UPDATE OF status ON executions WHEN NEW.status GLOB '{ends}' "
            "BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
        )
        database.commit()
        yield
        database.execute("DROP TRIGGER refusal")
        database.commit()


def test_an_end_that_cannot_be_recorded_is_told_in_its_place(
    workspace: Workspace, api: Service, start_worker: StartWorker
) -> None:
    start_worker("--slots", "1")
    with refused(workspace, "ENDED_SUCCESS"):
        ended = api.wait(start(api, "quick"), timeout=MINUTE)
    assert ended.error is not None
    assert (ended.status, ended.error.name) == (Status.ENDED_ERROR, "ReportFailed")
    assert "IntegrityError" in ended.error.value
    assert api.wait(start(api, "quick"), timeout=MINUTE).status is Status.ENDED_SUCCESS  # the slot is free
    log = (workspace.state / "worker-errors.log").read_text()
    assert log.count("fails and is retried: (sqlite3.IntegrityError) refused by the test") == 1
    assert "cannot be used" not in log  # the store is well


def test_an_end_that_is_never_recorded_keeps_no_slot_and_no_worker(
    workspace: Workspace, store: Store, api: Service, start_worker: StartWorker
) -> None:
    worker = start_worker("--slots", "1")
    with refused(workspace, "ENDED_*"):
        stuck = start(api, "quick")
        until(lambda: begun(workspace) == [stuck], seconds=60)
        log = workspace.state / "worker-errors.log"
        until(lambda: "The loop dispatcher fails and is retried" in log.read_text(), seconds=60)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=30) == 0
        assert api.execution(stuck).status is Status.RUNNING
    assert store.workers.all(), "its registration is what tells the next worker"
    start_worker()
    ended = api.wait(stuck, timeout=MINUTE)
    assert ended.error is not None
    assert ended.error.name == "WorkerLost"
    assert api.wait(start(api, "quick"), timeout=MINUTE).status is Status.ENDED_SUCCESS
