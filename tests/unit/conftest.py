from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from cloudo_kernel.models import ExecutionType, Origin
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import NewExecution, Store

# On a busy machine, or when coverage is measured, an example takes longer than Hypothesis expects.
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without executions, to be copied: making one takes ten times as long."""
    path = tmp_path_factory.mktemp("new") / "store.sqlite"
    with closing(Store.open(f"sqlite:///{path}", clock=Clock())) as store:
        store.settings.save(MAX_RUNNING, 2, user_name="ada")
        for worker_id in ("w", "w1", "w2", "w3", "private"):
            store.workers.register(worker_id, private=worker_id == "private")
    return path


@pytest.fixture
def store(tmp_path: Path, clock: Clock, new_store: Path) -> Iterator[Store]:
    shutil.copy(new_store, tmp_path)
    with closing(Store.open(f"sqlite:///{tmp_path / new_store.name}", clock=clock)) as store:
        yield store


@pytest.fixture
def new() -> Callable[..., NewExecution]:
    def new(**more: Any) -> NewExecution:
        values: dict[str, Any] = {
            "id": new_id(),
            "name": "report",
            "type": ExecutionType.FLOW,
            "flow_name": "report",
            "input_value": {},
            "trigger": Origin.API,
            "user_name": "ada",
            "source_text": "{}",
            "source_sha256": "44136fa3",
            "kernel": "cloudo",
            "folder": "/",
            **more,
        }
        return NewExecution(**values)

    return new


@pytest.fixture
def add(store: Store, new: Callable[..., NewExecution]) -> Callable[..., str]:
    return lambda **more: store.executions.insert(new(**more)).id
