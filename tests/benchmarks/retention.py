"""Measures starts and claims while retention deletes, beside those without: `python -m tests.benchmarks.retention`.

One of the expired executions has a long log.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from sqlalchemy import update

from cloudo_kernel.models import ExecutionType, LogLine, Origin, Status
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.service import Service
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import NewExecution, Outcome, Store
from cloudo_kernel.store.tables import executions
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.postgresql import Cluster

SUCCESS = Outcome(status=Status.ENDED_SUCCESS)


def new() -> NewExecution:
    """Return a new execution of a flow."""
    return NewExecution(
        id=new_id(),
        name="report",
        type=ExecutionType.FLOW,
        flow_name="report",
        input_value={},
        trigger=Origin.API,
        user_name="ada",
        source_text="{}",
        source_sha256="44136fa3",
        kernel="cloudo",
        folder="/",
    )


def claim(store: Store) -> float:
    """Start an execution, claim it and end it; return the milliseconds until it was claimed."""
    began = time.perf_counter()
    store.executions.insert(new())
    [claimed] = store.queue.claim("w", free=1)
    took = (time.perf_counter() - began) * 1000
    store.reports.finish(claimed.id, 1, SUCCESS)
    return took


def expire(store: Store, number: int, lines: int) -> None:
    """Write executions past their retention; the first one has a log of so many lines."""
    store.executions.insert_all([(new(), None) for _ in range(number)])
    claims = store.queue.claim("w", free=number)
    text = [LogLine(time=store.now, level="info", text="x" * 80)] * 5000
    for _ in range(lines // len(text)):
        store.log.append(claims[0].id, 1, text)
    for one in claims:
        store.reports.finish(one.id, 1, SUCCESS)
    with store._database.write() as connection:
        past = store.now - timedelta(minutes=1)
        connection.execute(update(executions).values(expires_at=past))


def measure(name: str, store: Store, catalog: Catalog, number: int, lines: int) -> None:
    """Print a line of the table."""
    store.settings.save(MAX_RUNNING, 10 * number, user_name="ada")
    store.workers.register("w", private=False)
    without = [claim(store) for _ in range(300)]
    expire(store, number, lines)
    deleting = threading.Thread(target=Service(store, catalog, user_name="cloudo").delete_expired)
    began = time.perf_counter()
    deleting.start()
    during = []
    while deleting.is_alive():
        during.append(claim(store))
    seconds = time.perf_counter() - began
    shown = (f"{statistics.median(times):.1f} | {max(times):.1f}" for times in (without, during))
    print(f"| {name} | {' | '.join(shown)} | {len(during)} | {number / seconds:,.0f} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=2000)
    parser.add_argument("--lines", type=int, default=500_000)
    given = parser.parse_args()
    print("| database | start and claim ms | most | while deleting | most | claims | deleted a second |")
    print("|---|---|---|---|---|---|---|")
    cluster = Cluster.durable()
    with tempfile.TemporaryDirectory() as folder, cluster.database() as url:
        workspace = Workspace(Path(folder))
        workspace.create()
        for name, address in (("SQLite", workspace.database_url), ("PostgreSQL", url)):
            with closing(Store.open(address)) as store:
                measure(name, store, Catalog(workspace), given.number, given.lines)


if __name__ == "__main__":
    main()
