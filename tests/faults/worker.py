"""A worker with a lease and a clock of the test's own: `python -m tests.faults.worker WORKSPACE`."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import apscheduler.schedulers.base as timer

from cloudo_kernel.processes.zygotes import shared_zygotes
from cloudo_kernel.store import Store
from cloudo_kernel.worker.worker import Worker
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.faults import saboteur


def main(words: Sequence[str] | None = None) -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--lease-seconds", type=float, default=5.0)
    parser.add_argument("--slots", type=int)
    parser.add_argument("--clock", type=Path, help="a file with the seconds by which the clock is wrong")
    parser.add_argument("--saboteur", action="store_true", help="break its loops when files order it")
    given = parser.parse_args(words)
    if given.saboteur:
        saboteur.start(given.workspace)

    class MovedClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            wrong = float(given.clock.read_text()) if given.clock else 0.0
            return datetime.now(tz) + timedelta(seconds=wrong)

    timer.datetime = MovedClock  # the timer's library reads the machine's clock, which is moved for everyone
    shared_zygotes(())  # as in servers of tests, nothing is imported beforehand
    workspace = Workspace(given.workspace)
    store = Store.open(workspace.database_url, clock=lambda: MovedClock.now(UTC))
    worker = Worker(store, Catalog(workspace), lease_seconds=given.lease_seconds, slots=given.slots)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    worker.start()
    print("Ctrl-C ends it", flush=True)
    signal.sigwait({signal.SIGTERM})
    worker.stop()
    store.close()


if __name__ == "__main__":
    main()
