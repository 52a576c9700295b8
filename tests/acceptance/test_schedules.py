"""Schedules that outlive their server."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from cloudo_kernel.api import Api
from cloudo_kernel.models import (
    CatchUp,
    CreateSchedule,
    Execution,
    ExecutionFilter,
    Occurrence,
    Overlap,
    Schedule,
    ScheduleTrigger,
    Status,
)
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, Servers, until

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    # Not forked: these tests count on the seconds that a start takes.
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB, is_forked=False) as servers:
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


POLICIES = [(overlap, CatchUp.ALL) for overlap in Overlap]
POLICIES += [(Overlap.SKIP, CatchUp.LAST), (Overlap.SKIP, CatchUp.NONE)]


def test_an_absence_of_seconds_is_caught_up_as_each_schedule_says(servers: Servers, server: RunningServer) -> None:
    """A server is killed and is back after some seconds, under schedules with every policy."""
    write_flow(server.workspace, "short", "import time\ntime.sleep(0.6)")
    grid = ScheduleTrigger(every_seconds=2, wait=False, max_iterations=14)
    with server.client() as api:
        made = {
            policies: api.create_schedule(
                CreateSchedule(flow_name="short", trigger=grid, overlap=policies[0], catch_up=policies[1])
            )
            for policies in POLICIES
        }
        until(lambda: all(api.schedule(one.id).iterations >= 2 for one in made.values()), seconds=60)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    with open_store(server) as store:
        before = {policies: store.schedules.get(one.id).iterations for policies, one in made.items()}
    time.sleep(6)  # three times come, however soon after a start the server was killed
    with servers.start(server.workspace).client() as api:
        until(lambda: all(api.schedule(one.id).next_run is None for one in made.values()), seconds=90)
        seen = {policies: api.occurrences(one.id).items[::-1] for policies, one in made.items()}
        for one in (found for each in seen.values() for found in each if found.execution_id):
            assert api.wait(str(one.execution_id), timeout=MINUTE).is_ended
        runs = {one.id: one for each in made.values() for one in of_schedule(api, each)}
    with open_store(server) as store:
        [absence] = store.workers.absences(since=made[POLICIES[0]].created_at)
    for (overlap, catch_up), found in seen.items():
        assert sum(one.count for one in found) == 14, "each time counts"
        assert [one.iteration for one in found] == sorted(one.iteration or 0 for one in found)
        later = [one for one in found if (one.iteration or 0) > before[overlap, catch_up]]
        came = [one for one in later if one.due < absence.end]
        if catch_up is CatchUp.ALL:
            assert len(came) >= 3
            line = [one for one in later if one.reason is not None and one.outcome == "STARTED"]
            assert line[: len(came)] == came, f"{overlap}: all of them, and in order"
            ran = [runs[str(one.execution_id)] for one in line]
            assert {one.status for one in ran} == {Status.ENDED_SUCCESS}, overlap
            for run, following in pairwise(ran):
                assert run.ended_at is not None
                assert following.started_at is not None
                assert run.ended_at <= following.started_at, f"{overlap}: one after another"
            meanwhile = [one for one in later if one.due <= line[-1].due]
            assert meanwhile == line, f"{overlap}: those that come meanwhile queue behind them"
        else:
            outcome = {CatchUp.LAST: "COALESCED", CatchUp.NONE: "MISSED"}[catch_up]
            missed, newest = came
            assert missed.outcome.value == outcome
            # With `none` it is for `overlap` to decide: the killed run may have been put back into the queue.
            assert newest.outcome == "STARTED" or catch_up is CatchUp.NONE
            assert missed.count >= 2
            assert missed.until == newest.due - timedelta(seconds=2)


@contextmanager
def open_store(server: RunningServer) -> Iterator[Store]:
    store = Store.open(Workspace(server.workspace).database_url)
    yield store
    store.close()


def of_schedule(api: Api, schedule: Schedule) -> tuple[Execution, ...]:
    return api.executions(ExecutionFilter(schedule_id=schedule.id)).items


def test_an_absence_of_a_month_leaves_one_row_and_the_newest_time_starts_at_once(
    servers: Servers, tmp_path: Path
) -> None:
    """The last heartbeat is of 30 days ago; 2.6 million times of each second came since then."""
    workspace = Workspace(tmp_path)
    workspace.create()
    write_flow(tmp_path, "quick", "1")
    write_flow(tmp_path, "endless", "import time\nwhile True: time.sleep(0.1)")
    month = timedelta(days=30)
    store = Store.open(workspace.database_url, clock=lambda: datetime.now(UTC) - month)
    store.workers.register("killed", private=False)
    service = Service(store, Catalog(workspace), user_name="ada")
    triggers = (ScheduleTrigger(every_seconds=1, wait=False), ScheduleTrigger(cron="* * * * *"))
    requests = [CreateSchedule(flow_name="endless", trigger=trigger) for trigger in triggers]
    second, minute = [service.create_schedule(request) for request in requests]
    many = service.create_schedule(CreateSchedule(flow_name="quick", trigger=triggers[0], catch_up="all"))
    store.close()
    server = servers.start(tmp_path)
    with server.client() as api:
        until(lambda: api.schedule(second.id).iterations and api.schedule(minute.id).iterations, seconds=60)
        newest, missed = api.occurrences(second.id).items[-2:]
        assert (missed.due, missed.outcome.value, missed.iteration) == (second.start, "COALESCED", 1)
        assert missed.until == newest.due - timedelta(seconds=1)
        assert missed.count == newest.iteration - 1 == (newest.due - second.start) / timedelta(seconds=1)
        assert missed.count > 2_591_000
        [started] = of_schedule(api, second)
        assert newest.execution_id == started.id
        assert newest.lateness_seconds is not None
        assert newest.lateness_seconds < 20, "it is the newest time, and was not kept from starting"
        missed = api.occurrences(minute.id).items[-1]
        assert (missed.outcome.value, missed.count) in [("COALESCED", 43_199), ("COALESCED", 43_200)]
        # With `all` it is bounded, and says so.
        until(lambda: api.schedule(many.id).iterations > 2_580_000, seconds=60)
        first = store_occurrence(workspace, many)
        assert (first.outcome.value, first.count > 2_580_000) == ("MISSED", True)
        assert first.reason == "more than 10,000 runs were missed, and the newest 10,000 are caught up"
        for one in (second, minute, many):
            api.delete_schedule(one.id)


def store_occurrence(workspace: Workspace, schedule: Schedule) -> Occurrence:
    """Return the first occurrence of a schedule."""
    store = Store.open(workspace.database_url)
    [found] = store.occurrences.page(schedule.id, limit=1, before=schedule.start + timedelta(seconds=1))
    store.close()
    return found


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
