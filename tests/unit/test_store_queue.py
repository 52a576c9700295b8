"""The store as queue: claims, leases, fencing; over a real SQLite file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloudo_kernel.errors import IllegalTransition, StaleAttempt
from cloudo_kernel.ids import new_id
from cloudo_kernel.models import ErrorDetail, ExecutionType, LogLine, Progress, Status, Trigger
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import Claim, NewExecution, Outcome, Store

SUCCESS = Outcome(status=Status.ENDED_SUCCESS)


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path / 'store.sqlite'}", clock=clock)
    store.settings.save(MAX_RUNNING, 2, user_name="ada")
    for worker_id in ("w1", "w2", "w3", "private"):
        store.workers.register(worker_id, private=worker_id == "private")
    yield store
    store.close()


@pytest.fixture
def add(store: Store) -> Callable[..., str]:
    def add(**more: object) -> str:
        values: dict[str, object] = {
            "id": new_id(),
            "name": "report",
            "type": ExecutionType.FLOW,
            "flow_name": "report",
            "input_value": {},
            "trigger": Trigger.API,
            "user_name": "ada",
            "source_text": "{}",
            "source_sha256": "44136fa3",
            "kernel": "cloudo",
            "folder": "/",
            **more,
        }
        return store.executions.insert(NewExecution(**values)).id  # type: ignore[arg-type]  # a dict of mixed values

    return add


def claim_one(store: Store, worker_id: str = "w1") -> Claim:
    [claim] = store.queue.claim(worker_id, free=1)
    return claim


def test_claims_are_in_the_order_of_creation_and_keep_to_the_slots(store: Store, add: Callable[..., str]) -> None:
    ids = [add() for _ in range(4)]
    assert [claim.id for claim in store.queue.claim("w1", free=9)] == ids[:2]
    assert store.queue.claim("w2", free=9) == ()
    store.queue.finish(ids[0], 1, SUCCESS)
    assert [claim.id for claim in store.queue.claim("w2", free=9)] == [ids[2]]


def test_two_workers_never_claim_the_same(store: Store, add: Callable[..., str]) -> None:
    store.settings.save(MAX_RUNNING, 1000, user_name="ada")
    ids = [add() for _ in range(60)]
    claimed: list[str] = []

    def work(worker_id: str) -> None:
        while claims := store.queue.claim(worker_id, free=3):
            claimed.extend(claim.id for claim in claims)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in (1, 1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(ids)


def test_what_is_scheduled_is_not_claimed_before_its_time(store: Store, clock: Clock, add: Callable[..., str]) -> None:
    later = clock.now + timedelta(minutes=5)
    execution_id = add(scheduled_for=later)
    assert store.queue.claim("w1", free=1) == ()
    assert store.queue.next_due() == later
    clock.now = later
    assert claim_one(store).id == execution_id


def test_what_is_reserved_is_claimed_by_its_private_worker_only(store: Store, add: Callable[..., str]) -> None:
    mine, anybodys = add(reserved_for="private"), add()
    assert [claim.id for claim in store.queue.claim("w1", free=9)] == [anybodys]
    assert [claim.id for claim in store.queue.claim("private", free=9, private=True)] == [mine]


def test_a_reservation_ends_with_its_worker(store: Store, add: Callable[..., str]) -> None:
    execution_id = add(reserved_for="private")
    store.queue.release("private", lost=True)
    assert claim_one(store).id == execution_id


def test_a_waiting_run_gives_its_slot_back_and_comes_before_new_work(store: Store, add: Callable[..., str]) -> None:
    ids = [add() for _ in range(4)]
    store.queue.claim("w1", free=9)
    store.queue.wait(ids[0], 1, message="waiting for a child")
    assert claim_one(store).id == ids[2]
    assert store.queue.resume(ids[0], 1) is False  # both slots are taken
    store.queue.finish(ids[1], 1, SUCCESS)
    assert store.queue.claim("w1", free=9) == ()  # the free slot is kept for it
    assert store.queue.resume(ids[0], 1) is True
    assert store.executions.get(ids[0]).status is Status.RUNNING


def test_a_report_of_an_earlier_attempt_changes_nothing(store: Store, add: Callable[..., str]) -> None:
    execution_id = add()
    first = claim_one(store)
    store.queue.release("w1", lost=True)  # it had not begun: it is pending again
    second = claim_one(store, "w2")
    assert (first.attempt, second.attempt) == (1, 2)
    for report in (
        lambda: store.queue.begin(execution_id, 1, notebook="x"),
        lambda: store.queue.progress(execution_id, 1, Progress(done=1, total=1)),
        lambda: store.queue.finish(execution_id, 1, SUCCESS),
        lambda: store.queue.save(execution_id, 1, {"message": "late"}),
        lambda: store.queue.check_current(execution_id, 1),
        lambda: store.log.append(execution_id, 1, [LogLine(time=store.now, text="late")]),
    ):
        with pytest.raises(StaleAttempt):
            report()
    record = store.executions.get(execution_id)
    assert (record.status, record.message, record.progress.done) == (Status.RUNNING, None, 0)


def test_a_report_about_a_deleted_execution_is_stale(store: Store, add: Callable[..., str]) -> None:
    execution_id = add()
    claim_one(store)
    store.queue.finish(execution_id, 1, SUCCESS)
    store.executions.delete(execution_id, user_name="ada")
    with pytest.raises(StaleAttempt):
        store.queue.finish(execution_id, 1, SUCCESS)


def test_a_worker_without_a_lease_gets_no_claims(store: Store, add: Callable[..., str]) -> None:
    execution_id = add()
    store.queue.release("w1", lost=True)
    assert store.queue.claim("w1", free=1) == ()
    store.workers.register("w1", private=False)
    assert claim_one(store).id == execution_id


def test_a_worker_that_came_back_keeps_its_lease(store: Store, add: Callable[..., str]) -> None:
    add()
    claim_one(store)
    [seen] = [worker for worker in store.workers.all() if worker.id == "w1"]
    assert store.workers.beat("w1")
    assert store.queue.release("w1", lost=True, heartbeat=seen.heartbeat) == ()
    assert store.workers.beat("w1")
    assert len(store.queue.release("w1", lost=True, heartbeat=seen.heartbeat + 2)) == 1
    assert not store.workers.beat("w1")


def test_a_lost_worker_leaves_nothing_running(store: Store, add: Callable[..., str]) -> None:
    begun, fresh = add(), add()
    store.queue.claim("w1", free=9)
    store.queue.begin(begun, 1, notebook="executions/report/x.ipynb")
    assert set(store.queue.release("w1", lost=True)) == {begun, fresh}
    lost = store.executions.get(begun)
    assert lost.status is Status.ENDED_ERROR
    assert lost.error is not None
    assert lost.error.name == "WorkerLost"
    assert store.executions.get(fresh).status is Status.PENDING
    kinds = {event.type for event in store.events.after(0, limit=500)}
    assert {"WorkerLost", "ExecutionRequeued", "ExecutionEnded"} <= kinds


def test_what_was_to_be_cancelled_is_cancelled_when_its_worker_is_lost(store: Store, add: Callable[..., str]) -> None:
    execution_id = add()
    claim_one(store)
    store.queue.begin(execution_id, 1, notebook="x")
    assert store.queue.cancel(execution_id, user_name="ada", reason="cancelled by ada") is False
    assert store.queue.to_stop("w1") == {execution_id: "cancelled by ada"}
    store.queue.release("w1", lost=True)
    record = store.executions.get(execution_id)
    assert (record.status, record.message) == (Status.ENDED_CANCELLED, "cancelled by ada")


def test_cancelling_what_has_ended_tells_its_story(store: Store, add: Callable[..., str]) -> None:
    execution_id = add()
    claim_one(store)
    store.queue.finish(execution_id, 1, SUCCESS)
    with pytest.raises(IllegalTransition) as caught:
        store.queue.cancel(execution_id, user_name="ada", reason="no more")
    for part in (
        execution_id,
        "ENDED_SUCCESS",
        "ENDED_CANCELLED",
        "ExecutionCreated, ExecutionStarted, ExecutionEnded",
    ):
        assert part in str(caught.value)


def test_a_pending_one_is_cancelled_at_once(store: Store, add: Callable[..., str]) -> None:
    execution_id = add()
    assert store.queue.cancel(execution_id, user_name="ada", reason="no more") is True
    assert store.queue.claim("w1", free=1) == ()
    assert store.executions.get(execution_id).ended_at is not None


def test_progress_events_pass_and_the_end_stays(store: Store, add: Callable[..., str]) -> None:
    execution_id = add()
    claim_one(store)
    store.queue.progress(execution_id, 1, Progress(done=1, total=3, cell="x = 1"))
    assert "ExecutionProgressed" in [event.type for event in store.events.after(0, limit=99, subject_id=execution_id)]
    error = ErrorDetail(name="ValueError", value="no", cell=2, traceback=("a", "b"))
    store.queue.finish(execution_id, 1, Outcome(status=Status.ENDED_ERROR, message="ValueError: no", error=error))
    history = store.events.after(0, limit=99, subject_id=execution_id)
    assert [event.type for event in history] == ["ExecutionCreated", "ExecutionStarted", "ExecutionEnded"]
    assert history[-1].data == {"status": "ENDED_ERROR", "message": "ValueError: no", "error": "ValueError"}
    record = store.executions.get(execution_id)
    assert record.error == error
    assert record.progress.done == 1


def test_the_retention_counts_from_the_end(store: Store, clock: Clock, add: Callable[..., str]) -> None:
    kept, default = add(retention_minutes=5), add()
    store.queue.claim("w1", free=9)
    for execution_id in (kept, default):
        store.queue.finish(execution_id, 1, SUCCESS)
    clock.now += timedelta(minutes=5)
    assert [execution.id for execution in store.executions.expired()] == [kept]
    clock.now += timedelta(days=7)
    assert {execution.id for execution in store.executions.expired()} == {kept, default}
