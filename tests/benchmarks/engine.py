"""Measures what a run costs, beside papermill and jupyter-scheduler: `python -m tests.benchmarks.engine`.

Peers take turns within one run, because the machine's speed drifts: medians and ratios count, single times do not.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from cloudo_kernel.client import Client
from cloudo_kernel.errors import IllegalTransition
from cloudo_kernel.models import Execution, StartExecution, Status
from tests.benchmarks.peers import Papermill, Scheduler
from tests.benchmarks.timing import BIN, TRIVIAL, figure, head, play, ratio, row, serving, timed
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, until
from tests.workers import is_alive

#: Puts out the processes of the run, so that they can be found however they were started.
_PIDS = "import os\nthis.set_output('pids', [os.getpid(), os.getppid()])"
_SLEEP = "import time\ntime.sleep(600)"
#: It waits for a child.
_PARENT = f"{_PIDS}\nthis.flow('sleeping')"
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Bench:
    """What the parts are measured with."""

    server: RunningServer
    api: Client
    rounds: int
    waiting: int
    queued: int
    papermill: Papermill
    scheduler: Scheduler | None
    folder: Path

    def flow(self, name: str, *cells: str) -> Path:
        """Write a flow, and a notebook for the peers, which is returned."""
        write_flow(self.server.workspace, name, *cells)
        peer = write_flow(self.folder, name, *cells, kernel="python3")
        if self.scheduler is not None:
            (self.scheduler.folder / peer.name).write_bytes(peer.read_bytes())
        return peer

    def command(self, notebook: Path) -> None:
        """Run the `papermill` command."""
        words: list[str | Path] = [BIN / "papermill", "--no-progress-bar", notebook, self.folder / "out.ipynb"]
        subprocess.run(words, check=True, capture_output=True)

    def resident(self, notebook: Path) -> None:
        """Run papermill where it is imported already."""
        self.papermill.run(notebook, self.folder / "out.ipynb")

    def in_turns(self, *actions: Callable[[], object]) -> list[list[float]]:
        """Return the times of each action; a first round, which warms caches, is left out."""
        rounds = [[timed(action) for action in actions] for _ in range(self.rounds + 1)][1:]
        return [list(times) for times in zip(*rounds, strict=True)]


def trivial(bench: Bench) -> None:
    """Measure three cells, from the request to the ended record."""
    path = bench.flow("trivial", *TRIVIAL)
    actions: list[Callable[[], object]] = [
        lambda: play(bench.api, "trivial"),
        lambda: bench.command(path),
        lambda: bench.resident(path),
    ]
    names = ["`papermill` command", "`papermill.execute_notebook`, imported already"]
    if (scheduler := bench.scheduler) is not None:
        actions.append(lambda: scheduler.wait(scheduler.start(path.name)))
        names.append("jupyter-scheduler")
    ours, *others = bench.in_turns(*actions)
    row("three cells: REST request → ended record read", ours)
    for name, theirs in zip(names, others, strict=True):
        row(f"three cells: {name}", theirs, f"Cloudo takes {ratio(ours, theirs)} of it")


def throughput(bench: Bench) -> None:
    """Measure executions per second when many are queued."""
    path = bench.flow("trivial", *TRIVIAL)

    begun = time.time()
    started = [bench.api.start_execution(StartExecution(flow_name="trivial")) for _ in range(bench.queued)]
    # The last one first: who asks for each while it runs is work for the server that is not counted.
    ended = [bench.api.wait(execution.id) for execution in reversed(started)]
    assert all(execution.status is Status.ENDED_SUCCESS for execution in ended)
    took = max(execution.ended_at.timestamp() for execution in ended if execution.ended_at) - begun
    ours = bench.queued / took
    figure(f"{bench.queued} queued through REST", f"{ours:.2f} per second")
    if (scheduler := bench.scheduler) is not None:
        begun = time.time()
        jobs = [scheduler.start(path.name) for _ in range(20)]
        theirs = 20 / (max(scheduler.wait(job, every=0.25) for job in reversed(jobs)) - begun)
        figure("20 jobs of jupyter-scheduler", f"{theirs:.2f} per second", f"Cloudo has {ours / theirs:.0f} × as many")


def memory(bench: Bench) -> None:
    """Measure the memory that only runner and kernel of a running execution have."""
    bench.flow("sleeping", _PIDS, _SLEEP)
    execution = _in_its_last_cell(bench.api, "sleeping")
    kernel, runner = (_unique(pid) for pid in execution.output_value["pids"])
    _end(bench.api, execution)
    figure("unique memory of a run", f"{kernel + runner:.1f} MiB", f"runner {runner:.1f}, kernel {kernel:.1f}")


def cells(bench: Bench) -> None:
    """Measure many small cells."""
    path = bench.flow("cells", *(f"x = {number}" for number in range(500)))
    ours, command, resident = bench.in_turns(
        lambda: play(bench.api, "cells"), lambda: bench.command(path), lambda: bench.resident(path)
    )
    row("500 cells", ours)
    row("500 cells: `papermill` command", command, f"Cloudo takes {ratio(ours, command)} of it")
    row("500 cells: papermill, imported already", resident, f"Cloudo takes {ratio(ours, resident)} of it")


def imports(bench: Bench) -> None:
    """Measure what the usual imports of a first cell cost."""
    plain = bench.flow("trivial", *TRIVIAL)
    heavy = bench.flow("importing", "import pandas, matplotlib", *TRIVIAL)
    ours, base, theirs, their_base = bench.in_turns(
        lambda: play(bench.api, "importing"),
        lambda: play(bench.api, "trivial"),
        lambda: bench.resident(heavy),
        lambda: bench.resident(plain),
    )
    row("`import pandas, matplotlib`", [one - other for one, other in zip(ours, base, strict=True)])
    row("the same in papermill", [one - other for one, other in zip(theirs, their_base, strict=True)])


def waiting(bench: Bench) -> None:
    """Measure the memory of executions that wait for a child."""
    # After all parents, who would never come to wait otherwise.
    write_flow(bench.server.workspace, "sleeping", _SLEEP, metadata={"priority": -1})
    bench.flow("parent", _PARENT)
    parents = [bench.api.start_execution(StartExecution(flow_name="parent")) for _ in range(bench.waiting)]
    for parent in parents:
        until(lambda parent=parent: bench.api.execution(parent.id).status is Status.WAITING, seconds=3600)  # type: ignore[misc]  # mypy cannot infer it
    records = [bench.api.execution(parent.id) for parent in parents]
    sizes = [sum(_unique(pid) for pid in record.output_value["pids"]) for record in records]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda record: _end(bench.api, record), records))
    each = f"{statistics.median(sizes):.1f} MiB each"
    figure(f"{len(sizes)} executions that wait for a child", each, f"{sum(sizes):,.0f} MiB together")


def cancel(bench: Bench) -> None:
    """Measure from the request to cancel until no process is left."""
    bench.flow("sleeping", _PIDS, _SLEEP)
    times = []
    for _ in range(max(10, bench.rounds)):
        execution = _in_its_last_cell(bench.api, "sleeping")
        processes = [psutil.Process(pid) for pid in execution.output_value["pids"]]
        begun = time.perf_counter()
        bench.api.cancel_execution(execution.id)
        while any(is_alive(process) for process in processes):
            time.sleep(0.001)
        times.append((time.perf_counter() - begun) * 1000)
        bench.api.wait(execution.id)
    worst = statistics.quantiles(times, n=100, method="inclusive")[-1]
    row("cancel → no process, in a sleeping cell", times, f"99 of 100 within {worst:,.0f} ms, {len(times)} tried")


def _in_its_last_cell(api: Client, flow_name: str) -> Execution:
    execution = api.start_execution(StartExecution(flow_name=flow_name))
    until(lambda: api.execution(execution.id).progress.done == 1, seconds=60)
    return api.execution(execution.id)


def _end(api: Client, execution: Execution) -> None:
    with suppress(IllegalTransition):  # it has ended by itself
        api.cancel_execution(execution.id)
    api.wait(execution.id)


def _unique(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().uss) / MEBIBYTE


PARTS = {part.__name__: part for part in (trivial, throughput, memory, cells, imports, waiting, cancel)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.engine", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="the parts to measure")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--queued", type=int, default=200, help="executions of the part throughput")
    parser.add_argument("--waiting", type=int, default=200, help="executions of the part waiting")
    parser.add_argument("--scheduler", type=Path, metavar="FOLDER", help="measure jupyter-scheduler, installed there")
    given = parser.parse_args()
    head()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server, api = stack.enter_context(serving(extensions=WITHOUT_LAB))
        papermill = stack.enter_context(Papermill())
        scheduler = given.scheduler and stack.enter_context(Scheduler(given.scheduler.resolve(), folder / "scheduler"))
        bench = Bench(server, api, given.rounds, given.waiting, given.queued, papermill, scheduler, folder)
        for name in given.only:
            PARTS[name](bench)


if __name__ == "__main__":
    main()
