from __future__ import annotations

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
from tests.databases import Databases

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


def with_workers(store: Store) -> None:
    """Prepare a store without executions."""
    store.settings.save(MAX_RUNNING, 2, user_name="ada")
    for worker_id in ("w", "w1", "w2", "w3", "private"):
        store.workers.register(worker_id, private=worker_id == "private")


@pytest.fixture
def store(tmp_path: Path, clock: Clock, databases: Databases) -> Iterator[Store]:
    with (
        databases.copy(tmp_path / "store.sqlite", with_workers, clock=Clock()) as url,
        closing(Store.open(url, clock=clock, key_file=tmp_path / "key")) as store,
    ):
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
