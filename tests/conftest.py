"""Fixtures of tests that have a store and its service in a `workspace` of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    store = Store.open(workspace.database_url)
    yield store
    store.close()


@pytest.fixture
def api(store: Store, workspace: Workspace) -> Service:
    return Service(store, Catalog(workspace), user_name="ada")
