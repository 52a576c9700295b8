"""Measures the schedules: `python -m tests.benchmarks.schedules`.

Lateness is what the store notes of each occurrence: from its time to the row of its execution. A process with nothing
but the scheduler looks after the schedules, so that the runs themselves do not take the processors away; what idle
schedules cost is measured in a real server, against one without any.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil

from cloudo_kernel.models import CreateSchedule, ScheduleTrigger
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.chaos.tickers import all_of, ticker
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, start_server, until


@contextmanager
def a_store() -> Iterator[tuple[Path, Service]]:
    """Give a workspace with a flow, and the verbs over its store."""
    with tempfile.TemporaryDirectory(prefix="schedules") as folder:
        workspace = Workspace(Path(folder))
        workspace.create()
        write_flow(workspace.root, "light", "1")
        store = Store.open(workspace.database_url)
        yield workspace.root, Service(store, Catalog(workspace), user_name="ada")
        store.close()


def add(api: Service, count: int, trigger_of: Callable[[int], ScheduleTrigger]) -> float:
    """Make so many schedules from several threads, as a server does; return the seconds it took."""

    def one(number: int) -> None:
        api.create_schedule(CreateSchedule(flow_name="light", trigger=trigger_of(number), confirmed=True))

    begun = time.perf_counter()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(one, range(count)))
    return time.perf_counter() - begun


def lateness(count: int, *, over_seconds: float) -> tuple[float, list[float]]:
    """Return how long adding them took, and the lateness of each occurrence in milliseconds, sorted."""
    with a_store() as (folder, api):
        lead = timedelta(seconds=count / 400 + 5)
        begin = api._store.now + lead
        step = timedelta(seconds=over_seconds / count)
        took = add(api, count, lambda number: ScheduleTrigger(at=begin + number * step))
        process = ticker(folder)
        last = begin + timedelta(seconds=over_seconds)
        assert api._store.now < begin - timedelta(seconds=1), "adding them took too long"
        time.sleep((last - api._store.now).total_seconds() + 0.5)
        until(lambda: api._store.schedules.next_look() is None, seconds=120)
        process.kill()
        process.join()
        schedules = all_of(lambda cursor: api.schedules(limit=500, cursor=cursor))
        found = [one.last_occurrence.lateness_seconds for one in schedules if one.last_occurrence]
        return took, sorted(seconds * 1000 for seconds in found if seconds is not None)


def drift(periods: int) -> list[float]:
    """Return by how many milliseconds each due time of a grid of 50 ms is off it."""
    with a_store() as (folder, api):
        begin = api._store.now + timedelta(seconds=2)
        trigger = ScheduleTrigger(every_seconds=0.05, wait=False, start=begin, max_iterations=periods)
        request = CreateSchedule(flow_name="light", trigger=trigger, overlap="allow", catch_up="all", confirmed=True)
        made = api.create_schedule(request)
        process = ticker(folder)
        until(lambda: api.schedule(made.id).next_run is None, seconds=60 + periods * 0.05)
        process.kill()
        process.join()
        dues = [one.due for one in all_of(lambda cursor: api.occurrences(made.id, limit=500, cursor=cursor))]
        grid = [begin + number * timedelta(milliseconds=50) for number in range(periods)]
        return [abs((due - right) / timedelta(milliseconds=1)) for due, right in zip(reversed(dues), grid, strict=True)]


def gaps(runs: int) -> list[float]:
    """Return by how many milliseconds each gap from an end to the next row is longer than the interval of 1 s."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as home:
        write_flow(Path(folder), "light", "1")
        server = start_server(Path(folder), Path(home), extensions=WITHOUT_LAB)
        with server.client() as api:
            trigger = ScheduleTrigger(every_seconds=1, max_iterations=runs)
            made = api.create_schedule(CreateSchedule(flow_name="light", trigger=trigger))
            until(lambda: api.schedule(made.id).iterations == runs, seconds=60 + 3 * runs)
            seen = api.occurrences(made.id, limit=500).items[::-1]
            executions = [api.wait(one.execution_id) for one in seen if one.execution_id]
        server.stop()
        both = itertools.pairwise(executions)
        return sorted((b.created_at - a.ended_at) / timedelta(milliseconds=1) - 1000 for a, b in both if a.ended_at)


def idle(count: int, *, seconds: float) -> tuple[float, float]:
    """Return the memory of a server in MiB and its part of one core in percent, with so many schedules far away."""
    with a_store() as (folder, api), tempfile.TemporaryDirectory() as home:
        soon = api._store.now + timedelta(days=1)
        add(api, count, lambda number: ScheduleTrigger(at=soon + timedelta(seconds=number)))
        server = start_server(folder, Path(home), extensions=WITHOUT_LAB)
        with server.client() as client:
            client.health()
        process = psutil.Process(server.process.pid)
        time.sleep(5)
        before = sum(process.cpu_times()[:2])
        time.sleep(seconds)
        used = sum(process.cpu_times()[:2]) - before
        memory = process.memory_full_info().uss / 2**20
        server.stop()
        return memory, 100 * used / seconds


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="schedules that are due")
    parser.add_argument("--idle", type=int, default=100_000, help="schedules that are not")
    given = parser.parse_args()
    print("| what | figure | target |\n|---|---|---|")
    took, late = lateness(given.count, over_seconds=20)
    print(f"| adding {given.count:,} | {took:.1f} s | 10 s |")
    middle, most = late[len(late) // 2], late[int(len(late) * 0.99)]
    print(f"| {given.count:,} due over 20 s: lateness p50, p99 | {middle:.0f}, {most:.0f} ms | 50 ms |")
    _, late = lateness(given.count, over_seconds=0)
    print(f"| {given.count:,} due at one instant: the last one | {late[-1]:.0f} ms | 1,000 ms |", flush=True)
    off = drift(1000)
    print(f"| grid of 50 ms over 1,000 periods: farthest off | {max(off):.3f} ms | 0 |", flush=True)
    late = gaps(30)
    middle, most = late[len(late) // 2], late[-1]
    print(
        f"| end to next row beyond the interval, of 30: median, most | {middle:.0f}, {most:.0f} ms | 50 ms |",
        flush=True,
    )
    empty, full = idle(0, seconds=30), idle(given.idle, seconds=30)
    print(f"| {given.idle:,} idle: memory above an empty server | {full[0] - empty[0]:.1f} MiB | 50 MB |")
    print(f"| {given.idle:,} idle: of one core (empty: {empty[1]:.2f} %) | {full[1]:.2f} % | 1 % |")


if __name__ == "__main__":
    main()
