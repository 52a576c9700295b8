"""Measures what the largest requests cost that the server takes: `python -m tests.benchmarks.bounds`.

Each row is one of the table in `docs/security.md`, sent at its bound. The time is that of the server's processor, all
threads together, for one request: the median of a few, above what a request that asks for nothing costs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import psutil

from cloudo_kernel.models.results import MAX_RESULT_BYTES, MAX_RESULT_VALUES, MAX_RESULTS
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


@contextmanager
def running(workspace: Path, home: Path, *options: str) -> Iterator[tuple[RunningServer, httpx.Client]]:
    """Run a server, and yield it with a client."""
    server = start_server(workspace, home, *options, extensions=WITHOUT_LAB)
    headers = {"Authorization": f"token {server.token}"}
    try:
        with httpx.Client(base_url=server.api, headers=headers, timeout=60, trust_env=False) as http:
            yield server, http
    finally:
        server.stop()


def requests_at_their_bounds(workspace: Path, home: Path, rounds: int, only: str) -> Iterator[tuple[str, int, float]]:
    """Yield name, bound and cost of each row. This server runs nothing."""
    write_flow(workspace, ANY_FLOW, "1")
    with running(workspace, home, "--Cloudo.embedded_worker=False") as (server, http):
        http.post("/webhook", json={"name": WEBHOOK, "flow_name": ANY_FLOW}).raise_for_status()
        idle = cost(server, lambda: http.get("/user/me"), 20 * rounds)
        for case in BOUNDED:
            if only in case.row:
                path = case.path if case.path.startswith("/") else f"{server.url}cloudo/{case.path}?async=1"
                ask = partial(http.request, case.method, path)
                yield case.row, case.most, cost(server, partial(_send, ask, case), rounds) - idle


#: What flows show at the bounds of results, as Python source.
_SHOWN = {
    "text": f"{{'text/plain': 'x' * ({MAX_RESULT_BYTES} - 30)}}",
    "markup": f"{{'text/html': '<p>x</p>' * (({MAX_RESULT_BYTES} - 30) // 8)}}",
    "image": f"{{'image/png': 'AAAA' * (({MAX_RESULT_BYTES} - 30) // 4)}}",
    "values": f"{{'application/json': [0.123456789012] * ({MAX_RESULT_VALUES} - 4)}}",
}


def results_at_their_bounds(workspace: Path, home: Path, rounds: int, only: str) -> Iterator[tuple[str, int, float]]:
    """Yield name, bound and cost of what a flow shows, and of reading it. This server runs the flows."""
    if only not in "results":
        return
    write_flow(workspace, "nothing", "1")
    for kind, source in _SHOWN.items():
        write_flow(workspace, kind, f"this.show('it', {source})")
    write_flow(workspace, "many", f"for n in range({MAX_RESULTS}):\n    this.show(str(n), 'x')")
    with running(workspace, home) as (server, http):

        def run(flow_name: str) -> str:
            reply = http.post("/execution", json={"flow_name": flow_name, "wait": 60})
            assert reply.json()["status"] == "ENDED_SUCCESS", reply.text[:500]
            return str(reply.json()["id"])

        empty = cost(server, lambda: run("nothing"), 3 * rounds)
        idle = cost(server, lambda: http.get("/user/me"), 20 * rounds)
        for kind in _SHOWN:
            yield f"result: {kind}, shown", MAX_RESULT_BYTES, cost(server, partial(run, kind), rounds) - empty
            for form in ("json", "html"):
                address = f"/execution/{run(kind)}/results/it"
                read = partial(http.get, address, params={"format": form})
                yield f"result: {kind}, as {form}", MAX_RESULT_BYTES, cost(server, read, rounds) - idle
        listing = partial(http.get, f"/execution/{run('many')}/results")
        yield "results of an execution", MAX_RESULTS, cost(server, listing, rounds) - idle


def _send(ask: Callable[..., httpx.Response], case: Bounded) -> None:
    ask(**case.at)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose names hold this")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, measured in (("requests", requests_at_their_bounds), ("results", results_at_their_bounds)):
            workspace = Path(folder, name)
            workspace.mkdir()
            for row, most, spent in measured(workspace, Path(folder, f"home-{name}"), given.rounds, given.only):
                flag = "" if spent <= TARGET else f"  more than {TARGET}"
                sys.stdout.write(f"{row:40s} {most:>12,} {max(spent, 0):8.0f} ms{flag}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
