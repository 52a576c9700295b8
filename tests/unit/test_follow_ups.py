"""What follows the ends of executions: once, with inputs that fit, and never without end."""

from __future__ import annotations

import threading
from copy import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cloudo_kernel.errors import AddressRefused, FlowNotFound, PermissionDenied, TooDeep, Unavailable
from cloudo_kernel.models import (
    Action,
    ChangeSchedule,
    CreateSchedule,
    ErrorDetail,
    Execution,
    ExecutionFilter,
    FollowingFlow,
    Origin,
    ScheduleTrigger,
    StartExecution,
    Status,
)
from cloudo_kernel.security.permissions import Rights
from cloudo_kernel.service import Service
from cloudo_kernel.settings import MAX_DEPTH, MAX_RUNNING
from cloudo_kernel.store import DueFollowUp, Outcome, Store
from cloudo_kernel.worker.notifier import Notifier
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow
from tests.server import until
from tests.unit.conftest import Clock

pytestmark = pytest.mark.db

SUCCESS = Outcome(status=Status.ENDED_SUCCESS)
CANCELLED = Outcome(status=Status.ENDED_CANCELLED)
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
    finish(store, execution, FAILED)


def finish(store: Store, execution: Execution, outcome: Outcome) -> None:
    store.queue.claim("w", free=99)  # others too
    store.reports.begin(execution.id, 1)
    store.reports.finish(execution.id, 1, outcome)


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
        store.reports.begin(claim.id, claim.attempt)
        store.reports.finish(claim.id, claim.attempt, FAILED)
    services = [Service(store, Catalog(workspace), user_name="cloudo") for _ in range(4)]
    threads = [threading.Thread(target=service.start_following_flows) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    following = started(api, "notify")
    assert sorted(one.input_value["execution_id"] for one in following) == sorted(one.id for one in failed)
    assert following[0].input_value | {"execution_id": ""} == {
        "execution_id": "",
        "flow_name": "fragile",
        "occasion": "on_error",
        "error": {"name": "ValueError", "value": "no", "cell": 1},
        "message": "ValueError: no",
    }
    assert (following[0].user_name, following[0].trigger, following[0].parent_id) == ("ada", Origin.FLOW, None)


def test_one_that_starts_itself_does_so_once(workspace: Workspace, store: Store, api: Service) -> None:
    write_flow(workspace.root, "self", "1 / 0", metadata={"on_error": "self"})
    fail(store, api.start_execution(StartExecution(flow_name="self")))
    api.start_following_flows()
    [follower, _] = started(api, "self")
    fail(store, follower)
    api.start_following_flows()
    assert len(started(api, "self")) == 2


def test_one_whose_children_fail_comes_to_an_end(workspace: Workspace, store: Store, api: Service) -> None:
    write_flow(workspace.root, "child", "1 / 0", metadata={"on_error": "parent"})
    write_flow(workspace.root, "parent", "this.flow('child')")
    store.settings.save(MAX_DEPTH, 3, user_name="ada")
    depth, execution = 0, api.start_execution(StartExecution(flow_name="child"))
    while True:
        fail(store, execution)
        api.start_following_flows()
        followers = [one for one in started(api, "parent") if not one.is_ended]
        if not followers:
            break
        depth += 2
        store.control.cancel(followers[0].id, user_name="ada", reason="")
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
    api.start_following_flows()
    [line] = api.execution(failed.id).log or ()
    assert line.level == "error"
    assert line.text.startswith("The flow 'strict' (on_error) could not be started: The input 'error' takes an integer")
    api.start_following_flows()
    assert len(api.execution(failed.id).log or ()) == 1


def test_each_occasion_has_its_own_followers_and_inputs(workspace: Workspace, store: Store, api: Service) -> None:
    metadata = {"on_success": "a", "on_error": ["a", {"flow": "b", "inputs": {"message": "mine"}}], "on_recovery": "b"}
    write_flow(workspace.root, "watched", "1", metadata=metadata)
    for name in ("a", "b"):
        write_flow(workspace.root, name, "1", metadata={"on_success": "a"})
    for outcome in (SUCCESS, FAILED, CANCELLED, SUCCESS, SUCCESS):
        finish(store, api.start_execution(StartExecution(flow_name="watched")), outcome)
        api.start_following_flows()
    for name in ("a", "b"):
        for execution in started(api, name):
            finish(store, execution, SUCCESS)  # which nothing follows
    api.start_following_flows()
    told = {
        name: [(one.input_value["occasion"], one.input_value["message"]) for one in reversed(started(api, name))]
        for name in ("a", "b")
    }
    assert told == {
        "a": [
            ("on_success", None),
            ("on_error", "ValueError: no"),
            ("on_success", None),
            ("on_success", None),
        ],
        "b": [("on_error", "mine"), ("on_recovery", None)],
    }


def test_what_a_schedule_says_wins_over_its_flow(
    workspace: Workspace, store: Store, api: Service, clock: Clock
) -> None:
    def run(outcome: Outcome) -> None:
        clock.now += timedelta(seconds=1)
        finish(store, api.trigger_schedule(schedule.id), outcome)
        api.start_following_flows()

    write_flow(workspace.root, "watched", "1", metadata={"on_error": "of flow", "on_recovery": "of flow"})
    for name in ("of flow", "of schedule"):
        write_flow(workspace.root, name, "1")
    trigger = ScheduleTrigger(cron="0 0 1 1 *")
    schedule = api.create_schedule(CreateSchedule(flow_name="watched", trigger=trigger, on_error=("of schedule",)))
    assert (schedule.on_error, schedule.on_success) == ((FollowingFlow(flow="of schedule"),), None)
    assert api.schedule(schedule.id) == schedule
    run(FAILED)
    assert [len(started(api, name)) for name in ("of flow", "of schedule")] == [0, 1]
    finish(store, api.start_execution(StartExecution(flow_name="watched")), FAILED)  # is none of the schedule
    api.start_following_flows()
    assert [len(started(api, name)) for name in ("of flow", "of schedule")] == [1, 1]
    run(SUCCESS)
    run(SUCCESS)
    assert [len(started(api, name)) for name in ("of flow", "of schedule")] == [2, 1]
    assert api.change_schedule(schedule.id, ChangeSchedule(on_error=())).on_error == ()
    run(FAILED)
    assert api.change_schedule(schedule.id, ChangeSchedule(on_error=None)).on_error is None
    run(FAILED)
    assert [len(started(api, name)) for name in ("of flow", "of schedule")] == [3, 1]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (5, "takes the name of a flow, "),
        ({"flows": "a"}, "takes the name of a flow, "),
        ({"flow": "a", "input": {}}, "Extra inputs"),
        ({"url": "https://example.com", "flow": "a"}, "Extra inputs"),
        ({"url": "ftp://example.com"}, "begins with https:// or http://"),
        ({"url": "//example.com"}, "begins with https:// or http://"),
        ({"url": "https://ada:secret@example.com/"}, "without user name and password"),
        ({"url": "https:///path"}, "the name or the address of a host"),
        ({"url": "https://example.com:99999/"}, "Port out of range"),
        ({"url": "https://example.com/\r\nHost: x"}, "ASCII characters"),
        ({"url": "https://１２７.0.0.1/"}, "ASCII characters"),
        ({"url": "https://[::1%25eth0]/"}, "the name or the address of a host"),
        ([{"flow": "a"}] * 11, "at most 10 items"),
    ],
)
def test_what_cannot_follow_is_refused_at_the_door(workspace: Workspace, api: Service, given: Any, what: str) -> None:
    write_flow(workspace.root, "watched", "1", metadata={"on_error": given})
    broken = api.flow("watched").broken
    assert broken is not None
    assert broken.startswith("its metadata 'cloudo.on_error")
    assert what in broken
    with pytest.raises(ValidationError, match=what.replace("(", "[(]")):
        CreateSchedule(flow_name="watched", trigger=ScheduleTrigger(delay_seconds=9), on_error=given)


