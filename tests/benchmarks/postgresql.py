"""Measures a store in PostgreSQL on the same machine: `python -m tests.benchmarks.postgresql`.

Starts that REST accepts are beside a bare tornado server that commits one row to the same PostgreSQL. Notebooks a
second are beside those with a store in SQLite. The wait for a start beside 100,000 pending executions is compared
with the wait beside 100. Peers take turns: ratios count, single figures do not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, inspect

from cloudo_kernel.models import StartExecution, Status
from tests.benchmarks.starts import bare, fill_slots, load
from tests.benchmarks.timing import TRIVIAL, figure, head, play, row
from tests.flows import write_flow
from tests.postgresql import Cluster
from tests.server import WITHOUT_LAB, RunningServer, start_server

SLOTS = 4


def serve(stack: ExitStack, database: str | None = None) -> RunningServer:
    """Start a server with its store in SQLite, or in a database of PostgreSQL."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    for name in ("home", "workspace"):
        (folder / name).mkdir()
    environment = {"CLOUDO_DATABASE_URL": database} if database else {}
    server = start_server(folder / "workspace", folder / "home", extensions=WITHOUT_LAB, environment=environment)
    stack.callback(server.stop)
    return server


def starts(cluster: Cluster, rounds: int, how: dict[str, Any]) -> None:
    """Measure starts while all slots are full."""
    with ExitStack() as stack:
        database = stack.enter_context(cluster.database())
        server = serve(stack, stack.enter_context(cluster.database()))
        fill_slots(server, SLOTS)
        port = int(server.url.rstrip("/").rpartition(":")[2])
        body = json.dumps({"flow_name": "trivial", "inputs": {"name": "Ada", "count": 3}})
        request: dict[str, Any] = {"method": "POST", "body": body, "status": 201, "token": server.token, **how}
        print("| what | per second | p50 ms | p99 ms |\n|---|---|---|---|")
        ratios = []
        for _ in range(rounds):
            peer = bare(database, **how)
            ratios.append(load(port, "/cloudo/api/1/execution", **request) / peer)
    print(f"| ratio, median | {statistics.median(ratios):.2f} | | |\n", flush=True)


def per_second(server: RunningServer, queued: int) -> float:
    """Measure notebooks a second when many are queued."""
    write_flow(server.workspace, "trivial", *TRIVIAL)
    with server.client() as api:
        started = [api.start_execution(StartExecution(flow_name="trivial")) for _ in range(queued)]
        # The last one first: who asks for each while it runs is work for the server that is not counted.
        ended = [api.wait(execution.id) for execution in reversed(started)]
    assert all(execution.status is Status.ENDED_SUCCESS for execution in ended)
    last = max(execution.ended_at for execution in ended if execution.ended_at)
    return queued / (last - started[0].created_at).total_seconds()


def notebooks(cluster: Cluster, rounds: int, queued: int) -> None:
    """Measure notebooks a second with either store."""
    head()
    ratios = []
    for number in range(rounds):
        found = {}
        for name in sorted(("PostgreSQL", "SQLite"), reverse=number % 2 == 1):
            with ExitStack() as stack:
                server = serve(stack, stack.enter_context(cluster.database()) if name == "PostgreSQL" else None)
                per_second(server, 20)  # processes stand by afterwards
                found[name] = per_second(server, queued)
                figure(f"{queued} queued through REST, {name}", f"{found[name]:.2f} per second")
        ratios.append(found["PostgreSQL"] / found["SQLite"])
    figure("PostgreSQL beside SQLite", f"{statistics.median(ratios):.2f} ×", f"{min(ratios):.2f} to {max(ratios):.2f}")


def blocked(cluster: Cluster, stack: ExitStack, number: int) -> RunningServer:
    """Start a server with so many pending executions, whose label no worker has, and one flow that it can run."""
    database = stack.enter_context(cluster.database())
    server = serve(stack, database)
    write_flow(server.workspace, "trivial", *TRIVIAL)
    write_flow(server.workspace, "blocked", *TRIVIAL, metadata={"requires": ["gpu"]})
    with server.client() as api:
        api.start_execution(StartExecution(flow_name="blocked"))
        play(api, "trivial")
    engine = create_engine(database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        same = ", ".join(one["name"] for one in inspect(connection).get_columns("executions") if one["name"] != "id")
        connection.exec_driver_sql(
            f"INSERT INTO executions (id, {same}) SELECT gen_random_uuid()::text, {same} "
            f"FROM executions, generate_series(2, {number}) WHERE status = 'PENDING'"
        )
        connection.exec_driver_sql("VACUUM ANALYZE executions")
    engine.dispose()
    return server


def waits(server: RunningServer, number: int) -> list[float]:
    """Start so many executions, one after the other; return the milliseconds that each waited for its start."""
    with server.client() as api:
        records = [play(api, "trivial") for _ in range(number)]
    return [(one.started_at - one.created_at) / timedelta(milliseconds=1) for one in records if one.started_at]


def queue(cluster: Cluster, rounds: int) -> None:
    """Measure the wait for a start while many others are pending."""
    found: dict[int, list[float]] = {100: [], 100_000: []}
    with ExitStack() as stack:
        servers = {number: blocked(cluster, stack, number) for number in found}
        for _ in range(rounds):
            for number, server in servers.items():
                found[number] += waits(server, 30)
    head()
    for number, times in found.items():
        row(f"wait for a start, {number:,} pending", times, f"p99 {p99(times):,.0f} ms of {len(times)}")
    figure("p99 beside the other", f"{p99(found[100_000]) / p99(found[100]):.2f} ×")


def p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queued", type=int, default=200)
    given = parser.parse_args()
    cluster = Cluster.durable()
    try:
        starts(cluster, given.rounds, {"connections": given.connections, "seconds": given.seconds})
        notebooks(cluster, given.rounds, given.queued)
        queue(cluster, 2 * given.rounds + 1)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
