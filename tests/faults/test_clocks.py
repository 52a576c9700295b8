"""Workers whose machines' clocks are ten minutes apart, on one PostgreSQL whose clock is right."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from cloudo_kernel.models import CreateSchedule, Execution, ExecutionFilter, Occurrence
from cloudo_kernel.models.schedules import OccurrenceOutcome
from cloudo_kernel.service import Service
from cloudo_kernel.workspace.layout import Workspace
from tests import workers
from tests.server import until
from tests.workers import Worker

#: Debian's `faketime`, as a library that changes the clock of a whole process.
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)

pytestmark = pytest.mark.skipif(
    LIBRARY is None and "CI" not in os.environ, reason="Debian's package faketime is not installed"
)


@pytest.fixture
def start_wrong(workspace: Workspace) -> Iterator[Callable[[str], Worker]]:
    """Start workers whose clock is wrong by an offset, such as `-5m`."""
    started: list[Worker] = []

    def start(offset: str) -> Worker:
        clock = ("env", f"LD_PRELOAD={LIBRARY}", f"FAKETIME={offset}", "FAKETIME_DONT_FAKE_MONOTONIC=1")
        started.append(workers.start_worker(workspace.root, through=clock))
        return started[-1]

    yield start
    for worker in started:
        workers.end_worker(worker)


def runs(api: Service) -> list[Execution]:
    return list(api.executions(ExecutionFilter(flow_name="quick"), limit=500).items)


@pytest.mark.db("postgresql")
@pytest.mark.timeout(180)
def test_each_time_of_a_schedule_runs_once_and_neither_early_nor_late(
    api: Service, start_wrong: Callable[[str], Worker]
) -> None:
    ahead = start_wrong("+5m")
    start_wrong("-5m")
    assert len(api.workers()) == 2
    request = {"flow_name": "quick", "trigger": {"every_seconds": 1, "wait": False}, "overlap": "allow"}
    schedule = api.create_schedule(CreateSchedule.model_validate(request))

    def occurrences() -> list[Occurrence]:
        found = list(api.occurrences(schedule.id, limit=500).items)
        assert all(one.due <= datetime.now(UTC) for one in found)
        return found

    until(lambda: len(occurrences()) > 4)
    assert len(api.workers()) == 2
    workers.end_worker(ahead)
    until(lambda: occurrences()[0].due > datetime.now(UTC) - timedelta(seconds=1) and len(occurrences()) > 9)
    api.pause_schedule(schedule.id)
    found = occurrences()
    assert {one.outcome for one in found} == {OccurrenceOutcome.STARTED}
    dues = sorted(one.due for one in found)
    assert {later - earlier for earlier, later in pairwise(dues)} == {timedelta(seconds=1)}
    assert all(one.lateness_seconds < 60 for one in found)
    until(lambda: all(one.is_ended for one in runs(api)))
    assert sorted(one.id for one in runs(api)) == sorted(one.execution_id for one in found)
    assert {one.error.name for one in runs(api) if one.error} <= {"WorkerLost"}
    assert all(one.created_at <= one.ended_at <= datetime.now(UTC) for one in runs(api))