def test_a_schedule_names_only_flows_that_are_there_and_ones_own(workspace: Workspace, api: Service) -> None:
    write_flow(workspace.root, "etl/watched", "1")
    write_flow(workspace.root, "other", "1")
    trigger = ScheduleTrigger(delay_seconds=1e6)
    with pytest.raises(FlowNotFound):
        api.create_schedule(CreateSchedule(flow_name="etl/watched", trigger=trigger, on_success=("nobody",)))
    limited = copy(api)
    limited._rights = Rights(actions=frozenset({Action.SCHEDULE_WRITE}), flows=("etl/*",))
    with pytest.raises(PermissionDenied):
        limited.create_schedule(CreateSchedule(flow_name="etl/watched", trigger=trigger, on_success=("other",)))
    made = limited.create_schedule(CreateSchedule(flow_name="etl/watched", trigger=trigger))
    with pytest.raises(PermissionDenied):
        limited.change_schedule(made.id, ChangeSchedule(on_recovery=("other",)))
    for url in ("http://127.0.0.1/", "http://2130706433/", "http://[::ffff:10.0.0.1]:8080/"):
        with pytest.raises(AddressRefused, match="allowed_private_networks"):
            api.change_schedule(made.id, ChangeSchedule(on_error=({"url": url},)))
        write_flow(workspace.root, "other", "1", metadata={"on_success": {"url": url}})
        assert "may not be called" in (api.flow("other").broken or "")


