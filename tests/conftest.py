"""Fixtures of tests that have a store and its service in a `workspace` of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from cloudo_kernel.processes.zygotes import shared_zygotes
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace

# jsonschema imports it to check IRIs, and building its grammar takes a second in each process of the tests.
sys.modules.setdefault("rfc3987_syntax", None)  # None makes the import fail

# Workers within the tests' processes: pandas and matplotlib take seconds to import, and these tests need neither.
shared_zygotes(())


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    store = Store.open(workspace.database_url)
    yield store
    store.close()


@pytest.fixture
def api(store: Store, workspace: Workspace) -> Service:
    return Service(store, Catalog(workspace), user_name="ada")
