"""Measures how long REST takes to list executions when there are a million: `python -m tests.benchmarks.rest`.

The explorer's document is measured beside it, the first time and later. Times are those of a client on the same
machine, connection kept. With `--postgresql` the store is a PostgreSQL database on the same machine.
"""

from __future__ import annotations

import argparse
import contextlib
import sqlite3
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
from sqlalchemy import create_engine, inspect

from cloudo_kernel.models import StartExecution
from tests.benchmarks.starts import load
from tests.flows import write_flow
from tests.postgresql import Cluster
from tests.server import WITHOUT_LAB, RunningServer, start_server

#: One execution is copied so often, with what filters look at varied: 100 flows, 50 users, 1,000 schedules and so on.
_FILL = """
WITH RECURSIVE
  steps(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM steps WHERE n < {number}),
  one AS (SELECT * FROM executions LIMIT 1)
INSERT INTO executions ({columns})
SELECT {values} FROM steps, one
"""
_VARIED = {
    "name": "'report ' || (n % 100)",
    "flow_name": "CASE n % 100 WHEN 0 THEN 'one' ELSE 'flows/f' || (n % 100) END",
    "status": "CASE n % 1000 WHEN 0 THEN 'ENDED_ERROR' ELSE 'ENDED_SUCCESS' END",
    "message": "'did ' || n",
    "parent_id": "CASE n % 10 WHEN 0 THEN 'parent-' || (n / 1000) END",
    "schedule_id": "CASE n % 2 WHEN 0 THEN 'schedule-' || (n % 1000) END",
    "user_name": "'user' || (n % 50)",
    "created_at": "one.created_at - CAST({number} - n AS BIGINT) * 1000000",
}
_ID = (
    "printf('0190%04x-%04x-7%.3s-8%.3s-%s', (n >> 16) & 65535, n & 65535, lower(hex(randomblob(2))), "
    "lower(hex(randomblob(2))), lower(hex(randomblob(6))))"
)
_ID_IN_POSTGRESQL = (
    "format('0190%s-%s-7%s-8%s-%s', lpad(to_hex((n >> 16) & 65535), 4, '0'), lpad(to_hex(n & 65535), 4, '0'), "
    "left(md5(random()::text), 3), left(md5(random()::text), 3), left(md5(random()::text), 12))"
)


_OTHERS = (
    "/flow",
    "/flow?brief=true&limit=100",
    "/flow/activity?recent=12",
    "/execution/activity",
    "/execution/count",
    "/execution/count?status=ENDED_ERROR&user_name=user7",
    "/schedule",
    "/message",
    "/queue",
    "/health",
    "/openapi.json",
)


def fill(server: RunningServer, number: int, database: str | None = None) -> None:
    """Write executions that have ended into the store, in one transaction; `database` is its URL, if not SQLite."""
    write_flow(server.workspace, "one", "1")
    with server.client() as api:
        api.delete_execution(api.wait(api.start_execution(StartExecution(flow_name="one")).id).id)
        api.wait(api.start_execution(StartExecution(flow_name="one")).id)
    url = database or f"sqlite:///{server.workspace}/.cloudo/cloudo.sqlite"
    engine = create_engine(url)
    varied = _VARIED | {"id": _ID_IN_POSTGRESQL if database else _ID}
    with engine.begin() as connection:
        columns = [column["name"] for column in inspect(connection).get_columns("executions")]
        values = ", ".join(varied.get(name, f"one.{name}") for name in columns).replace("{number}", str(number))
        filling = _FILL.format(columns=", ".join(columns), values=values, number=number)
        connection.exec_driver_sql(filling.replace("%", "%%") if database else filling)
    if database:  # as its own housekeeping does after a while
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE executions")
    engine.dispose()


def wait_for_index(server: RunningServer) -> None:
    """Wait until the worker has made the index of texts."""
    began, path = time.monotonic(), server.workspace / ".cloudo" / "search.sqlite"
    while not path.exists() or not is_made(path):
        time.sleep(0.5)
    print(f"index of texts: {time.monotonic() - began:.0f} s, {path.stat().st_size >> 20} MiB\n", flush=True)


