from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudo_kernel.api import Api
from cloudo_kernel.models import Execution, Origin, StartExecution
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.worker.worker import Worker
from cloudo_kernel.workspace.catalog import Catalog, library_folders
from cloudo_kernel.workspace.layout import Workspace
from tests.databases import Databases
from tests.flows import write_flow
from tests.postgresql import is_installed
from tests.server import WITHOUT_LAB, Servers


@dataclass(frozen=True)
class End:
    """One end of `Api`, and the workspace behind it. Tests share it: each uses flows of its own."""

    api: Api
    #: A second caller, another user where the end can tell users apart.
    other: Api
    workspace: Path

    def flow(self, *sources: str, parameters: str | None = None, metadata: dict[str, Any] | None = None) -> str:
        """Write a flow under a new name, which is returned."""
        name = f"contract/{uuid.uuid4().hex}"
        write_flow(self.workspace, name, *sources or ("1",), parameters=parameters, metadata=metadata)
        return name

    def later(self, flow_name: str, **fields: object) -> Execution:
        """Start an execution that stays `PENDING`."""
        request = StartExecution.model_validate({"flow_name": flow_name, "delay_seconds": 1e6, **fields})
        return self.api.start_execution(request)


@pytest.fixture(scope="package")
def over_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[End]:
    """A client of a real server: one for all files, which each switch between the ends."""
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        server = servers.start(None, "--Cloudo.user_name=ada")
        with server.client(trigger=Origin.CLI) as one, server.client(trigger=Origin.CLI) as other:
            yield End(one, other, server.workspace)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test of `Api` on both ends, and if it is marked `db` also with a store in PostgreSQL."""
    if "end" in metafunc.fixturenames:
        ends = ["in process", "over HTTP"]
        if metafunc.definition.get_closest_marker("db") and is_installed():
            ends.insert(1, "on PostgreSQL")
        metafunc.parametrize("end", ends, indirect=True, scope="package")


@pytest.fixture(scope="package")
def end(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[End]:
    """The ends, one after the other: the service itself, and a client of a real server."""
    if request.param == "over HTTP":
        yield request.getfixturevalue("over_http")
        return
    kind = "postgresql" if request.param == "on PostgreSQL" else "sqlite"
    databases: Databases = request.getfixturevalue(f"{kind}_databases")
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    workspace.create()
    with databases.copy(workspace.state / "cloudo.sqlite") as url:
        yield from _in_process(workspace, url)


def _in_process(workspace: Workspace, url: str) -> Iterator[End]:
    store = Store.open(url, key_file=workspace.key_file)
    catalog = Catalog(workspace, library=library_folders())
    worker = Worker(store, catalog)
    worker.start()
    one, other = (Service(store, catalog, user_name=name, trigger=Origin.CLI) for name in ("ada", "grace"))
    yield End(one, other, workspace.root)
    worker.stop()
    store.close()
