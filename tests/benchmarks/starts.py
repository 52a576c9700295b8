"""Measures how many starts a second REST accepts while all slots are full: `python -m tests.benchmarks.starts`.

Each start is safe on disk before it is answered. The peer in the same run is a bare tornado handler that writes one
row, as safely, so that the ratio tells what Cloudo adds, whatever the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from cloudo_kernel.models import Action, CreateToken, ExecutionFilter, StartExecution, Status
from cloudo_kernel.settings import MAX_RUNNING
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, free_port, start_server, until

ROOT = Path(__file__).parents[2]


def load(
    port: int,
    path: str,
    *,
    token: str = "",
    method: str = "GET",
    body: str = "",
    more_headers: Mapping[str, str] | None = None,
    note: str = "",
    **more: object,
) -> float:
    """Send requests from a process of its own, print a line of the table, and return how many a second it got.

    A header with `{number}` is another one in each request.
    """
    headers = {"Authorization": f"token {token}"} if token else {}
    headers |= {"Content-Type": "application/json"} if body else {}
    headers |= more_headers or {}
    request = {"port": port, "method": method, "path": path, "headers": headers, "body": body, **more}
    words = [sys.executable, "-m", "tests.benchmarks.load"]
    done = subprocess.run(words, input=json.dumps(request), check=True, capture_output=True, text=True, cwd=ROOT)
    found = json.loads(done.stdout)
    print(
        f"| `{method} {path}`{note} | {found['per_second']:,.0f} | {found['p50_ms']:.1f} | {found['p99_ms']:.1f} |",
        flush=True,
    )
    return float(found["per_second"])


def fill_slots(server: RunningServer, slots: int) -> None:
    """Let every slot be taken by a notebook that sleeps."""
    write_flow(server.workspace, "sleeping", "import time", "time.sleep(3600)")
    write_flow(server.workspace, "trivial", "x = 1", "print(y)", parameters="name: str\ncount = 1")
    with server.client() as api:
        api.save_setting(MAX_RUNNING, slots)
        for _ in range(slots):
            api.start_execution(StartExecution(flow_name="sleeping"))
        asleep = ExecutionFilter(status=(Status.RUNNING,))
        until(lambda: sum(run.progress.done for run in api.executions(asleep).items) == slots, seconds=120)


def bare(database: str, *, connections: int, seconds: float) -> float:
    """Measure the peer."""
    port = free_port()
    words = [sys.executable, "-m", "tests.benchmarks.bare", str(port), database]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it listens
        try:
            return load(port, "/", method="POST", body="{}", status=201, connections=connections, seconds=seconds)
        finally:
            process.kill()


@contextmanager
def scraped(server: RunningServer) -> Iterator[None]:
    """Read the metrics of the server each second, and print how long that took."""
    is_over, times = threading.Event(), []

    def scrape() -> None:
        headers = {"Authorization": f"token {server.token}"}
        while not is_over.wait(1):
            began = time.perf_counter()
            reply = httpx.get(f"{server.url}metrics", headers=headers, timeout=60)
            times.append((time.perf_counter() - began) * 1000)
            assert "\ncloudo_up 1.0\n" in reply.text

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    print(f"| `/metrics`: {len(times)} | | {statistics.median(times):.1f} | {max(times):.1f} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    how: dict[str, Any] = {"connections": given.connections, "seconds": given.seconds}
    with tempfile.TemporaryDirectory() as name:
        home, workspace = Path(name, "home"), Path(name, "workspace")
        for folder in (home, workspace):
            folder.mkdir()
        server = start_server(workspace, home, extensions=WITHOUT_LAB)
        try:
            fill_slots(server, given.slots)
            port = int(server.url.rstrip("/").rpartition(":")[2])
            print("| what | per second | p50 ms | p99 ms |\n|---|---|---|---|")
            body = json.dumps({"flow_name": "trivial", "inputs": {"name": "Ada", "count": 3}})
            with server.client() as api:
                made = api.create_token(CreateToken(name="benchmark", actions=(Action.EXECUTION_START,)))
            path = "/cloudo/api/1/execution"
            start: dict[str, Any] = {"method": "POST", "body": body, "status": 201}
            for _ in range(given.rounds):
                peer = bare(f"{tempfile.mkdtemp(dir=name)}/bare.sqlite", **how)
                for note, token in ((", API token", made.secret), (", server's token", server.token)):
                    ours = load(port, path, token=token, note=note, **start, **how)
                    print(f"| ratio | {ours / peer:.2f} | | |", flush=True)
                with scraped(server):
                    load(port, path, token=server.token, note=", /metrics read each second", **start, **how)
            for path in ("health", "execution?limit=20"):
                load(port, f"/cloudo/api/1/{path}", token=server.token, status=200, **how)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