def is_made(path: Path) -> bool:
    """Return whether an index has all executions."""
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as index:
        try:
            return index.execute("SELECT 1 FROM state WHERE built_to IS NULL").fetchall() == [(1,)]
        except sqlite3.OperationalError:  # it has no tables yet
            return False


def measure(http: httpx.Client, path: str, rounds: int) -> None:
    """Print a line of the table."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        reply = http.get(path)
        times.append((time.perf_counter() - began) * 1000)
        assert reply.status_code == 200, reply.text
    items = reply.json().get("items")
    print(
        f"| `{path}` | {'' if items is None else len(items)} | {times[0]:.1f} | {min(times):.1f} "
        f"| {statistics.median(times):.1f} | {max(times):.1f} |",
        flush=True,
    )


def rates(server: RunningServer, http: httpx.Client) -> None:
    """Print how many lists and counts are answered in a second, and how old the counts are."""
    port = int(server.url.rstrip("/").rpartition(":")[2])
    print("\n| what | per second | p50 ms | p99 ms |\n|---|---|---|---|")
    for path in ("/execution?limit=20", "/execution/count", "/execution/count?flow_name=one"):
        address = f"/cloudo/api/1{path}"
        load(port, address, token=server.token, status=200, connections=16, seconds=5)
    ages = []
    for _ in range(30):
        counted = datetime.fromisoformat(http.get("/execution/count").raise_for_status().json()["as_of"])
        ages.append((datetime.now(UTC) - counted).total_seconds())
        time.sleep(0.1)
    print(f"\ncounts: at most {max(ages):.2f} s old", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--postgresql", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        home, workspace = Path(name, "home"), Path(name, "workspace")
        for folder in (home, workspace):
            folder.mkdir()
        database, environment = None, {}
        if given.postgresql:
            cluster = Cluster.durable()
            stack.callback(cluster.stop)
            database = stack.enter_context(cluster.database())
            environment = {"CLOUDO_DATABASE_URL": database}
        server = start_server(workspace, home, extensions=WITHOUT_LAB, environment=environment)
        headers = {"Authorization": f"token {server.token}"}
        try:
            fill(server, given.number, database)
            if database is None:
                wait_for_index(server)
            with httpx.Client(base_url=server.api, headers=headers, timeout=120, trust_env=False) as http:
                newest = http.get("/execution?limit=1").json()["items"][0]
                middle = f"0190{given.number // 2 >> 16:04x}-{given.number // 2 & 65535:04x}-7000-8000-{'0' * 12}"
                print("| address | items | first ms | least ms | median ms | most ms |\n|---|---|---|---|---|---|")
                for query in (
                    "limit=100",
                    "limit=500",
                    f"limit=100&cursor={middle}",
                    "status=ENDED_SUCCESS",
                    "status=ENDED_ERROR",
                    "status=RUNNING",
                    "status=PENDING,RUNNING,WAITING,PAUSED",
                    "flow_name=flows/f7",
                    f"flow_name=flows/f7&cursor={middle}",
                    "flow_name=none",
                    "flow_name=flows/f7&status=ENDED_ERROR",
                    "parent_id=parent-500",
                    "schedule_id=schedule-8",
                    "user_name=user7",
                    "user_name=nobody",
                    f"since={newest['created_at']}",
                    "since=2000-01-01T00:00:00Z",
                    "q=report",
                    "q=did+77",
                    "q=did+777777",
                    "q=nowhere",
                    "q=ab",
                    "q=%C3%A9",
                    "q=z",
                    "q=5f5e0ff",
                    "q=did&status=ENDED_ERROR",
                    "q=did+77&user_name=user7",
                    "q=report+8&user_name=user7",
                    "q=nowhere&flow_name=flows/f7",
                    "q=nowhere&status=ENDED_SUCCESS,ENDED_ERROR,ENDED_CANCELLED",
                ):
                    measure(http, f"/execution?{query}", given.rounds)
                for path in _OTHERS:
                    measure(http, path, given.rounds)
                rates(server, http)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
