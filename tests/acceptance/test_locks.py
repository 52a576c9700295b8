"""Who gets a lock next: real kernels, and several workers of one store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from cloudo_kernel.models import Execution, StartExecution, Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.worker.worker import Worker
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow
from tests.server import until

Start = Callable[..., str]
HOLDS = """
import pathlib, time
with system.setting("team.lock"):
    this.save(message="has it")
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
"""
TAKES = """
import os
this.set_output("pid", os.getpid())
with system.setting("team.lock"):
    order = system.setting("team.order")
    order.save([*(order.get() if order.exists() else []), number])
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.create()
    write_flow(tmp_path, "holds", HOLDS)
    write_flow(tmp_path, "takes", TAKES, parameters="number: int")
    write_flow(tmp_path, "takes later", TAKES, parameters="number: int", metadata={"durable": True})
    return workspace


@pytest.fixture(autouse=True)
def workers(store: Store, workspace: Workspace) -> Iterator[None]:
    """Two of them, each with a store of its own, as on two machines."""
    other = Store.open(workspace.database_url)
    workers = [Worker(one, Catalog(workspace), linger_seconds=0.3, slots=3) for one in (store, other)]
    for worker in workers:
        worker.start()
    yield
    for worker in workers:
        worker.stop()
    other.close()


@pytest.fixture
def start(api: Service) -> Start:
    return lambda flow_name, **inputs: api.start_execution(StartExecution(flow_name=flow_name, inputs=inputs)).id


@pytest.fixture
def holder(api: Service, start: Start) -> str:
    holder = start("holds")
    until(lambda: api.execution(holder).message == "has it", seconds=60)
    return holder


def until_waiting(api: Service, execution_id: str) -> None:
    until(lambda: api.execution(execution_id).status is Status.WAITING, seconds=60)


def ended(api: Service, execution_id: str) -> Execution:
    record = api.wait(execution_id, timeout=timedelta(seconds=60))
    assert record.status is Status.ENDED_SUCCESS, record
    return record


def detach(workspace: Workspace) -> None:
    (workspace.flows / "go").touch()


def test_who_waits_longest_for_a_lock_gets_it_first(
    api: Service, workspace: Workspace, start: Start, holder: str
) -> None:
    waiting = []
    for number in range(6):
        waiting.append(start("takes", number=number))
        until_waiting(api, waiting[-1])
    detach(workspace)
    for one in (holder, *waiting):
        ended(api, one)
    assert api.setting("team.order").value == list(range(6))


def test_one_in_line_that_is_cancelled_blocks_nobody(
    api: Service, workspace: Workspace, start: Start, holder: str
) -> None:
    first, second = start("takes", number=1), ""
    until_waiting(api, first)
    second = start("takes", number=2)
    until_waiting(api, second)
    api.cancel_execution(first)
    until(lambda: api.execution(first).is_ended)
    detach(workspace)
    ended(api, holder)
    ended(api, second)
    assert api.setting("team.order").value == [2]


def test_a_durable_flow_needs_no_process_to_stand_in_line(
    api: Service, workspace: Workspace, start: Start, holder: str
) -> None:
    first = start("takes later", number=1)
    until_waiting(api, first)
    second = start("takes", number=2)
    until_waiting(api, second)
    until(lambda: not psutil.pid_exists(api.execution(first).output_value["pid"]))
    assert api.execution(first).status is Status.WAITING
    detach(workspace)
    for one in (holder, first, second):
        ended(api, one)
    assert api.setting("team.order").value == [1, 2]
    assert api.execution(first).attempt == 2
    assert api.setting("team.order").locked_by is None
