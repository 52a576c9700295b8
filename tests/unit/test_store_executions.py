"""Executions as records: lists, cursors, idempotency; over a real SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DataError

from cloudo_kernel.errors import ExecutionNotEnded, ExecutionNotFound, IdempotencyConflict, TooManyUnended, Unavailable
from cloudo_kernel.models import ExecutionFilter, LogLine, Status
from cloudo_kernel.settings import MAX_UNENDED_PER_ROOT
from cloudo_kernel.store import IdempotencyKey, Inserted, NewExecution, Outcome, Store
from cloudo_kernel.store.executions import lists
from cloudo_kernel.store.tables import idempotency_keys
from tests.databases import Databases
from tests.unit.conftest import Clock

pytestmark = pytest.mark.db


@pytest.fixture
def store(tmp_path: Path, databases: Databases) -> Iterator[Store]:
    with databases.copy(tmp_path / "store.sqlite") as url, closing(Store.open(url)) as store:
        yield store


def test_pages_follow_each_other_without_gap_or_repetition(store: Store, new: Callable[..., NewExecution]) -> None:
    ids = [store.executions.insert(new()).id for _ in range(25)]
    seen: list[str] = []
    cursor = None
    while True:
        page = store.executions.page(ExecutionFilter(), limit=10, before=cursor)
        seen += [execution.id for execution in page.items]
        store.executions.insert(new())  # newer ones do not disturb
        cursor = page.next
        if cursor is None:
            break
    assert seen == ids[::-1]


def test_filters_restrict_the_list(store: Store, new: Callable[..., NewExecution]) -> None:
    plain = store.executions.insert(new(name="100% sure_thing"))
    child = store.executions.insert(new(parent_id=plain.id, flow_name="other", name="other", user_name="eve"))

    def found(**where: Any) -> set[str]:
        page = store.executions.page(ExecutionFilter(**where), limit=9, before=None)
        return {execution.id for execution in page.items}

    assert found() == {plain.id, child.id}
    assert found(parent_id=plain.id) == {child.id}
    assert found(flow_name="report") == {plain.id}
    assert found(user_name="eve") == {child.id}
    assert found(status=("RUNNING",)) == set()
    assert found(status=("PENDING", "RUNNING")) == {plain.id, child.id}
    assert found(q="100% SURE_") == {plain.id}
    assert found(q="%r_p%") == set()
    assert found(since=datetime.now(UTC) + timedelta(hours=1)) == set()


def test_lists_leave_large_values_out_and_say_so(store: Store, new: Callable[..., NewExecution]) -> None:
    execution = store.executions.insert(new(input_value={"text": "x" * 5000}))
    [brief] = store.executions.page(ExecutionFilter(), limit=9, before=None).items
    assert list(brief.input_value) == ["left_out"]
    assert brief.log is None
    assert store.executions.get(execution.id).input_value == {"text": "x" * 5000}


@pytest.mark.parametrize(
    "value", ["\ud800 alone", 2**200, -0.1, 1e-320, {"é": [None, True, {}]}, [[]], "\x00", {"deep": "…"}], ids=repr
)
def test_what_json_can_say_is_read_as_it_was_written(
    store: Store, new: Callable[..., NewExecution], value: object
) -> None:
    if value == {"deep": "…"}:
        for _ in range(500):
            value = [value]
    store.executions.insert(new(input_value={"value": value}))
    [listed] = store.executions.page(ExecutionFilter(), limit=1, before=None).items
    assert listed.input_value == {"value": value}


def test_an_idempotency_key_gives_the_first_calls_execution(store: Store, new: Callable[..., NewExecution]) -> None:
    key = IdempotencyKey("k1", "same")
    first = store.executions.insert(new(), idempotency=key)
    again = store.executions.insert(new(), idempotency=key)
    assert again.id == first.id
    with pytest.raises(IdempotencyConflict):
        store.executions.insert(new(), idempotency=IdempotencyKey("k1", "other"))
    assert store.executions.insert(new(user_name="eve"), idempotency=key).id != first.id


def test_one_idempotency_key_in_one_transaction_starts_one(store: Store, new: Callable[..., NewExecution]) -> None:
    key = IdempotencyKey("k1", "same")
    first, again, other = store.executions.insert_all(
        [(new(), key), (new(), key), (new(), IdempotencyKey("k1", "other"))]
    )
    assert isinstance(first, Inserted)
    assert isinstance(again, Inserted)
    assert (first.is_new, again.is_new) == (True, False)
    assert first.execution == again.execution
    assert isinstance(other, IdempotencyConflict)


def test_a_start_that_the_database_does_not_take_fails_alone(store: Store, new: Callable[..., NewExecution]) -> None:
    starts: list[tuple[NewExecution, IdempotencyKey | None]] = [
        (new(), IdempotencyKey("k", "a")),
        (new(retention_minutes=10**30), None),
        (new(), None),
    ]
    good, bad, last = store.executions.insert_all(starts)
    assert isinstance(bad, (OverflowError, DataError))  # of SQLite's driver, of PostgreSQL
    for outcome, (wanted, _) in ((good, starts[0]), (last, starts[2])):
        assert isinstance(outcome, Inserted)
        assert outcome.is_new
        assert store.executions.get(wanted.id) == outcome.execution
    with pytest.raises(ExecutionNotFound):
        store.executions.get(starts[1][0].id)


def test_the_record_of_a_start_is_the_one_in_the_store(store: Store, new: Callable[..., NewExecution]) -> None:
    full = new(
        input_value={"a": [1, None, {"b": 0.5}]},
        tags=("x", "y"),
        parent_id="p",
        scheduled_for=datetime(2030, 1, 1, 12, tzinfo=UTC),
        retention_minutes=3,
    )
    assert store.executions.insert(full) == store.executions.get(full.id)


def test_a_refused_start_leaves_its_idempotency_key_free(store: Store, new: Callable[..., NewExecution]) -> None:
    store.settings.save(MAX_UNENDED_PER_ROOT, 1, user_name="ada")
    parent = store.executions.insert(new()).id
    sibling = store.executions.insert(new(parent_id=parent)).id
    key = IdempotencyKey("k", "a")
    for _ in range(2):
        with pytest.raises(TooManyUnended):
            store.executions.insert(new(parent_id=parent), idempotency=key)
    both = store.executions.insert_all([(new(parent_id=parent), key), (new(parent_id=parent), key)])
    assert [type(one) for one in both] == [TooManyUnended, TooManyUnended]
    store.control.cancel(sibling, user_name="ada", reason="makes room")
    retried = store.executions.insert(new(parent_id=parent), idempotency=key)
    assert store.executions.insert(new(parent_id=parent), idempotency=key) == retried


def test_an_idempotency_key_is_forgotten_after_a_day(tmp_path: Path, new: Callable[..., NewExecution]) -> None:
    moment = [datetime(2026, 1, 1, tzinfo=UTC)]
    store = Store.open(f"sqlite:///{tmp_path / 'other.sqlite'}", clock=lambda: moment[0])
    first = store.executions.insert(new(), idempotency=IdempotencyKey("k", "a"))
    moment[0] += timedelta(hours=24, seconds=1)
    assert store.executions.insert(new(), idempotency=IdempotencyKey("k", "b")).id != first.id
    store.close()


def test_each_filter_finds_what_fits_whichever_way_it_is_searched(
    tmp_path: Path, clock: Clock, new: Callable[..., NewExecution], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'other.sqlite'}", clock=clock)
    ids = []
    for number in range(12):
        flow, user = ("a", "b")[number % 2], ("ada", "eve", "bob")[number % 3]
        ids.append(store.executions.insert(new(flow_name=flow, user_name=user)).id)
        if number % 4 == 0:
            store.control.cancel(ids[-1], user_name="ada", reason="not wanted")
        clock.now += timedelta(minutes=1)
    since = clock.now - timedelta(minutes=6)

    def found(**given: object) -> list[int]:
        where, cursor, numbers = ExecutionFilter.model_validate(given), None, []
        while True:
            page = store.executions.page(where, limit=2, before=cursor)
            numbers += [ids.index(execution.id) for execution in page.items]
            if (cursor := page.next) is None:
                return numbers

    for few in (0, 5_000):  # as if there were many, and few
        monkeypatch.setattr(lists, "_MAX_SORTED", few)
        assert found() == [*range(11, -1, -1)]
        assert found(since=since) == [11, 10, 9, 8, 7, 6]
        assert found(since=since, flow_name="a") == [10, 8, 6]
        assert found(status=["ENDED_CANCELLED"]) == [8, 4, 0]
        assert found(status=["PENDING", "ENDED_CANCELLED"], user_name="ada") == [9, 6, 3, 0]
        assert found(status=["PENDING"], since=since) == [11, 10, 9, 7, 6]
    store.close()


def test_housekeeping_lets_idempotency_keys_go_after_a_day_and_no_sooner(
    tmp_path: Path, clock: Clock, new: Callable[..., NewExecution]
) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'other.sqlite'}", clock=clock)

    def kept() -> set[str]:
        store.executions.forget_idempotency_keys()
        with store._database.read() as connection:
            return set(connection.execute(select(idempotency_keys.c.key)).scalars())

    store.executions.insert(new(), idempotency=IdempotencyKey("early", "a"))
    clock.now += timedelta(hours=1)
    store.executions.insert(new(), idempotency=IdempotencyKey("late", "a"))
    clock.now += timedelta(hours=23)
    assert kept() == {"early", "late"}
    clock.now += timedelta(seconds=1)
    assert kept() == {"late"}
    clock.now += timedelta(hours=1)
    assert kept() == set()
    store.close()


def test_only_ended_executions_can_be_deleted_and_take_their_log_along(
    store: Store, new: Callable[..., NewExecution]
) -> None:
    execution_id = store.executions.insert(new()).id
    with pytest.raises(ExecutionNotEnded):
        store.executions.delete(execution_id, user_name="ada")
    store.workers.register("w", private=False)
    store.queue.claim("w", free=1)
    store.log.append(execution_id, 1, [LogLine(time=store.now, text="hello")])
    store.reports.finish(execution_id, 1, Outcome(status=Status.ENDED_SUCCESS))
    store.executions.delete(execution_id, user_name="ada")
    with pytest.raises(ExecutionNotFound):
        store.executions.get(execution_id)
    with pytest.raises(ExecutionNotFound):
        store.executions.source(execution_id)
    assert store.log.lines(execution_id, limit=9, after=0) == ()


def test_descendants_of_a_deleted_execution_are_cancelled_with_the_one_above_them(
    store: Store, new: Callable[..., NewExecution]
) -> None:
    top = store.executions.insert(new()).id
    parent = store.executions.insert(new(parent_id=top)).id
    store.control.cancel(top, user_name="ada", reason="not wanted")
    child = store.executions.insert(new(parent_id=parent)).id
    store.executions.delete(top, user_name="ada")
    store.control.cancel_tree(parent, user_name="ada", reason="not wanted")
    assert store.executions.get(child).status is Status.ENDED_CANCELLED


def test_a_record_carries_the_last_thousand_lines_and_the_log_all(
    store: Store, new: Callable[..., NewExecution]
) -> None:
    execution_id = store.executions.insert(new()).id
    store.workers.register("w", private=False)
    store.queue.claim("w", free=1)
    for start in (0, 600):
        lines = [LogLine(time=store.now, text=str(number)) for number in range(start, start + 600)]
        store.log.append(execution_id, 1, lines)
    log = store.executions.get(execution_id).log
    assert log is not None
    assert [log[0].text, log[-1].text, len(log)] == ["200", "1199", 1000]
    first = store.log.lines(execution_id, limit=500, after=0)
    assert (first[0].text, first[-1].text) == ("0", "499")
    assert store.log.lines(execution_id, limit=500, after=1000)[-1].text == "1199"
    assert store.log.length(execution_id) == 1200


def test_the_newest_executions_of_each_flow_are_found(store: Store, new: Callable[..., NewExecution]) -> None:
    ids = [store.executions.insert(new()).id for _ in range(7)]
    other = store.executions.insert(new(flow_name="other")).id
    newest = store.activity.briefs(["report", "other", "none"], each=5)
    assert [brief.id for brief in newest["report"]] == ids[:1:-1]
    assert [brief.id for brief in newest["other"]] == [other]
    assert "none" not in newest


def test_the_tail_notices_what_another_process_commits(store: Store, new: Callable[..., NewExecution]) -> None:
    import threading

    woken = threading.Event()
    store.tail.add_listener(woken.set)
    assert woken.wait(5)  # the first look
    woken.clear()
    other = Store.open(store._database._url.render_as_string(hide_password=False))
    other.executions.insert(new())
    assert woken.wait(5)
    other.close()


@pytest.mark.db("sqlite")
def test_every_commit_is_written_through_to_the_disk(tmp_path: Path, store: Store) -> None:
    with store._database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_a_store_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken.sqlite"
    broken.write_text("this is no database " * 100)
    with pytest.raises(Unavailable, match="not a database"):
        Store.open(f"sqlite:///{broken}")
    with pytest.raises(Unavailable, match="check that its folder exists"):
        Store.open(f"sqlite:///{tmp_path / 'nowhere' / 'store.sqlite'}")


@pytest.mark.db("sqlite")
def test_a_locked_store_is_reported_with_the_cure(tmp_path: Path, store: Store) -> None:
    with store._database.write() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")  # of this connection: the test need not take 10 s
    blocker = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        store.settings.save("x", 1, user_name="ada")
    blocker.execute("ROLLBACK")
    blocker.close()
    store.settings.save("x", 1, user_name="ada")
