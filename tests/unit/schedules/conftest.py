from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cloudo_kernel.service import Service
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow
from tests.unit.conftest import Clock


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "work")
    workspace.create()
    write_flow(workspace.root, "report", "1", parameters="n: int = 1\niterations: int = 0")
    write_flow(workspace.root, "anything", "1")
    return workspace


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without schedules, to be copied: making one takes ten times as long."""
    path = tmp_path_factory.mktemp("new") / "cloudo.sqlite"
    with closing(Store.open(f"sqlite:///{path}", clock=Clock())) as store:
        store.workers.register("w", private=False)
        store.settings.save(MAX_RUNNING, 100, user_name="ada")
    return path


@pytest.fixture
def store(workspace: Workspace, clock: Clock, new_store: Path) -> Iterator[Store]:
    shutil.copy(new_store, workspace.state)
    with closing(Store.open(workspace.database_url, clock=clock)) as store:
        yield store


@pytest.fixture
def api(store: Store, workspace: Workspace) -> Service:
    return Service(store, Catalog(workspace), user_name="ada")
