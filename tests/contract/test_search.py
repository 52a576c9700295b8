"""A worker brings the index of texts up to date, beside its work."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cloudo_kernel.models import ExecutionFilter, StartExecution
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.store.executions.text_index import TextIndex
from cloudo_kernel.worker import housekeeping
from cloudo_kernel.worker.worker import Worker
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.server import until


def test_a_worker_keeps_the_index_of_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "_TEXTS_SECONDS", 0.1)
    workspace = Workspace(tmp_path)
    workspace.create()
    store = Store.open(workspace.database_url, key_file=workspace.key_file)
    store.texts = store.executions._texts = TextIndex(store._database, least=0)
    service = Service(store, Catalog(workspace), user_name="ada")
    worker = Worker(store, Catalog(workspace))
    worker.start()
    try:
        later = {"script": "1", "delay_seconds": 3600}
        needle = service.start_execution(StartExecution(name="a needle", **later)).id
        until(lambda: _entries(workspace.state) == 1)
        service.cancel_execution(needle)
        service.delete_execution(needle)
        until(lambda: _entries(workspace.state) == 0)
        assert service.executions(ExecutionFilter(q="needle")).items == ()
    finally:
        worker.stop()
        store.close()


def _entries(state: Path) -> int | None:
    """Return how many entries the index has, None when it is not there yet."""
    try:
        with closing(sqlite3.connect(f"{(state / 'search.sqlite').as_uri()}?mode=rw", uri=True)) as index:
            [(number,)] = index.execute("SELECT count(*) FROM texts")
            return int(number)
    except sqlite3.OperationalError:
        return None
