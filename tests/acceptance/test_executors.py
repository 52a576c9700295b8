"""The obligations of an executor (`docs/executors.md`), checked for every installed one, with real kernels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from queue import Queue

import psutil
import pytest

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models import ErrorDetail, ExecutionFilter, StartExecution, Status
from cloudo_kernel.processes.loop import Loop, states
from cloudo_kernel.service import Service
from cloudo_kernel.settings import LINGER_SECONDS
from cloudo_kernel.store import HEARTBEAT_SECONDS, Claim, Outcome, Store
from cloudo_kernel.worker.executor import Executor, ExecutorContext
from cloudo_kernel.worker.executors import installed, load
from cloudo_kernel.worker.slots import WorkerSlots
from cloudo_kernel.worker.worker import Worker
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow
from tests.server import until
from tests.workers import is_alive

pytestmark = [pytest.mark.timeout(180), pytest.mark.db]

MINUTE = timedelta(minutes=1)
LATE = Outcome(
    status=Status.ENDED_ERROR, message="it took too long", error=ErrorDetail(name="Timeout", value="it took too long")
)
SUCCESS, ERROR = Status.ENDED_SUCCESS, Status.ENDED_ERROR


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.create()
    note = f"import os, pathlib\npathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))"
    write_flow(tmp_path, "quick", "this.set_output('sum', a + b)", parameters="a = 1\nb = 2")
    write_flow(tmp_path, "endless", note, "import time\nwhile True: time.sleep(0.05)")
    write_flow(
        tmp_path, "stubborn", note, "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    )
    write_flow(tmp_path, "dying", "import os\nos._exit(7)")
    write_flow(
        tmp_path,
        "parent",
        "this.log('begun')\nthis.sleep(1)",
        "this.set_output('child', this.flow('quick', a=5).outputs['sum'])",
        metadata={"durable": True},
    )
    return workspace


class Bench:
    """An executor beside a queue: the part of the dispatcher is played by the test."""

    def __init__(self, name: str, store: Store, workspace: Workspace) -> None:
        store.workers.register("w1", private=False)
        self.store = store
        self.ends: Queue[bool] = Queue()
        self.has_ended = False
        context = ExecutorContext(
            store=store,
            catalog=Catalog(workspace),
            slots=WorkerSlots(store, "w1", None),
            linger_seconds=LINGER_SECONDS,
        )
        self.executor: Executor = load(name)(context)
        self.executor.start(lambda *, is_reported: self.ends.put(is_reported))
        self.heart = Loop("heart", self._beat)
        self.heart.start()

    def _beat(self) -> float:
        self.store.workers.beat("w1")
        return HEARTBEAT_SECONDS

    def claim(self, api: Service, flow_name: str, **inputs: int) -> Claim:
        execution_id = api.start_execution(StartExecution(flow_name=flow_name, inputs=inputs)).id
        [claim] = self.store.queue.claim("w1", free=1)
        assert claim.id == execution_id
        return claim

    def submit(self, api: Service, flow_name: str, **inputs: int) -> Claim:
        claim = self.claim(api, flow_name, **inputs)
        self.executor.submit(claim)
        return claim

    def kernel(self, workspace: Workspace) -> psutil.Process:
        """Return the kernel of a run once its first cell has ended."""
        path = workspace.root / "pid"
        until(lambda: path.exists() and bool(path.read_text()), seconds=60)
        return psutil.Process(int(path.read_text()))


@pytest.fixture(params=installed())
def bench(request: pytest.FixtureRequest, store: Store, workspace: Workspace) -> Iterator[Bench]:
    bench = Bench(request.param, store, workspace)
    yield bench
    for execution_id in bench.executor.running():
        bench.executor.stop(execution_id, LATE)
    if not bench.has_ended:
        bench.executor.end()
    bench.heart.stop()


def test_each_run_is_reported_and_its_end_is_told_once(bench: Bench, api: Service) -> None:
    assert bench.executor.running() == ()
    assert [one.is_alive for one in states(bench.executor.loops)] == [True] * len(bench.executor.loops)
    claims = [bench.submit(api, "quick", a=1), bench.submit(api, "quick", a=2), bench.submit(api, "dying")]
    assert [bench.ends.get(timeout=60) for _ in claims] == [True] * 3
    until(lambda: bench.executor.running() == ())
    records = [api.execution(claim.id) for claim in claims]
    assert [one.output_value for one in records] == [{"sum": 3}, {"sum": 4}, {}]
    assert [one.status for one in records] == [SUCCESS, SUCCESS, ERROR]
    assert records[2].error is not None
    assert records[2].error.name == "KernelDied"
    assert "this.set_output" in api.execution_notebook(claims[0].id)
    bench.executor.close()  # with nothing to wait for
    assert bench.ends.empty()


@pytest.mark.parametrize("flow_name", ["endless", "stubborn"])
def test_a_stopped_run_ends_as_it_is_told(bench: Bench, api: Service, workspace: Workspace, flow_name: str) -> None:
    claim = bench.submit(api, flow_name)
    kernel = bench.kernel(workspace)
    assert bench.executor.running() == (claim.id,)
    bench.executor.stop("unknown", LATE)
    for _ in range(3):
        bench.executor.stop(claim.id, LATE)
    assert bench.ends.get(timeout=60) is True
    record = api.execution(claim.id)
    assert (record.status, record.error and record.error.name) == (ERROR, "Timeout")
    until(lambda: not is_alive(kernel))
    bench.executor.stop(claim.id, LATE)  # it has ended
    assert bench.ends.empty()


def test_killed_runs_leave_no_process_and_change_nothing(bench: Bench, api: Service, workspace: Workspace) -> None:
    claim = bench.submit(api, "endless")
    kernel = bench.kernel(workspace)
    assert bench.store.queue.release("w1", lost=True) == (claim.id,)
    before = api.execution(claim.id)
    assert before.error is not None
    assert before.error.name == "WorkerLost"
    bench.executor.close(kill=True)
    assert bench.executor.running() == ()
    until(lambda: not is_alive(kernel))
    assert bench.ends.get(timeout=60) is True  # nothing is left to report
    assert api.execution(claim.id) == before


def test_a_run_of_an_earlier_attempt_changes_nothing(bench: Bench, api: Service) -> None:
    stale = bench.claim(api, "quick", a=7)
    bench.store.queue.release("w1", lost=True)  # it had not begun, so it is pending again
    bench.store.workers.register("w1", private=False)
    [current] = bench.store.queue.claim("w1", free=1)
    assert (stale.id, stale.attempt, current.attempt) == (current.id, 1, 2)
    bench.executor.submit(stale)
    assert bench.ends.get(timeout=60) is True
    assert api.execution(stale.id).status is Status.RUNNING
    bench.executor.submit(current)
    assert bench.ends.get(timeout=60) is True
    assert api.execution(stale.id).output_value == {"sum": 9}


def test_the_end_waits_for_runs_and_stops_the_loops(bench: Bench, api: Service) -> None:
    claim = bench.submit(api, "quick")
    bench.executor.end()  # waits for the run
    bench.has_ended = True
    assert api.execution(claim.id).status is SUCCESS
    assert bench.executor.running() == ()
    assert states(bench.executor.loops) == ()


@pytest.mark.parametrize("name", installed())
def test_a_worker_runs_what_flows_can_do(name: str, store: Store, api: Service, workspace: Workspace) -> None:
    worker = Worker(store, Catalog(workspace), executor=name, linger_seconds=0)
    worker.start()
    try:
        parent = api.start_execution(StartExecution(flow_name="parent")).id
        record = api.wait(parent, timeout=MINUTE)
        assert (record.status, record.output_value) == (SUCCESS, {"child": 7}), record.error
        [child] = api.executions(ExecutionFilter(parent_id=parent)).items
        assert child.status is SUCCESS
        log = api.execution(parent).log
        assert log is not None
        assert [line.text for line in log if line.text == "begun"] == ["begun"]  # a replay logs nothing twice
        endless = api.start_execution(StartExecution(flow_name="endless")).id
        until(lambda: api.execution(endless).progress.done == 1, seconds=60)
        api.cancel_execution(endless)
        assert api.wait(endless, timeout=MINUTE).status is Status.ENDED_CANCELLED
    finally:
        worker.stop()


def test_an_executor_that_is_not_installed_is_named_with_those_that_are(store: Store, workspace: Workspace) -> None:
    assert "local" in installed()
    with pytest.raises(MalformedRequest, match=r"no executor 'nowhere' is installed\. Installed: .*local"):
        Worker(store, Catalog(workspace), executor="nowhere")
