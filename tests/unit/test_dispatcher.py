"""The dispatcher with an executor that loses runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.store import Claim, Outcome, Store
from cloudo_kernel.worker.dispatcher import Dispatcher
from cloudo_kernel.worker.executor import OnEnd
from cloudo_kernel.worker.heartbeat import Heartbeat
from cloudo_kernel.worker.slots import WorkerSlots
from tests.server import until


class Losing:
    """An executor that loses a run without a report, and the last one right after it was listed."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.loops: tuple[Loop, ...] = ()

    def start(self, on_end: OnEnd) -> None:
        self._on_end = on_end

    def submit(self, claim: Claim) -> None:
        self.ids.append(claim.id)

    def lose(self, execution_id: str) -> None:
        self.ids.remove(execution_id)
        self._on_end(is_reported=False)

    def running(self) -> tuple[str, ...]:
        found = tuple(self.ids)
        if len(found) == 1:
            self.lose(*found)
        return found

    def stop(self, execution_id: str, outcome: Outcome) -> None:
        pass

    def close(self, *, kill: bool = False) -> None:  # noqa: ARG002 - there are no processes
        self.ids.clear()

    def end(self) -> None:
        pass


@pytest.mark.db
def test_a_run_that_is_lost_while_others_are_looked_after_is_not_forgotten(
    store: Store, add: Callable[..., str], tmp_path: Path
) -> None:
    executor = Losing()
    dispatcher = Dispatcher(
        store,
        executor,
        worker_id="w4",
        heartbeat=Heartbeat(store, "w4", private=False),
        state=tmp_path,
        slots=WorkerSlots(store, "w4", None),
        private=False,
        follow_up=lambda: None,
        on_drained=lambda: None,
    )
    first, second = add(), add()
    dispatcher.start()
    try:
        until(lambda: set(executor.ids) == {first, second})
        executor.lose(first)
        until(lambda: all(store.executions.get(one).attempt > 1 for one in (first, second)))
    finally:
        dispatcher.stop()
