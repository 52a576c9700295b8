"""Several schedulers over one store, killed at random: `python -m tests.chaos.tickers --occurrences 10000 --kills 100`.

Each is a process with a `Scheduler` and nothing that runs notebooks: what counts is that each time of each schedule
leads to one occurrence and one execution.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

from cloudo_kernel.models import CreateSchedule, ExecutionFilter, Page, ScheduleTrigger
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.service import Service
from cloudo_kernel.store import HEARTBEAT_SECONDS, Store
from cloudo_kernel.worker.heartbeat import Heartbeat
from cloudo_kernel.worker.scheduler import Scheduler
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow
from tests.server import until

Item = TypeVar("Item")

_SCHEDULES = 20
#: Forked from a process that has imported this module and nothing else: another one would share its connections.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


@dataclass
class Found:
    """What came of it."""

    occurrences: int
    kills: int
    #: What should not be.
    faults: list[str]
    lateness_seconds: list[float]


def tick(root: str, database_url: str) -> None:
    """Watch the schedules of a workspace until the process is killed."""
    workspace = Workspace(Path(root))
    store = Store.open(database_url)
    heartbeat = Heartbeat(store, new_id(), private=False)
    heartbeat.register()
    Scheduler(store, Service(store, Catalog(workspace), user_name="cloudo").run_due_schedules, heartbeat).start()
    while True:
        threading.Event().wait(HEARTBEAT_SECONDS)
        heartbeat.beat()


def run(folder: Path, *, tickers: int, occurrences: int, kills: int, per_second: float, seed: int) -> Found:
    """Let schedules come due, kill who looks after them, and count."""
    chance = random.Random(seed)
    workspace = Workspace(folder)
    workspace.create()
    write_flow(folder, "light", "1")
    store = Store.open(workspace.database_url)
    api = Service(store, Catalog(workspace), user_name="ada")
    each = occurrences // _SCHEDULES
    every = round(_SCHEDULES / per_second, 6)
    begin = store.now + timedelta(seconds=2)
    trigger = ScheduleTrigger(every_seconds=every, wait=False, start=begin, max_iterations=each)
    request = CreateSchedule(flow_name="light", trigger=trigger, overlap="allow", catch_up="all", confirmed=True)
    made = [api.create_schedule(request) for _ in range(_SCHEDULES)]
    running = [ticker(folder) for _ in range(tickers)]
    seconds = each * every
    for _ in range(kills):
        time.sleep(chance.uniform(0, 2 * seconds / (kills + 1)))
        victim = chance.randrange(tickers)
        os.kill(running[victim].pid or 0, signal.SIGKILL)
        running[victim].join()
        running[victim] = ticker(folder)
    until(lambda: all(one.next_run is None for one in api.schedules(limit=500).items), seconds=60 + seconds)
    for process in running:
        process.kill()
        process.join()
    found = Found(0, kills, [], [])
    for schedule in made:
        _check(api, schedule.id, [begin + n * timedelta(seconds=every) for n in range(each)], found)
    store.close()
    return found


def ticker(folder: Path) -> BaseProcess:
    """Start a process that watches the schedules of a workspace."""
    # The address of the store may be in a variable that is younger than the process that forks.
    url = Workspace(folder).database_url
    process = _PROCESSES.Process(target=tick, args=(str(folder), url), daemon=True)
    process.start()
    return process


def _check(api: Service, schedule_id: str, grid: list[datetime], found: Found) -> None:
    seen = all_of(lambda cursor: api.occurrences(schedule_id, limit=500, cursor=cursor))
    found.occurrences += len(seen)
    found.lateness_seconds += [one.lateness_seconds for one in seen if one.lateness_seconds is not None]
    if [one.due for one in reversed(seen)] != grid:
        found.faults.append(f"{schedule_id}: {len(seen)} occurrences for {len(grid)} times")
    where = ExecutionFilter(schedule_id=schedule_id)
    executions = all_of(lambda cursor: api.executions(where, limit=500, cursor=cursor))
    if Counter(one.id for one in executions) != Counter(one.execution_id for one in seen):
        found.faults.append(f"{schedule_id}: {len(executions)} executions for {len(seen)} occurrences")


def all_of(page_at: Callable[[str | None], Page[Item]]) -> list[Item]:
    """Return the items of all pages."""
    page = page_at(None)
    items = list(page.items)
    while page.next is not None:
        page = page_at(page.next)
        items += page.items
    return items


def main() -> None:
    """Run it as said on the command line, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tickers", type=int, default=3)
    parser.add_argument("--occurrences", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--per-second", type=float, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = vars(parser.parse_args())
    with tempfile.TemporaryDirectory(prefix="tickers") as folder:
        found = run(Path(folder), **given)
    late = sorted(found.lateness_seconds)
    print(f"| occurrences | kills | faults | lateness p50 | p99 | most |\n|{'---|' * 6}")
    p50, p99 = (late[int(len(late) * part)] * 1000 for part in (0.5, 0.99))
    figures = f"{p50:.0f} ms | {p99:.0f} ms | {late[-1] * 1000:.0f} ms"
    print(f"| {found.occurrences} | {found.kills} | {len(found.faults)} | {figures} |")
    for fault in found.faults:
        print(fault)


if __name__ == "__main__":
    main()
