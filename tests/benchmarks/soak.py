"""Many executions in a row and at once, and what grew meanwhile: `python -m tests.benchmarks.soak --count 5000`."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import psutil

from cloudo_kernel.client import Client
from cloudo_kernel.settings import MAX_RUNNING
from tests.benchmarks.timing import TRIVIAL, play, serving, timed
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, until

MEBIBYTE = 2**20
#: What may differ between two looks although nothing leaks: caches that fill, connections that are kept.
_SLACK = {"processes": 0, "descriptors": 24, "sockets": 16, "files": 4, "server": 24, "others": 24}


@dataclass(frozen=True)
class Sample:
    """What the server and all below it hold while nothing runs."""

    processes: int
    descriptors: int
    sockets: int
    #: Temporary files and folders.
    files: int
    #: Memory in MiB: of the server, and of the processes that it keeps.
    server: int
    others: int


def sample(server: RunningServer, temporary: Path) -> Sample:
    """Look at the processes and at the temporary folder, once no run is left."""
    root = psutil.Process(server.process.pid)
    everyone = [root, *root.children(recursive=True)]
    descriptors = sockets = 0
    memory = []
    for process in everyone:
        with suppress(psutil.NoSuchProcess):
            descriptors += process.num_fds()
            sockets += _sockets(process.pid)
            memory.append(process.memory_info().rss // MEBIBYTE)
    left = len(list(temporary.iterdir())) + len(list(server.workspace.rglob("*.tmp")))
    return Sample(len(everyone), descriptors, sockets, left, memory[0], sum(memory[1:]))


def _sockets(pid: int) -> int:
    """Count all kinds of sockets; psutil knows the named ones only."""
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            count += str(descriptor.readlink()).startswith("socket:")
    return count


def soak(server: RunningServer, api: Client, temporary: Path, *, count: int, every: int, at_once: int) -> list[Sample]:
    """Run so many executions, and print a line for each sample."""
    samples: list[Sample] = []
    with ThreadPoolExecutor(at_once) as pool:
        for done in range(0, count, every):
            batch = min(every, count - done)
            times = list(pool.map(lambda _: timed(lambda: play(api, "trivial")), range(batch)))
            until(lambda: api.health().running == 0)
            samples.append(sample(server, temporary))
            figures = " | ".join(str(getattr(samples[-1], field.name)) for field in fields(Sample))
            print(f"| {at_once} | {done + batch} | {statistics.median(times):,.0f} | {figures} |", flush=True)
    return samples


def grown(samples: list[Sample]) -> list[str]:
    """Return what grew from the first look, when all was warm, to the last one."""
    first, last = samples[0], samples[-1]
    changes = {field.name: getattr(last, field.name) - getattr(first, field.name) for field in fields(Sample)}
    return [f"{name} by {change}" for name, change in changes.items() if change > _SLACK[name]]


def main() -> int:
    """Print the table, and what grew; the exit code is 1 when something did."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="executions one after another, and as many at once")
    parser.add_argument("--every", type=int, default=100, help="executions between two looks")
    parser.add_argument("--at-once", type=int, default=8)
    given = parser.parse_args()
    found: list[str] = []
    with tempfile.TemporaryDirectory(prefix="soak") as name:
        temporary = Path(name)
        os.environ["TMPDIR"] = name  # for the server; this process has asked for its own already
        with serving(extensions=WITHOUT_LAB) as (server, api):
            write_flow(server.workspace, "trivial", *TRIVIAL)
            print(f"| at once | executions | median ms | {' | '.join(field.name for field in fields(Sample))} |")
            print(f"|{'---|' * (3 + len(fields(Sample)))}")
            for at_once in (1, given.at_once):
                api.save_setting(MAX_RUNNING, at_once)
                samples = soak(server, api, temporary, count=given.count, every=given.every, at_once=at_once)
                found += [f"{at_once} at once: {line}" for line in grown(samples)]
    print("\n".join(["", "Grew:", *found] if found else ["", "Nothing grew."]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
