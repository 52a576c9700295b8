"""What becomes of runs that fail: retries, and the children of what ended; over a real SQLite file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from cloudo_kernel.errors import StaleAttempt
from cloudo_kernel.models import ErrorDetail, Execution, Progress, Status, rfc3339
from cloudo_kernel.store import Outcome, Store
from tests.unit.conftest import Clock

pytestmark = pytest.mark.db

Add = Callable[..., str]
BOOM = Outcome(
    status=Status.ENDED_ERROR,
    message="ValueError: boom",
    error=ErrorDetail(name="ValueError", value="boom\nand more", cell=2),
    progress=Progress(done=1, total=3),
)
STOPPED = Outcome(status=Status.ENDED_CANCELLED, message="server stopped", is_interrupted=True)
SUCCESS = Outcome(status=Status.ENDED_SUCCESS)


def run(store: Store, worker_id: str = "w1") -> tuple[str, int]:
    """Claim the next execution and begin its run."""
    [claim] = store.queue.claim(worker_id, free=1)
    store.reports.begin(claim.id, claim.attempt)
    return claim.id, claim.attempt


def fail(store: Store, outcome: Outcome = BOOM) -> Execution:
    execution_id, attempt = run(store)
    store.reports.finish(execution_id, attempt, outcome)
    return store.executions.get(execution_id)


def test_a_failed_run_is_tried_again_and_shows_what_failed_meanwhile(store: Store, clock: Clock, add: Add) -> None:
    execution_id = add(retries=1, retry_delay_seconds=10)
    record = fail(store)
    assert (record.status, record.attempt) == (Status.PENDING, 1)
    assert (record.message, record.error) == (BOOM.message, BOOM.error)
    assert record.started_at is None
    assert record.scheduled_for == clock.now + timedelta(seconds=10)
    [line] = record.log or ()
    assert (line.level, line.text) == ("warning", "Attempt 1 failed (ValueError: boom); trying again in 10 s")
    event = store.events.after(0, limit=99, subject_id=execution_id)[-2]
    assert event.type == "ExecutionRequeued"
    assert event.data["error"] == "ValueError"
    assert event.data["scheduled_for"] == rfc3339(record.scheduled_for)
    assert store.queue.claim("w1", free=1) == ()
    clock.now += timedelta(seconds=10)
    again, attempt = run(store)
    assert (again, attempt) == (execution_id, 2)
    store.reports.finish(execution_id, 2, SUCCESS)
    record = store.executions.get(execution_id)
    assert (record.status, record.error, record.message) == (Status.ENDED_SUCCESS, None, None)


def test_retries_come_to_an_end(store: Store, clock: Clock, add: Add) -> None:
    add(retries=2, retry_delay_seconds=50_000)
    delays = []
    while not (record := fail(store)).is_ended:
        assert record.scheduled_for is not None
        delays.append((record.scheduled_for - clock.now).total_seconds())
        clock.now = record.scheduled_for
    assert delays == [50_000, 86_400]  # doubled, but never longer than a day
    assert (record.status, record.attempt, record.error) == (Status.ENDED_ERROR, 3, BOOM.error)


def test_a_new_attempt_begins_without_the_outputs_of_the_last(store: Store, add: Add) -> None:
    execution_id = add(retries=1)
    _, attempt = run(store)
    store.reports.save(execution_id, attempt, {"output_value": {"a": 1}})
    store.reports.finish(execution_id, attempt, BOOM)
    assert store.executions.get(execution_id).output_value == {"a": 1}
    with pytest.raises(StaleAttempt):
        store.reports.finish(execution_id, attempt - 1, SUCCESS)
    run(store)
    record = store.executions.get(execution_id)
    assert (record.output_value, record.message, record.error, record.progress.done) == ({}, None, None, 0)


def test_without_retries_left_nothing_is_tried_again(store: Store, add: Add) -> None:
    add()
    assert fail(store).status is Status.ENDED_ERROR


@pytest.mark.parametrize("outcome", [BOOM, STOPPED])
def test_what_somebody_wants_cancelled_is_not_tried_again(store: Store, add: Add, outcome: Outcome) -> None:
    execution_id = add(retries=5)
    _, attempt = run(store)
    store.control.cancel(execution_id, user_name="ada", reason="no more")
    store.reports.finish(execution_id, attempt, outcome)
    assert store.executions.get(execution_id).status is outcome.status


def test_a_cancelled_or_successful_run_is_not_tried_again(store: Store, add: Add) -> None:
    for status in (Status.ENDED_CANCELLED, Status.ENDED_SUCCESS):
        add(retries=5)
        assert fail(store, Outcome(status=status)).status is status


def test_a_stopped_server_keeps_what_has_a_retry_left(store: Store, add: Add) -> None:
    add(retries=1)
    record = fail(store, STOPPED)
    assert (record.status, record.message) == (Status.PENDING, "server stopped")
    assert fail(store, STOPPED).status is Status.ENDED_CANCELLED


def test_a_lost_worker_uses_up_a_retry_only_of_what_had_begun(store: Store, add: Add) -> None:
    execution_id = add(retries=1)
    for number in range(3):
        store.workers.register(f"fresh{number}", private=False)
        assert store.queue.claim(f"fresh{number}", free=1)
        store.queue.release(f"fresh{number}", lost=True)
        assert store.executions.get(execution_id).status is Status.PENDING
    run(store, "w1")
    store.queue.release("w1", lost=True)
    record = store.executions.get(execution_id)
    assert record.status is Status.PENDING
    assert record.error is not None
    assert record.error.name == "WorkerLost"
    run(store, "w2")
    store.queue.release("w2", lost=True)
    assert store.executions.get(execution_id).status is Status.ENDED_ERROR


def test_a_private_workers_heir_gets_its_retries(store: Store, add: Add) -> None:
    execution_id = add(retries=1, reserved_for="w1")
    [claim] = store.queue.claim("w1", free=1, private=True)
    store.reports.begin(execution_id, claim.attempt)
    store.queue.release("w1", lost=True, successor="w2")
    assert store.queue.claim("w3", free=1) == ()
    assert [claim.id for claim in store.queue.claim("w2", free=1, private=True)] == [execution_id]


@pytest.mark.parametrize("retries", [0, 1])
def test_a_parent_that_fails_ends_its_children(store: Store, add: Add, retries: int) -> None:
    parent = add(retries=retries)
    _, attempt = run(store)
    running = add(parent_id=parent)
    run(store)
    pending, other = add(parent_id=parent), add()
    grandchild = add(parent_id=pending)
    store.reports.finish(parent, attempt, BOOM)
    for child in (pending, grandchild):
        record = store.executions.get(child)
        assert (record.status, record.message) == (Status.ENDED_CANCELLED, "its parent ended")
    assert [(wish.id, wish.stop_reason) for wish in store.control.of("w1")] == [(running, "its parent ended")]
    assert store.executions.get(other).status is Status.PENDING


def test_children_of_a_parent_that_succeeded_go_on(store: Store, add: Add) -> None:
    parent = add()
    _, attempt = run(store)
    child = add(parent_id=parent)
    store.reports.finish(parent, attempt, SUCCESS)
    assert store.executions.get(child).status is Status.PENDING