def test_a_name_that_stands_for_this_machine_is_given_up_at_once(
    workspace: Workspace, store: Store, api: Service
) -> None:
    write_flow(workspace.root, "watched", "1", metadata={"on_success": {"url": "http://localhost:9/secret-part"}})
    execution = api.start_execution(StartExecution(flow_name="watched"))
    finish(store, execution, SUCCESS)
    assert store.follow_ups.next_notification(reserved_for="private") is None
    assert store.follow_ups.next_notification(reserved_for=None) == store.now
    [due] = store.follow_ups.claim_notifications("w", most=9, reserved_for=None)
    assert store.follow_ups.claim_notifications("w1", most=9, reserved_for=None) == ()
    store.queue.release("w", lost=True)
    [again] = store.follow_ups.claim_notifications("w1", most=9, reserved_for=None)
    api.send_notification(due, timeout_seconds=1, delay_seconds=9)  # by the one that was lost: it counts no more
    assert api.execution(execution.id).log == ()
    api.send_notification(again, timeout_seconds=1, delay_seconds=9)
    [line] = api.execution(execution.id).log or ()
    assert line.text.startswith("http://localhost:9 (on_success) could not be called: 'localhost' (")
    assert store.follow_ups.next_notification(reserved_for=None) is None


def test_a_call_that_cannot_be_noted_is_made_again(
    workspace: Workspace, store: Store, api: Service, clock: Clock
) -> None:
    write_flow(workspace.root, "watched", "1", metadata={"on_success": {"url": "https://example.com/"}})
    finish(store, api.start_execution(StartExecution(flow_name="watched")), SUCCESS)
    calls: list[DueFollowUp] = []

    def send_notification(due: DueFollowUp, *, timeout_seconds: float, delay_seconds: float | None) -> None:
        calls.append(due)
        if len(calls) == 1:
            raise Unavailable("The disk is full.")
        store.follow_ups.settle_notification(due, place="https://example.com")

    notifier = Notifier(store, send_notification, worker_id="w", reserved_for=None)
    notifier.start()
    until(lambda: store.follow_ups.next_notification(reserved_for=None) == clock.now + timedelta(seconds=60))
    clock.now += timedelta(seconds=60)
    notifier.loop.wake()
    until(lambda: len(calls) == 2)
    notifier.stop()
    assert [due.attempts for due in calls] == [1, 2]
    assert store.follow_ups.next_notification(reserved_for=None) is None
