from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import tickers
from tests.chaos.dask import DaskChaos, DaskPlan
from tests.chaos.harness import Chaos, Plan
from tests.databases import Databases


@pytest.fixture
def database(databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a PostgreSQL database, which processes use that have no other; empty for SQLite."""
    if not databases.is_postgresql:
        yield ""
        return
    with databases.copy(tmp_path / "unused") as url:
        monkeypatch.setenv("CLOUDO_DATABASE_URL", url)
        yield url


@pytest.mark.db
@pytest.mark.timeout(180)
def test_killing_processes_at_random_loses_and_doubles_nothing(database: str) -> None:
    seed = random.randrange(10**6)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        plan = Plan(kills=5 if database else 10, seconds=25, seed=seed, pause=1.0, database=database)
        found = Chaos(Path(folder), plan).run()
    assert found.faults == [], f"seed {seed}\n{found.table()}"
    assert found.kills.total() > 3
    assert found.accepted > 3


@pytest.mark.timeout(240)
def test_killing_dask_workers_and_their_scheduler_loses_and_doubles_nothing() -> None:
    seed = random.randrange(10**6)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        plan = DaskPlan(kills=0, seconds=0, seed=seed, workers=1, dask_workers=2, schedulers=1, pause=0.5)
        found = DaskChaos(Path(folder), plan).run()
    assert found.faults == [], f"seed {seed}\n{found.table()}"
    assert found.kills == {"Dask worker": 2, "Dask scheduler": 1}
    assert found.accepted > 3


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one process cannot limit another")
@pytest.mark.timeout(240)
def test_what_was_answered_is_found_again_whatever_goes_wrong_with_the_machine() -> None:
    seed = random.randrange(10**6)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        plan = Plan(kills=6, seconds=50, seed=seed, pause=1.0, server=True, workers=1, faults=True, lock=3.0)
        found = Chaos(Path(folder), plan).run()
    assert found.faults == [], f"seed {seed}\n{found.table()}"
    assert found.machine.total() > 2
    assert found.promises > 10
    assert found.accepted > 3


@pytest.mark.db
@pytest.mark.usefixtures("database")
@pytest.mark.timeout(120)
def test_killing_who_looks_after_the_schedules_loses_and_doubles_no_occurrence(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    found = tickers.run(tmp_path, tickers=3, occurrences=400, kills=6, per_second=50, seed=seed)
    assert found.faults == [], f"seed {seed}"
    assert found.occurrences == 400
