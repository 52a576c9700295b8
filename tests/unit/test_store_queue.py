"""The store as queue: claims, leases, fencing; over a real SQLite file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from cloudo_kernel.errors import IllegalTransition, StaleAttempt
from cloudo_kernel.models import ErrorDetail, ExecutionFilter, ExecutionType, LogLine, Progress, Status
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import Claim, NewExecution, Outcome, Store
from cloudo_kernel.store.executions.control import StopRequest
from cloudo_kernel.store.executions.queue import Held
from tests.unit.conftest import Clock

pytestmark = pytest.mark.db

SUCCESS = Outcome(status=Status.ENDED_SUCCESS)


def claim_one(store: Store, worker_id: str = "w1") -> Claim:
    [claim] = store.queue.claim(worker_id, free=1)
    return claim


def test_claims_are_in_the_order_of_creation_and_keep_to_the_slots(store: Store, add: Callable[..., str]) -> None:
    ids = [add() for _ in range(4)]
    assert [claim.id for claim in store.queue.claim("w1", free=9)] == ids[:2]
    assert store.queue.claim("w2", free=9) == ()
    store.reports.finish(ids[0], 1, SUCCESS)
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


def test_a_claim_is_taken_over_once_by_the_process_that_runs_it(store: Store, add: Callable[..., str]) -> None:
    add(timeout_seconds=5.0)
    claim = claim_one(store)
    with pytest.raises(StaleAttempt):
        store.queue.claim_of(claim.id, claim.attempt + 1)
    assert store.queue.claim_of(claim.id, claim.attempt) == claim
    with pytest.raises(StaleAttempt):  # a message system delivers it again
        store.queue.claim_of(claim.id, claim.attempt)
    assert store.queue.release("w1", lost=True) == (claim.id,)
    assert store.executions.get(claim.id).error.name == "WorkerLost"  # it may have begun


def test_what_a_worker_holds_is_told_with_its_stop_request(store: Store, add: Callable[..., str]) -> None:
    ids = [add() for _ in range(2)]
    store.queue.claim("w1", free=1)
    store.control.cancel(ids[0], user_name="ada", reason="enough")
    assert store.queue.held(ids) == {ids[0]: Held(ids[0], 1, Status.RUNNING, "w1", "enough")}


def test_a_reservation_ends_with_its_worker(store: Store, add: Callable[..., str]) -> None:
    execution_id = add(reserved_for="private")
    store.queue.release("private", lost=True)
    assert claim_one(store).id == execution_id


def test_a_waiting_run_gives_its_slot_back_and_comes_before_new_work(store: Store, add: Callable[..., str]) -> None:
    ids = [add() for _ in range(4)]
    store.queue.claim("w1", free=9)
    store.reports.wait(ids[0], 1, message="waiting for a child")
    assert claim_one(store).id == ids[2]
    assert store.reports.take_slot(ids[0], 1) is False  # both slots are taken
    store.reports.finish(ids[1], 1, SUCCESS)
    assert store.queue.claim("w1", free=9) == ()  # the free slot is kept for it
    assert store.reports.take_slot(ids[0], 1) is True
    assert store.executions.get(ids[0]).status is Status.RUNNING


def test_a_report_of_an_earlier_attempt_changes_nothing(store: Store, add: Callable[..., str]) -> None:
    execution_id = add()
    first = claim_one(store)
    store.queue.release("w1", lost=True)  # it had not begun: it is pending again
    second = claim_one(store, "w2")
    assert (first.attempt, second.attempt) == (1, 2)
    for report in (
        lambda: store.reports.begin(execution_id, 1),
        lambda: store.reports.progress(execution_id, 1, Progress(done=1, total=1)),
        lambda: store.reports.finish(execution_id, 1, SUCCESS),
        lambda: store.reports.save(execution_id, 1, {"message": "late"}),
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
    store.reports.finish(execution_id, 1, SUCCESS)
    store.executions.delete(execution_id, user_name="ada")
    with pytest.raises(StaleAttempt):
        store.reports.finish(execution_id, 1, SUCCESS)


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


def test_a_lost_worker_may_hold_a_parent_and_its_interactive_child(store: Store, add: Callable[..., str]) -> None:
    parent = add()
    child = add(parent_id=parent, type=ExecutionType.INTERACTIVE)
    store.queue.claim("w1", free=9)
    for execution_id in (parent, child):
        store.reports.begin(execution_id, 1)
    assert set(store.queue.release("w1", lost=True)) == {parent, child}
    assert store.executions.status(parent) is Status.ENDED_ERROR
    assert store.executions.status(child) is Status.ENDED_CANCELLED  # by the end of its parent


def test_a_lost_worker_leaves_nothing_running(store: Store, add: Callable[..., str]) -> None:
    begun, fresh = add(), add()
    store.queue.claim("w1", free=9)
    store.reports.begin(begun, 1)
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
    store.reports.begin(execution_id, 1)
    assert store.control.cancel(execution_id, user_name="ada", reason="cancelled by ada") is False
    assert store.control.of("w1") == (StopRequest(execution_id, "cancelled by ada"),)
    store.queue.release("w1", lost=True)
    record = store.executions.get(execution_id)
    assert (record.status, record.message) == (Status.ENDED_CANCELLED, "cancelled by ada")


def test_cancelling_what_has_ended_tells_its_story(store: Store, add: Callable[..., str]) -> None:
    execution_id = add()
    claim_one(store)
    store.reports.finish(execution_id, 1, SUCCESS)
    with pytest.raises(IllegalTransition) as caught:
        store.control.cancel(execution_id, user_name="ada", reason="no more")
    for part in (
        execution_id,
        "ENDED_SUCCESS",
        "ENDED_CANCELLED",
        "ExecutionCreated, ExecutionStarted, ExecutionEnded",
    ):
        assert part in str(caught.value)


def test_a_pending_one_is_cancelled_at_once(store: Store, add: Callable[..., str]) -> None:
    execution_id = add()
    assert store.control.cancel(execution_id, user_name="ada", reason="no more") is True
    assert store.queue.claim("w1", free=1) == ()
    assert store.executions.get(execution_id).ended_at is not None


def test_progress_events_pass_and_the_end_stays(store: Store, add: Callable[..., str]) -> None:
    execution_id = add()
    claim_one(store)
    store.reports.progress(execution_id, 1, Progress(done=1, total=3, cell="x = 1"))
    assert "ExecutionProgressed" in [event.type for event in store.events.after(0, limit=99, subject_id=execution_id)]
    error = ErrorDetail(name="ValueError", value="no", cell=2, traceback=("a", "b"))
    store.reports.finish(execution_id, 1, Outcome(status=Status.ENDED_ERROR, message="ValueError: no", error=error))
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
        store.reports.finish(execution_id, 1, SUCCESS)
    clock.now += timedelta(minutes=5)
    assert [execution.id for execution in store.executions.expired()] == [kept]
    clock.now += timedelta(days=7)
    assert {execution.id for execution in store.executions.expired()} == {kept, default}


def test_a_higher_priority_is_claimed_first(store: Store, add: Callable[..., str]) -> None:
    low, first, second, high = add(rank=5), add(), add(), add(rank=-5)
    store.settings.save(MAX_RUNNING, 9, user_name="ada")
    assert [claim.id for claim in store.queue.claim("w1", free=9)] == [high, first, second, low]


def test_a_full_flow_is_not_overshot_and_blocks_nobody(store: Store, add: Callable[..., str]) -> None:
    store.settings.save(MAX_RUNNING, 9, user_name="ada")
    mine = [add(flow_name="narrow", max_running=2) for _ in range(5)]
    other = [add(flow_name="wide"), add(flow_name=None), add(flow_name="wide")]
    assert [claim.id for claim in store.queue.claim("w1", free=4)] == [*mine[:2], *other[:2]]
    assert [claim.id for claim in store.queue.claim("w1", free=9)] == [other[2]]
    store.reports.finish(mine[0], 1, SUCCESS)
    assert [claim.id for claim in store.queue.claim("w1", free=9)] == [mine[2]]


def test_workers_at_once_do_not_overshoot_a_flow(store: Store, add: Callable[..., str]) -> None:
    store.settings.save(MAX_RUNNING, 100, user_name="ada")
    for _ in range(20):
        add(max_running=3)
    claimed: list[Claim] = []
    workers = [threading.Thread(target=lambda: claimed.extend(store.queue.claim("w", free=2))) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(claimed) == 3


def test_one_that_wants_its_slot_back_keeps_to_the_limit_of_its_flow(store: Store, add: Callable[..., str]) -> None:
    first, second = add(flow_name="narrow", max_running=1), add(flow_name="narrow", max_running=1)
    add(flow_name="narrow", max_running=1)
    assert claim_one(store).id == first
    store.reports.wait(first, 1, message="waiting for a child")
    assert claim_one(store).id == second
    assert store.reports.take_slot(first, 1) is False  # there is a slot, but its flow is full
    wide = add(flow_name="wide")
    assert [claim.id for claim in store.queue.claim("w1", free=9)] == [wide]  # which keeps no slot from others
    store.reports.finish(second, 1, SUCCESS)
    assert store.queue.claim("w1", free=9) == ()  # ahead of new work of its flow
    assert store.reports.take_slot(first, 1) is True


@pytest.mark.db("sqlite")
def test_a_claim_reads_its_order_from_the_index(store: Store, add: Callable[..., str]) -> None:
    add(max_running=1)
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.startswith("SELECT executions.id") and "ORDER BY" in statement:
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row[3] for row in rows)

    event.listen(store._database.engine, "before_cursor_execute", explain)
    store.queue.claim("w1", free=1)
    assert plans == 2 * [
        "SEARCH executions USING COVERING INDEX ix_executions_claims (status=? AND requires=?)"
    ]  # a look, and a claim


def test_a_look_that_finds_nothing_wakes_nobody(store: Store, add: Callable[..., str]) -> None:
    commits: list[None] = []
    store._database.on_commit = lambda: commits.append(None)
    assert store.queue.claim("w1", free=9) == ()
    add(flow_name="narrow", max_running=1)
    claim_one(store)
    add(flow_name="narrow", max_running=1)
    add(scheduled_for=store.now + timedelta(hours=1))
    commits.clear()
    assert store.queue.claim("w1", free=9) == ()  # its flow is full, and the other one's time has not come
    behind = [add(), add()]
    commits.clear()
    assert [claim.id for claim in store.queue.claim("w1", free=9)] == behind[:1]
    assert len(commits) == 1
    assert store.queue.claim("w1", free=9) == ()  # all slots are taken
    assert len(commits) == 1


def test_a_worker_claims_what_its_labels_allow_in_one_order(store: Store, add: Callable[..., str]) -> None:
    store.settings.save(MAX_RUNNING, 99, user_name="ada")
    others = [add(requires=("tpu",)) for _ in range(5)]
    gpu = add(requires=("gpu",), flow_name="narrow", max_running=1)
    second = add(requires=("gpu",), flow_name="narrow", max_running=1)
    plain, both, high = add(), add(requires=("big", "gpu")), add(requires=("gpu",), rank=-5)
    assert [claim.id for claim in store.queue.claim("w1", free=9)] == [plain]
    assert store.queue.claim("w1", free=9, labels=("big",)) == ()
    mine = store.queue.claim("w2", free=1, labels=("big", "gpu"))
    mine += store.queue.claim("w2", free=9, labels=("big", "gpu"))
    assert [claim.id for claim in mine] == [high, gpu, both]  # the flow of the other one is full
    store.reports.finish(gpu, 1, SUCCESS)
    assert [claim.id for claim in store.queue.claim("w1", free=9, labels=("gpu", "x"))] == [second]
    assert {store.executions.get(one).status for one in others} == {Status.PENDING}


def test_what_no_live_worker_can_take_names_the_missing_labels(
    store: Store, clock: Clock, add: Callable[..., str]
) -> None:
    waiting = add(requires=("big", "gpu"))
    later = add(requires=("gpu",), scheduled_for=clock.now + timedelta(minutes=5))
    held, plain = add(requires=("gpu",), is_held=True), add()

    def messages(*ids: str) -> list[str | None]:
        page = store.executions.page(ExecutionFilter(ids=ids), limit=9, before=None)
        listed = {one.id: one.message for one in page.items}
        assert listed == {one: store.executions.get(one).message for one in ids}
        return [listed[one] for one in ids]

    assert messages(waiting, later, held, plain) == ["waiting for a worker with: big, gpu", None, None, None]
    store.workers.register("half", private=False, labels=("gpu",))
    assert messages(waiting) == ["waiting for a worker with: big, gpu"]
    clock.now += timedelta(minutes=5)  # the leases of all workers have ended
    assert messages(later) == ["waiting for a worker with: gpu"]
    store.workers.register("whole", private=False, labels=("big", "gpu", "x"))
    assert messages(waiting, later) == [None, None]


@pytest.mark.db("postgresql")
def test_a_claim_of_postgresql_reads_its_order_from_the_index(store: Store, new: Callable[..., NewExecution]) -> None:
    store.executions.insert_all([(new(requires=(f"label-{number % 5}",)), None) for number in range(2000)])
    store.executions.insert_all([(new(), None) for _ in range(200)])
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.startswith("SELECT executions.id") and "ORDER BY" in statement:
            with connection.engine.connect() as other:
                rows = other.exec_driver_sql(f"EXPLAIN {statement}", parameters)
                plans.append("\n".join(row[0] for row in rows))

    with store._database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE executions")
    event.listen(store._database.engine, "before_cursor_execute", explain)
    assert len(store.queue.claim("w1", free=1, labels=("label-1",))) == 1
    assert plans, "the queries of a claim begin otherwise"
    for plan in plans:
        assert "ix_executions_claims" in plan, plan
        assert "Sort" not in plan, plan
