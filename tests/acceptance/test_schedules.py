"""Schedules that outlive their server."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from cloudo_kernel.catalog import Catalog
from cloudo_kernel.models import CreateSchedule, ExecutionFilter, ScheduleTrigger, Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace import Workspace
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, Servers, until

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB, config={"Cloudo": {"preload": []}}) as servers:
        yield servers


@pytest.fixture
def server(servers: Servers) -> RunningServer:
    server = servers.start()
    write_flow(server.workspace, "quick", "1")
    write_flow(server.workspace, "endless", "import time\nwhile True: time.sleep(0.1)")
    return server


def test_what_was_due_while_all_were_dead_runs_once_when_a_server_is_back(
    servers: Servers, server: RunningServer
) -> None:
    with server.client() as api:
        grid = ScheduleTrigger(every_seconds=2, wait=False, max_iterations=3)
        made = [
            api.create_schedule(CreateSchedule(flow_name="quick", trigger=trigger, overlap="allow", catch_up="all"))
            for trigger in (ScheduleTrigger(delay_seconds=2), grid)
        ]
        until(lambda: api.schedule(made[1].id).iterations == 1)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    time.sleep(4)  # both other times of the grid come and pass
    others = [servers.start(server.workspace) for _ in range(2)]
    with others[0].client() as api:
        until(lambda: all(api.schedule(one.id).next_run is None for one in made), seconds=60)
        for one, count in zip(made, (1, 3), strict=True):
            seen = api.occurrences(one.id).items
            assert [occurrence.iteration for occurrence in seen] == list(range(count, 0, -1))
            executions = api.executions(ExecutionFilter(schedule_id=one.id)).items
            assert {execution.id for execution in executions} == {occurrence.execution_id for occurrence in seen}
            for execution in executions:
                assert api.wait(execution.id, timeout=MINUTE).is_ended
            late = [occurrence.lateness_seconds for occurrence in seen]
            assert late[0] is not None
            assert late[0] > 0.1, "it was not there in time"


def test_a_killed_run_lets_the_interval_from_its_end_go_on(servers: Servers, server: RunningServer) -> None:
    with server.client() as api:
        made = api.create_schedule(CreateSchedule(flow_name="endless", trigger=ScheduleTrigger(every_seconds=1)))
        where = ExecutionFilter(schedule_id=made.id)
        until(lambda: [one for one in api.executions(where).items if one.progress.total], seconds=60)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    with servers.start(server.workspace).client() as api:
        until(lambda: api.schedule(made.id).iterations == 2, seconds=60)
        [second, first] = api.occurrences(made.id).items
        assert first.execution_id is not None
        lost = api.execution(first.execution_id)
        assert (lost.status, lost.error and lost.error.name) == (Status.ENDED_ERROR, "WorkerLost")
        assert second.due - lost.ended_at == timedelta(seconds=1)
        api.delete_schedule(made.id)
        api.cancel_execution(second.execution_id)


def test_a_store_that_comes_later_than_its_server_has_its_schedules_looked_after(
    servers: Servers, tmp_path: Path
) -> None:
    """Nobody asks the server for anything: a database or a disk may come up after it, with nobody there."""
    here, away = tmp_path / "disk", tmp_path / "away"
    here.mkdir()
    url = f"sqlite:///{here / 'store.sqlite'}"
    workspace = Workspace(tmp_path / "work")
    workspace.create()
    write_flow(workspace.root, "quick", "1")
    store = Store.open(url)
    api = Service(store, Catalog(workspace), user_name="ada")
    made = api.create_schedule(CreateSchedule(flow_name="quick", trigger=ScheduleTrigger(delay_seconds=1)))
    store.close()
    here.rename(away)
    server = servers.start(workspace.root, environment={"CLOUDO_DATABASE_URL": url})
    until(lambda: httpx.get(f"{server.api}/health").status_code == 503)
    away.rename(here)
    store = Store.open(url)
    api = Service(store, Catalog(workspace), user_name="ada")
    until(lambda: api.occurrences(made.id).items, seconds=60)
    until(lambda: httpx.get(f"{server.api}/health").status_code == 200)
    store.close()
