"""What the measurements share: a stopwatch, lines of a table, a server with a workspace of its own."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from cloudo_kernel.client import Client
from cloudo_kernel.models import Execution, StartExecution, Status
from cloudo_kernel.processes.zygotes import PRELOAD
from tests.server import RunningServer, start_server

BIN = Path(sys.executable).parent
#: The notebook of three cells that all start times are of.
TRIVIAL = ("x = 1", "y = x + 1", "print(y)")


def timed(action: Callable[[], object]) -> float:
    """Return how many milliseconds an action takes."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def head() -> None:
    """Print the head of the table."""
    print("| what | median ms | least | most | |\n|---|---|---|---|---|", flush=True)


def row(what: str, times: Sequence[float], note: str = "") -> None:
    """Print a line of the table: median, least and most, in milliseconds."""
    print(f"| {what} | {statistics.median(times):,.0f} | {min(times):,.0f} | {max(times):,.0f} | {note} |", flush=True)


def figure(what: str, value: str, note: str = "") -> None:
    """Print a line of the table that is no time."""
    print(f"| {what} | {value} | | | {note} |", flush=True)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return the median of the ratios of what was measured in turns."""
    return f"{statistics.median(one / other for one, other in zip(ours, theirs, strict=True)):.2f} ×"


def play(api: Client, flow_name: str) -> Execution:
    """Start a flow over REST and wait until its ended record is read."""
    started = api.start_execution(StartExecution(flow_name=flow_name))
    ended = api.wait(started.id, timeout=timedelta(minutes=10))
    assert ended.status is Status.ENDED_SUCCESS, ended.error
    return ended


@contextmanager
def serving(*, extensions: dict[str, bool] | None = None) -> Iterator[tuple[RunningServer, Client]]:
    """Give a server with a new workspace and what is preloaded by default, and a client of it."""
    with tempfile.TemporaryDirectory() as name:
        home, workspace = Path(name, "home"), Path(name, "workspace")
        home.mkdir()
        (workspace / ".cloudo").mkdir(parents=True)
        config = {"Cloudo": {"preload": list(PRELOAD)}}
        server = start_server(workspace, home, extensions=extensions, config=config)
        try:
            with server.client() as api:
                yield server, api
        finally:
            server.stop()
