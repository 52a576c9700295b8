"""Fixtures of tests that have a store and its service in a `workspace` of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from cloudo_kernel.processes.zygotes import shared_zygotes
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.databases import Databases
from tests.postgresql import cluster, is_installed

# jsonschema imports it to check IRIs, and building its grammar takes a second in each process of the tests.
sys.modules.setdefault("rfc3987_syntax", None)  # None makes the import fail

# Workers within the tests' processes: pandas and matplotlib take seconds to import, and these tests need neither.
shared_zygotes(())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test marked `db` on both databases, or on those that the mark names."""
    mark = metafunc.definition.get_closest_marker("db")
    if mark is not None and "databases" in metafunc.fixturenames:
        named = mark.args or ("sqlite", "postgresql")
        found = [name for name in named if name == "sqlite" or is_installed()]
        metafunc.parametrize("databases", found or named, indirect=True)  # a test of PostgreSQL alone is skipped


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the first failure of each test that ran twice (docs/decisions/0028-run-twice-in-ci.md)."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.write_sep("_", f"Ran once more: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


@pytest.fixture
def databases(request: pytest.FixtureRequest) -> Databases:
    """The databases of a test: SQLite, and for a test marked `db` also PostgreSQL."""
    found: Databases = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_databases")
    return found


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return Databases(tmp_path_factory.mktemp("templates"))


@pytest.fixture(scope="session")
def postgresql_databases(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Databases:
    return Databases(tmp_path_factory.mktemp("templates"), cluster(tmp_path_factory, worker_id))


@pytest.fixture
def store(workspace: Workspace, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with databases.copy(workspace.state / "cloudo.sqlite") as url:
        if databases.is_postgresql:  # also for the processes that the test starts
            monkeypatch.setenv("CLOUDO_DATABASE_URL", url)
        with closing(Store.open(url, key_file=workspace.key_file)) as store:
            yield store


@pytest.fixture
def api(store: Store, workspace: Workspace) -> Service:
    return Service(store, Catalog(workspace), user_name="ada")
