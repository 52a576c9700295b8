from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cloudo_kernel.service import Service
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.databases import Databases
from tests.flows import write_flow
from tests.unit.conftest import Clock


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "work")
    workspace.create()
    write_flow(workspace.root, "report", "1", parameters="n: int = 1\niterations: int = 0")
    write_flow(workspace.root, "anything", "1")
    return workspace


def with_one_worker(store: Store) -> None:
    """Prepare a store without schedules."""
    store.workers.register("w", private=False)
    store.settings.save(MAX_RUNNING, 100, user_name="ada")


@pytest.fixture
def store(workspace: Workspace, clock: Clock, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with databases.copy(workspace.state / "cloudo.sqlite", with_one_worker, clock=Clock()) as url:
        if databases.is_postgresql:
            monkeypatch.setenv("CLOUDO_DATABASE_URL", url)
        with closing(Store.open(url, clock=clock, key_file=workspace.key_file)) as store:
            yield store


@pytest.fixture
def api(store: Store, workspace: Workspace) -> Service:
    return Service(store, Catalog(workspace), user_name="ada")
