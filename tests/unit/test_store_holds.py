"""Held executions, who waits for whom, and what follows ends in error; over a real SQLite file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cloudo_kernel.errors import Conflict, DependencyCycle, ExecutionNotFound
from cloudo_kernel.models import ErrorDetail, FollowingFlow, Status
from cloudo_kernel.store import NewExecution, Outcome, Store

pytestmark = pytest.mark.db

Add = Callable[..., str]
New = Callable[..., NewExecution]
NOTIFY = {"on_error": [{"flow": "notify"}]}
SUCCESS = Outcome(status=Status.ENDED_SUCCESS)
FAILED = Outcome(status=Status.ENDED_ERROR, message="no", error=ErrorDetail(name="ValueError", value="no"))


@pytest.fixture
def run(store: Store, add: Add) -> Callable[..., str]:
    """Add an execution and begin its run."""

    def run(**more: object) -> str:
        execution_id = add(**more)
        claims = {claim.id: claim for claim in store.queue.claim("w1", free=9)}
        store.reports.begin(execution_id, claims[execution_id].attempt)
        return execution_id

    return run


@pytest.fixture(autouse=True)
def many_slots(store: Store) -> None:
    store.settings.save("client.execution.max_running", 100, user_name="ada")


def claimed(store: Store) -> list[str]:
    return [claim.id for claim in store.queue.claim("w1", free=9)]


def history(store: Store, execution_id: str) -> list[str]:
    return [event.type for event in store.events.after(0, limit=99, subject_id=execution_id)]


def test_a_held_one_is_not_claimed_before_it_is_released(store: Store, add: Add) -> None:
    held = add(is_held=True)
    assert (store.executions.status(held), claimed(store)) == (Status.PENDING, [])
    store.control.pause(held, user_name="ada")
    store.control.resume(held, user_name="ada")
    assert claimed(store) == []
    store.control.release(held)
    store.control.release(held)  # once is enough
    assert claimed(store) == [held]
    assert history(store, held).count("ExecutionReleased") == 1
    with pytest.raises(ExecutionNotFound):
        store.control.release("x")


def test_a_held_one_keeps_nobody_awake(store: Store, add: Add, clock: Any) -> None:
    add(is_held=True, scheduled_for=clock.now + timedelta(hours=1))
    assert store.queue.next_due() is None


def test_one_is_released_by_the_last_of_those_that_it_follows(store: Store, add: Add, run: Add) -> None:
    first, second, done = run(), run(), run()
    store.reports.finish(done, 1, SUCCESS)
    held = add(is_held=True)
    store.control.release(held, after=[first, second, second, done])
    assert claimed(store) == []
    store.reports.finish(first, 1, SUCCESS)
    assert claimed(store) == []
    store.reports.finish(second, 1, SUCCESS)
    assert claimed(store) == [held]


@pytest.mark.slow
@pytest.mark.db("sqlite")  # 3,000 ends: minutes with PostgreSQL on a busy machine
def test_what_follows_a_failure_ends_in_error_however_long_the_row_is(store: Store, add: Add, run: Add) -> None:
    first = run()
    row = [first]
    for _ in range(1100):  # deeper than Python recurses
        row.append(add(is_held=True))
        store.control.release(row[-1], after=[row[-2]])
    store.reports.finish(first, 1, FAILED)
    last = store.executions.get(row[-1])
    assert (last.status, last.error and last.error.name) == (Status.ENDED_ERROR, "DependencyFailedError")
    assert row[-2] in (last.message or "")
    late = add(is_held=True)
    store.control.release(late, after=[first])
    assert store.executions.status(late) is Status.ENDED_ERROR
    assert claimed(store) == []


def test_a_failed_attempt_is_no_end_for_those_that_follow(store: Store, add: Add, run: Add) -> None:
    first = run(retries=1)
    held = add(is_held=True)
    store.control.release(held, after=[first])
    store.reports.finish(first, 1, FAILED)
    assert claimed(store) == [first]
    store.reports.finish(first, 2, SUCCESS)
    assert claimed(store) == [held]


def test_cancelling_reaches_held_ones_and_their_followers(store: Store, add: Add) -> None:
    held, follower = add(is_held=True), add(is_held=True)
    store.control.release(follower, after=[held])
    store.control.cancel(held, user_name="ada", reason="not needed")
    assert store.executions.status(held) is Status.ENDED_CANCELLED
    assert store.executions.status(follower) is Status.ENDED_ERROR


@pytest.mark.parametrize("outcome", [SUCCESS, FAILED])
def test_what_nobody_let_run_ends_with_its_parent(store: Store, add: Add, run: Add, outcome: Outcome) -> None:
    parent, other = run(), run()
    never = add(parent_id=parent, is_held=True)
    follower = add(parent_id=parent, is_held=True)
    started = add(parent_id=parent)
    store.control.release(follower, after=[other])
    store.reports.finish(parent, 1, outcome)
    ended = Status.PENDING if outcome is SUCCESS else Status.ENDED_CANCELLED
    assert store.executions.status(never) is Status.ENDED_CANCELLED
    assert store.executions.status(follower) is store.executions.status(started) is ended


def test_those_that_would_wait_for_each_other_are_named(store: Store, run: Add) -> None:
    a, b, c = run(name="a"), run(name="b"), run(name="c")
    store.reports.wait(a, 1, message="", on=[b])
    store.reports.wait(b, 1, message="", on=[c])
    with pytest.raises(DependencyCycle) as caught:
        store.reports.wait(c, 1, message="", on=[a])
    assert f"forever: c ({c}) → a ({a}) → b ({b}) → c ({c})." in str(caught.value)
    assert store.executions.status(c) is Status.RUNNING  # nothing was changed
    with pytest.raises(DependencyCycle):
        store.reports.wait(c, 1, message="", on=[c])
    store.reports.wait(c, 1, message="")
    store.reports.finish(c, 1, SUCCESS)
    assert store.reports.take_slot(b, 1)
    store.reports.wait(b, 1, message="")  # for nobody: what it waited for before is forgotten
    assert store.reports.take_slot(a, 1)


def test_a_held_one_that_would_wait_for_itself_is_told(store: Store, add: Add, run: Add) -> None:
    held, waiting = add(is_held=True), run()
    store.reports.wait(waiting, 1, message="", on=[held])
    with pytest.raises(DependencyCycle):
        store.control.release(held, after=[waiting])
    store.control.release(held)
    assert claimed(store) == [held]


def test_what_a_lost_run_waited_for_is_forgotten(store: Store, run: Add) -> None:
    waiting, other = run(retries=1), run()
    store.reports.wait(waiting, 1, message="", on=[other])
    store.reports.finish(waiting, 1, FAILED)
    store.reports.wait(other, 1, message="", on=[waiting])


def test_inputs_are_changed_before_the_beginning_only(store: Store, add: Add) -> None:
    held = add(is_held=True)
    store.control.save(held, {"input_value": {"a": 1}, "name": "x", "tags": ["t"]}, user_name="ada")
    record = store.executions.get(held)
    assert (record.input_value, record.name, record.tags) == ({"a": 1}, "x", ("t",))
    store.control.release(held)
    assert claimed(store) == [held]
    with pytest.raises(Conflict, match="its input_value is its own now"):
        store.control.save(held, {"input_value": {}}, user_name="ada")
    store.control.save(held, {"message": "from outside"}, user_name="ada")
    assert store.executions.get(held).message == "from outside"


def test_what_was_given_from_the_beginning_stays_for_the_first_run_only(store: Store, add: Add) -> None:
    execution_id = add(message="prepared", output_value={"a": 1}, retries=1)
    [claim] = store.queue.claim("w1", free=1)
    begun = store.reports.begin(execution_id, claim.attempt).execution
    assert (begun.message, begun.output_value) == ("prepared", {"a": 1})
    store.reports.finish(execution_id, 1, FAILED)
    [claim] = store.queue.claim("w1", free=1)
    begun = store.reports.begin(execution_id, claim.attempt).execution
    assert (begun.message, begun.output_value) == (None, {})


def test_an_end_in_error_is_followed_once(store: Store, new: New, run: Add) -> None:
    failed, sound, lost = run(follow_ups=NOTIFY, depth=3), run(follow_ups=NOTIFY), run(follow_ups=NOTIFY)
    unconcerned = run()
    assert store.follow_ups.due_flows(reserved_for=None) == ()
    store.reports.finish(failed, 1, FAILED)
    store.reports.finish(sound, 1, SUCCESS)
    store.reports.finish(unconcerned, 1, FAILED)
    [due] = store.follow_ups.due_flows(reserved_for=None)
    assert (due.execution.id, due.target, due.occasion, due.depth) == (
        failed,
        FollowingFlow(flow="notify"),
        "on_error",
        3,
    )
    assert store.follow_ups.due_flows(reserved_for="private") == ()
    followers = [new(), new()]
    assert [store.follow_ups.start(due, follower) for follower in followers] == [True, False]
    assert store.executions.get(followers[0].id).status is Status.PENDING
    with pytest.raises(ExecutionNotFound):
        store.executions.get(followers[1].id)
    assert store.follow_ups.due_flows(reserved_for=None) == ()
    store.queue.release("w1", lost=True)
    [due] = store.follow_ups.due_flows(reserved_for=None)
    assert due.execution.id == lost
    store.follow_ups.give_up(due, "there is no such flow")
    store.follow_ups.give_up(due, "there is no such flow")
    assert [line.text for line in store.executions.get(lost).log or ()] == ["there is no such flow"]


def test_an_end_that_is_still_to_be_followed_is_kept(store: Store, run: Add) -> None:
    failed = run(follow_ups=NOTIFY, retention_minutes=0)
    store.reports.finish(failed, 1, FAILED)
    assert store.executions.expired() == ()
    store.follow_ups.give_up(store.follow_ups.due_flows(reserved_for=None)[0], "no")
    assert [one.id for one in store.executions.expired()] == [failed]


def test_what_a_private_worker_left_is_followed_by_another_one(store: Store, add: Add) -> None:
    failed = add(follow_ups=NOTIFY, reserved_for="private")
    [claim] = store.queue.claim("private", free=1, private=True)
    store.reports.begin(claim.id, claim.attempt)
    store.reports.finish(failed, 1, FAILED)
    assert [one.execution.id for one in store.follow_ups.due_flows(reserved_for="private")] == [failed]
    store.queue.release("private", lost=True)
    assert [one.execution.id for one in store.follow_ups.due_flows(reserved_for=None)] == [failed]


def test_a_parent_can_fail_while_one_child_waits_for_another(store: Store, add: Add, run: Add) -> None:
    parent = run()
    first, second, third = (add(parent_id=parent, is_held=held) for held in (False, True, True))
    store.control.release(second, after=[first])
    store.control.release(third, after=[second])
    store.reports.finish(parent, 1, FAILED)
    assert store.executions.status(parent) is Status.ENDED_ERROR
    assert store.executions.status(first) is Status.ENDED_CANCELLED
    assert {store.executions.status(one) for one in (second, third)} == {Status.ENDED_ERROR}
