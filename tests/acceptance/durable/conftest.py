from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudo_kernel.models import StartExecution
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.worker.worker import Worker
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.acceptance.durable.flows import CHILD, Start
from tests.flows import write_flow


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.create()
    write_flow(tmp_path, "child", CHILD)
    return workspace


@pytest.fixture
def worker(store: Store, workspace: Workspace) -> Iterator[Worker]:
    worker = Worker(store, Catalog(workspace), linger_seconds=0.3)
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def start(api: Service, workspace: Workspace) -> Start:
    """Write a durable flow and start it."""

    def start(*sources: str, **metadata: object) -> str:
        write_flow(workspace.root, "parent", *sources, metadata={"durable": True, **metadata})
        return api.start_execution(StartExecution(flow_name="parent")).id

    return start
