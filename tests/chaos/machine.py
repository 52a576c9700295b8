"""Faults of the machine under a bout of chaos, one at a time, each mended after a while."""

from __future__ import annotations

import random
import resource
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import psutil

#: Longer than a writer waits for the lock.
MAX_LOCK_SECONDS = 25.0
#: Of the disk that can be full.
_DISK = "1g"


@contextmanager
def disk_at(folder: Path) -> Iterator[bool]:
    """Mount a disk at a folder that is empty, and yield whether that was possible: only root may."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "none", folder], check=False, capture_output=True
    )
    is_mounted = mounted.returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)


class Machine:
    """Breaks the store or the workers of a workspace for a while."""

    def __init__(
        self, state: Path, chance: random.Random, *, lock_seconds: float = MAX_LOCK_SECONDS, has_disk: bool = False
    ) -> None:
        """`has_disk` says that the workspace, in which `state` is, has a disk of its own, of `disk_at`."""
        self._state = state
        self._has_disk = has_disk
        self._chance = chance
        self._lock_seconds = lock_seconds
        self.faults: Counter[str] = Counter()

    def break_for_a_while(self, workers: list[psutil.Process]) -> None:
        """Have one fault, and mend it."""
        kinds: dict[str, tuple[Callable[[], Iterator[None]], float]] = {
            "locked": (self._locked, self._lock_seconds),
            "moved away": (self._moved_away, 3.0),
            "newer schema": (self._newer_schema, 3.0),
            "no threads": (lambda: self._without_threads(workers), 3.0),
        }
        if self._has_disk:
            kinds["full disk"] = (self._full_disk, 3.0)
        name = self._chance.choice(sorted(kinds))
        fault, most = kinds[name]
        with contextmanager(fault)():
            time.sleep(self._chance.uniform(0.5, most))
        self.faults[name] += 1

    def _locked(self) -> Iterator[None]:
        with closing(self._connection()) as blocker:
            blocker.execute("BEGIN EXCLUSIVE")
            yield
            blocker.execute("ROLLBACK")

    def _moved_away(self) -> Iterator[None]:
        away = self._state.with_name("away")
        self._state.rename(away)
        yield
        away.rename(self._state)

    def _full_disk(self) -> Iterator[None]:
        disk = self._state.parent
        used = int(psutil.disk_usage(str(disk)).used)
        self._resize(str(used))
        yield
        self._resize(_DISK)

    def _resize(self, size: str) -> None:
        # What was written meanwhile does not fit into less.
        subprocess.run(["mount", "-o", f"remount,size={size}", self._state.parent], check=False, capture_output=True)

    def _newer_schema(self) -> Iterator[None]:
        with closing(self._connection()) as newer:
            [(version,)] = newer.execute("SELECT version_num FROM alembic_version")
            newer.execute("BEGIN IMMEDIATE")
            newer.execute("CREATE TABLE of_tomorrow (number INTEGER)")
            newer.execute("UPDATE alembic_version SET version_num = '9999'")
            newer.execute("COMMIT")
            yield
            newer.execute("BEGIN IMMEDIATE")
            newer.execute("DROP TABLE of_tomorrow")
            newer.execute("UPDATE alembic_version SET version_num = ?", [version])
            newer.execute("COMMIT")

    def _without_threads(self, workers: list[psutil.Process]) -> Iterator[None]:
        with ExitStack() as limits:
            for worker in workers:
                with suppress(psutil.Error):
                    before = worker.rlimit(resource.RLIMIT_AS)
                    worker.rlimit(resource.RLIMIT_AS, (worker.memory_info().vms + 4 * 2**20, before[1]))
                    limits.callback(_lift, worker, before)
            yield

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(self._state / "cloudo.sqlite", isolation_level=None, timeout=60)


def _lift(worker: psutil.Process, limit: tuple[int, int]) -> None:
    with suppress(psutil.Error):
        worker.rlimit(resource.RLIMIT_AS, limit)
