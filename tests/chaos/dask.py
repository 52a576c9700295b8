"""`python -m tests.chaos.dask` kills Dask workers and their scheduler under load, and prints a table of the results."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloudo_kernel.models import ExecutionFilter, Status
from tests.chaos.harness import Chaos, Plan
from tests.chaos.reckoning import Reckoning
from tests.dask_cluster import DaskCluster
from tests.server import until


@dataclass(frozen=True, kw_only=True)
class DaskPlan(Plan):
    """The numbers of Dask workers and schedulers to kill, in a random order."""

    dask_workers: int
    schedulers: int


class DaskChaos(Chaos):
    """A bout in which one worker has its executions run by a Dask cluster."""

    plan: DaskPlan

    def __post_init__(self) -> None:
        super().__post_init__()
        self._store.encryption.digest("")  # creates the key
        environment = self._environment | {"CLOUDO_KEY_FILE": str(self._workspace.key_file)}
        self._dask = DaskCluster(self.folder, environment, workers=2)
        self._worker_options = ("--executor", "dask", "--dask-address", self._dask.address)

    def _run(self) -> Reckoning:
        with self._dask:
            return super()._run()

    def _stop(self) -> None:
        super()._stop()
        self._dask.close()

    def _start_what_is_missing(self) -> None:
        self._dask.start_what_is_missing()
        super()._start_what_is_missing()

    def _kill(self) -> None:
        parts = ["Dask worker"] * self.plan.dask_workers + ["Dask scheduler"] * self.plan.schedulers
        self._chance.shuffle(parts)
        for part in parts:
            self._strike(part)
            self._killer.look()

    def _strike(self, part: str) -> None:
        """Kill a process of a part, once executions succeed again."""
        done = self._succeeded()
        self._until(lambda: self._succeeded() > done)
        self._is_over.wait(self._chance.uniform(0.05, self.plan.pause))
        # A Dask worker may just have ended, because it has lost its scheduler.
        self._until(lambda: self._has_struck(part))

    def _has_struck(self, part: str) -> bool:
        running = self._dask.running(self._dask.workers if part == "Dask worker" else [self._dask.scheduler])
        return bool(running) and self._killer.strike(part, self._chance.choice(running))

    def _drain(self) -> None:
        self._until(lambda: not self._unended())

    def _until(self, is_true: Callable[[], object]) -> None:
        """Wait, and start the processes again that have ended."""

        def has_come() -> object:
            self._start_what_is_missing()
            return is_true()

        until(has_come, seconds=60, what=lambda: f"It stands still.\n{self._dask.log}")

    def _succeeded(self) -> int:
        return self._api.execution_count(ExecutionFilter(status=(Status.ENDED_SUCCESS,))).total


def main() -> int:
    """Run it; the exit code is 1 when something was found that must not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.dask", description=__doc__)
    parser.add_argument("--dask-workers", type=int, default=50, help="kills of Dask workers")
    parser.add_argument("--schedulers", type=int, default=20, help="kills of the scheduler")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between two kills, at most")
    parser.add_argument("--real", action="store_true", help="notebooks that compute, log and have children")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        found = DaskChaos(Path(folder), DaskPlan(kills=0, seconds=0, workers=1, **vars(given))).run()
    print(found.table())
    print("\n".join(found.faults))
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
