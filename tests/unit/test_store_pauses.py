"""Pausing and resuming, in every state; over a real SQLite file."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cloudo_kernel.errors import ExecutionNotFound, IllegalTransition
from cloudo_kernel.models import ErrorDetail, Status
from cloudo_kernel.store import Outcome, Store
from cloudo_kernel.store.executions.control import StopRequest

pytestmark = pytest.mark.db

Add = Callable[..., str]
SUCCESS = Outcome(status=Status.ENDED_SUCCESS)
FAILED = Outcome(status=Status.ENDED_ERROR, message="no", error=ErrorDetail(name="ValueError", value="no"))


@pytest.fixture
def pause(store: Store) -> Callable[[str], None]:
    return lambda execution_id: store.control.pause(execution_id, user_name="grace")


@pytest.fixture
def resume(store: Store) -> Callable[[str], None]:
    return lambda execution_id: store.control.resume(execution_id, user_name="grace")


@pytest.fixture
def run(store: Store, add: Add) -> Callable[..., str]:
    """Add an execution and begin its run."""

    def run(**more: object) -> str:
        execution_id = add(**more)
        [claim] = store.queue.claim("w1", free=1)
        store.reports.begin(claim.id, claim.attempt)
        assert claim.id == execution_id
        return execution_id

    return run


def status(store: Store, execution_id: str) -> Status:
    return store.executions.status(execution_id)


def history(store: Store, execution_id: str) -> list[str]:
    return [event.type for event in store.events.after(0, limit=99, subject_id=execution_id)]


def test_a_pending_one_is_paused_at_once_and_not_claimed(
    store: Store, add: Add, pause: Callable[[str], None], resume: Callable[[str], None]
) -> None:
    execution_id = add()
    pause(execution_id)
    assert status(store, execution_id) is Status.PAUSED
    assert store.queue.claim("w1", free=1) == ()
    resume(execution_id)
    assert [claim.id for claim in store.queue.claim("w1", free=1)] == [execution_id]
    paused = store.events.after(0, limit=99, subject_id=execution_id)[1]
    assert (paused.type, paused.user_name) == ("ExecutionPaused", "grace")


def test_a_running_one_is_paused_between_two_cells_and_gives_its_slot_back(
    store: Store, add: Add, run: Add, pause: Callable[[str], None], resume: Callable[[str], None]
) -> None:
    execution_id = run()
    run()  # both slots are taken
    waiting = add()
    assert store.reports.pause(execution_id, 1) is False  # nobody wants it
    pause(execution_id)
    assert status(store, execution_id) is Status.RUNNING
    assert store.control.is_pause_wanted(execution_id)
    assert store.reports.pause(execution_id, 1) is True
    assert status(store, execution_id) is Status.PAUSED
    assert not store.control.is_pause_wanted(execution_id)
    assert store.reports.take_slot(execution_id, 1) is False
    [other] = store.queue.claim("w1", free=9)
    assert other.id == waiting
    add()
    resume(execution_id)
    assert store.reports.take_slot(execution_id, 1) is False  # both slots are taken
    store.reports.finish(waiting, 1, SUCCESS)
    assert store.queue.claim("w1", free=9) == ()  # the free slot is kept for it
    assert store.reports.take_slot(execution_id, 1) is True
    assert status(store, execution_id) is Status.RUNNING
    assert history(store, execution_id)[3:] == [
        "ExecutionPauseRequested",
        "ExecutionPaused",
        "ExecutionResumed",
        "ExecutionResumed",
    ]


def test_asking_a_running_one_twice_changes_nothing_and_resume_takes_it_back(
    store: Store, run: Add, pause: Callable[[str], None], resume: Callable[[str], None]
) -> None:
    execution_id = run()
    pause(execution_id)
    pause(execution_id)
    assert history(store, execution_id).count("ExecutionPauseRequested") == 1
    resume(execution_id)
    assert not store.control.is_pause_wanted(execution_id)
    assert store.reports.pause(execution_id, 1) is False


def test_a_waiting_one_stays_paused_until_it_is_resumed(
    store: Store, run: Add, pause: Callable[[str], None], resume: Callable[[str], None]
) -> None:
    execution_id = run()
    store.reports.wait(execution_id, 1, message="waiting for a child")
    pause(execution_id)
    assert store.reports.take_slot(execution_id, 1) is False
    record = store.executions.get(execution_id)
    assert (record.status, record.message) == (Status.PAUSED, "waiting for a child")
    resume(execution_id)
    assert status(store, execution_id) is Status.WAITING
    assert store.reports.take_slot(execution_id, 1) is True


def test_a_wish_to_pause_is_fulfilled_where_the_run_begins_to_wait(
    store: Store, run: Add, pause: Callable[[str], None]
) -> None:
    execution_id = run()
    pause(execution_id)
    store.reports.wait(execution_id, 1, message="waiting for a child")
    assert status(store, execution_id) is Status.PAUSED
    assert not store.control.is_pause_wanted(execution_id)


def test_a_run_that_ends_before_it_was_paused_has_ended(store: Store, run: Add, pause: Callable[[str], None]) -> None:
    execution_id = run()
    pause(execution_id)
    store.reports.finish(execution_id, 1, SUCCESS)
    assert status(store, execution_id) is Status.ENDED_SUCCESS


def test_a_retry_of_what_was_to_be_paused_is_paused(
    store: Store, run: Add, pause: Callable[[str], None], resume: Callable[[str], None]
) -> None:
    execution_id = run(retries=1)
    pause(execution_id)
    store.reports.finish(execution_id, 1, FAILED)
    assert status(store, execution_id) is Status.PAUSED
    resume(execution_id)
    assert status(store, execution_id) is Status.PENDING


def test_what_is_not_paused_cannot_be_resumed_and_what_has_ended_not_paused(
    store: Store, add: Add, run: Add, pause: Callable[[str], None], resume: Callable[[str], None]
) -> None:
    running = run()
    with pytest.raises(IllegalTransition, match="RUNNING"):
        resume(running)
    pending = add()
    with pytest.raises(IllegalTransition, match="PENDING"):
        resume(pending)
    pause(pending)
    with pytest.raises(IllegalTransition, match="PAUSED"):
        pause(pending)
    store.reports.finish(running, 1, SUCCESS)
    for ask in (pause, resume):
        with pytest.raises(IllegalTransition, match="ENDED_SUCCESS"):
            ask(running)
        with pytest.raises(ExecutionNotFound):
            ask("nothing")


def test_a_paused_one_is_cancelled_at_once_unless_it_has_processes(
    store: Store, add: Add, run: Add, pause: Callable[[str], None]
) -> None:
    begun = run()
    pause(begun)
    store.reports.pause(begun, 1)
    assert store.control.cancel(begun, user_name="ada", reason="no more") is False
    assert store.control.of("w1") == (StopRequest(begun, "no more"),)
    store.reports.finish(begun, 1, Outcome(status=Status.ENDED_CANCELLED))
    assert status(store, begun) is Status.ENDED_CANCELLED
    pending = add()
    pause(pending)
    assert store.control.cancel(pending, user_name="ada", reason="no more") is True


def test_a_lost_worker_leaves_no_paused_run_of_its_own(
    store: Store, add: Add, run: Add, pause: Callable[[str], None], resume: Callable[[str], None]
) -> None:
    plain, retried, pending = run(), run(retries=1), add()
    for execution_id in (plain, retried, pending):
        pause(execution_id)
        store.reports.pause(execution_id, 1)
    assert set(store.queue.release("w1", lost=True)) == {plain, retried}
    assert status(store, plain) is Status.ENDED_ERROR
    assert status(store, retried) is Status.PAUSED  # its new attempt waits until somebody wants it
    assert status(store, pending) is Status.PAUSED
    resume(retried)
    assert [claim.id for claim in store.queue.claim("w2", free=1)] == [retried]
