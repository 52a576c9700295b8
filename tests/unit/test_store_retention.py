"""What is past its retention is deleted in small steps, between which others write."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from cloudo_kernel.models import ExecutionFilter, LogLine, Status
from cloudo_kernel.service import Service
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import NewExecution, Outcome, Store
from cloudo_kernel.store.executions.log import LINES_AT_ONCE
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.unit.conftest import Clock

SUCCESS = Outcome(status=Status.ENDED_SUCCESS)
EXPIRED = 60


@pytest.mark.db
def test_executions_are_claimed_while_many_expired_ones_are_deleted(
    store: Store, new: Callable[..., NewExecution], clock: Clock, tmp_path: Path
) -> None:
    store.settings.save(MAX_RUNNING, 10 * EXPIRED, user_name="ada")
    store.executions.insert_all([(new(retention_minutes=1), None) for _ in range(EXPIRED)])
    claims = store.queue.claim("w1", free=EXPIRED)
    line = LogLine(time=clock.now, level="info", text="x")
    for number in range(3):
        store.log.append(claims[0].id, 1, [line] * (LINES_AT_ONCE - number))
    for claim in claims:
        store.reports.finish(claim.id, 1, SUCCESS)
    clock.now += timedelta(minutes=2)
    deleted_lines: list[int] = []

    def note(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE FROM log_lines"):
            deleted_lines.append(cursor.rowcount)

    event.listen(store._database.engine, "after_cursor_execute", note)
    api = Service(store, Catalog(Workspace(tmp_path)), user_name="cloudo")
    deleting = threading.Thread(target=api.delete_expired)
    deleting.start()
    claimed = []
    while deleting.is_alive():
        started = store.executions.insert(new())
        claimed += [claim.id for claim in store.queue.claim("w2", free=1)]
        assert claimed[-1] == started.id
    deleting.join()
    assert len(claimed) > 10, "the others had to wait until all were deleted"
    assert sum(deleted_lines) == 3 * LINES_AT_ONCE - 3
    assert max(deleted_lines) == LINES_AT_ONCE
    assert store.executions.expired() == ()
    assert set(store.executions.ids(ExecutionFilter(), limit=10 * EXPIRED)) >= set(claimed)
