"""Measures what the largest requests cost that the server takes: `python -m tests.benchmarks.bounds`.

Each row is one of the table in `docs/security.md`, sent at its bound. The time is that of the server's processor, all
threads together, for one request: the median of a few, above what a request that asks for nothing costs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import psutil

from tests.bounds import ANY_FLOW, BOUNDED, WEBHOOK, Bounded
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, start_server

#: Milliseconds of the server's processor.
TARGET = 100


def cost(server: RunningServer, send: Callable[[], object], rounds: int) -> float:
    """Return the median of what the server's processor does for one request, in milliseconds."""
    process, found = psutil.Process(server.process.pid), []
    send()  # what is imported or compiled once
    for _ in range(rounds):
        before = sum(process.cpu_times()[:2])
        send()
        found.append(1000 * (sum(process.cpu_times()[:2]) - before))
    return statistics.median(found)


def _send(ask: Callable[..., httpx.Response], case: Bounded) -> None:
    ask(**case.at)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose names hold this")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace, home = Path(folder, "workspace"), Path(folder, "home")
        workspace.mkdir()
        write_flow(workspace, ANY_FLOW, "1")
        server = start_server(workspace, home, "--Cloudo.embedded_worker=False", extensions=WITHOUT_LAB)
        headers = {"Authorization": f"token {server.token}"}
        with httpx.Client(base_url=server.api, headers=headers, timeout=60, trust_env=False) as http:
            http.post("/webhook", json={"name": WEBHOOK, "flow_name": ANY_FLOW}).raise_for_status()
            idle = cost(server, lambda: http.get("/user/me"), 20 * given.rounds)
            for case in BOUNDED:
                if given.only not in case.row:
                    continue
                path = case.path if case.path.startswith("/") else f"{server.url}cloudo/{case.path}?async=1"
                ask = partial(http.request, case.method, path)
                spent = cost(server, partial(_send, ask, case), given.rounds) - idle
                flag = "" if spent <= TARGET else f"  more than {TARGET}"
                sys.stdout.write(f"{case.row:40s} {case.most:>12,} {max(spent, 0):8.0f} ms{flag}\n")
                sys.stdout.flush()
        server.stop()


if __name__ == "__main__":
    main()
