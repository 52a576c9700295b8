"""What is started when an execution ends in error: once, with inputs that fit, and never without end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cloudo_kernel.catalog import Catalog
from cloudo_kernel.errors import TooDeep
from cloudo_kernel.models import ErrorDetail, Execution, ExecutionFilter, StartExecution, Status, Trigger
from cloudo_kernel.service import Service
from cloudo_kernel.settings import MAX_DEPTH, MAX_RUNNING
from cloudo_kernel.store import Outcome, Store
from cloudo_kernel.workspace import Workspace
from tests.flows import write_flow

FAILED = Outcome(
    status=Status.ENDED_ERROR,
    message="ValueError: no",
    error=ErrorDetail(name="ValueError", value="no", cell=1, traceback=("a", "b")),
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "workspace")
    workspace.create()
    return workspace


def fail(store: Store, execution: Execution) -> None:
    [claim] = [claim for claim in store.queue.claim("w", free=9) if claim.id == execution.id]
    store.runs.begin(claim.id, claim.attempt, notebook="x")
    store.runs.finish(claim.id, claim.attempt, FAILED)


def started(api: Service, flow_name: str) -> list[Execution]:
    return [api.execution(one.id) for one in api.executions(ExecutionFilter(flow_name=flow_name)).items]


@pytest.fixture(autouse=True)
def many_slots(store: Store) -> None:
    store.settings.save(MAX_RUNNING, 100, user_name="ada")


def test_of_several_workers_one_starts_it(workspace: Workspace, store: Store, api: Service) -> None:
    write_flow(workspace.root, "fragile", "1 / 0", metadata={"on_error": "notify"})
    write_flow(workspace.root, "notify", "1", parameters="execution_id: str\nmessage: str = ''")
    failed = [api.start_execution(StartExecution(flow_name="fragile", name=f"run {number}")) for number in range(5)]
    for claim in store.queue.claim("w", free=9):
        store.runs.begin(claim.id, claim.attempt, notebook="x")
        store.runs.finish(claim.id, claim.attempt, FAILED)
    services = [Service(store, Catalog(workspace), user_name="cloudo") for _ in range(4)]
    threads = [threading.Thread(target=service.start_error_flows) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    following = started(api, "notify")
    assert sorted(one.input_value["execution_id"] for one in following) == sorted(one.id for one in failed)
    assert following[0].input_value | {"execution_id": ""} == {
        "execution_id": "",
        "flow_name": "fragile",
        "error": {"name": "ValueError", "value": "no", "cell": 1},
        "message": "ValueError: no",
    }
    assert (following[0].user_name, following[0].trigger, following[0].parent_id) == ("ada", Trigger.FLOW, None)


def test_one_that_starts_itself_does_so_once(workspace: Workspace, store: Store, api: Service) -> None:
    write_flow(workspace.root, "self", "1 / 0", metadata={"on_error": "self"})
    fail(store, api.start_execution(StartExecution(flow_name="self")))
    api.start_error_flows()
    [follower, _] = started(api, "self")
    fail(store, follower)
    api.start_error_flows()
    assert len(started(api, "self")) == 2


def test_one_whose_children_fail_comes_to_an_end(workspace: Workspace, store: Store, api: Service) -> None:
    write_flow(workspace.root, "child", "1 / 0", metadata={"on_error": "parent"})
    write_flow(workspace.root, "parent", "this.flow('child')")
    store.settings.save(MAX_DEPTH, 3, user_name="ada")
    depth, execution = 0, api.start_execution(StartExecution(flow_name="child"))
    while True:
        fail(store, execution)
        api.start_error_flows()
        followers = [one for one in started(api, "parent") if not one.is_ended]
        if not followers:
            break
        depth += 2
        store.wishes.cancel(followers[0].id, user_name="ada", reason="")
        flow = Service(store, Catalog(workspace), user_name="ada", parent_id=followers[0].id, depth=depth)
        try:
            execution = flow.start_child(StartExecution(flow_name="child"))
        except TooDeep:
            break
    assert depth == 4
    assert len(started(api, "child")) == 2


def test_one_that_cannot_be_started_is_told_in_the_log(workspace: Workspace, store: Store, api: Service) -> None:
    write_flow(workspace.root, "strict", "1", parameters="error: int")
    write_flow(workspace.root, "fragile", "1 / 0", metadata={"on_error": "strict"})
    failed = api.start_execution(StartExecution(flow_name="fragile"))
    fail(store, failed)
    api.start_error_flows()
    [line] = api.execution(failed.id).log or ()
    assert line.level == "error"
    assert line.text.startswith("The flow 'strict' (on_error) could not be started: The input 'error' takes an integer")
    api.start_error_flows()
    assert len(api.execution(failed.id).log or ()) == 1
