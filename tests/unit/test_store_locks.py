"""Locks of names: one holder, and let go at its end, however that comes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cloudo_kernel.errors import StaleAttempt
from cloudo_kernel.models import Status
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import Outcome, Store

pytestmark = pytest.mark.db

Add = Callable[..., str]


@pytest.fixture
def two(store: Store, add: Add) -> tuple[str, str]:
    """Two executions that run, in their first attempt."""
    ids = add(), add(retries=1)
    store.queue.claim("w1", free=2)
    for one in ids:
        store.reports.begin(one, 1)
    return ids


def test_a_lock_has_one_holder_who_may_ask_twice(store: Store, two: tuple[str, str]) -> None:
    one, other = two
    assert store.locks.acquire("x", one, 1)
    assert not store.locks.acquire("x", one, 1)
    assert store.locks.acquire("x", other, 1) is None
    assert store.locks.holder("x") == one
    assert store.locks.acquire("y", other, 1)
    assert not store.locks.release("x", other, 1)
    assert store.locks.release("x", one, 1)
    assert store.locks.acquire("x", other, 1)


def test_who_came_first_is_next(store: Store, two: tuple[str, str], add: Add) -> None:
    store.settings.save(MAX_RUNNING, 9, user_name="ada")
    one, other = two
    third = add()
    store.queue.claim("w3", free=9)
    assert store.locks.acquire("x", one, 1)
    for waiting in (third, other, third, other):
        assert store.locks.acquire("x", waiting, 1) is None
    store.locks.release("x", one, 1)
    assert [store.locks.is_turn("x", waiting) for waiting in (third, other)] == [True, False]
    assert store.locks.acquire("x", one, 1) is None  # it stands behind them now
    assert store.locks.acquire("x", other, 1) is None
    store.locks.leave("x", third, 1)
    assert store.locks.acquire("x", other, 1)
    store.reports.finish(other, 1, Outcome(status=Status.ENDED_ERROR))
    assert store.locks.acquire("x", one, 1)


def test_one_that_ends_in_line_or_is_tried_again_loses_its_place(store: Store, two: tuple[str, str], add: Add) -> None:
    store.settings.save(MAX_RUNNING, 9, user_name="ada")
    one, retried = two
    third = add()
    store.queue.claim("w3", free=9)
    assert store.locks.acquire("x", one, 1)
    assert store.locks.acquire("x", retried, 1) is None
    assert store.locks.acquire("x", third, 1) is None
    store.reports.finish(retried, 1, Outcome(status=Status.ENDED_ERROR))
    assert store.executions.status(retried) is Status.PENDING
    store.locks.release("x", one, 1)
    assert store.locks.acquire("x", third, 1)


def test_the_call_that_got_a_lock_is_told_so_again(store: Store, two: tuple[str, str]) -> None:
    assert store.locks.acquire("x", two[0], 1, call="a")
    assert store.locks.acquire("x", two[0], 1, call="a")
    assert store.locks.acquire("x", two[0], 1, call="b") is False


def test_who_holds_a_lock_is_seen(store: Store, two: tuple[str, str]) -> None:
    store.settings.save("x", 7, user_name="ada")
    for name in ("x", "only.locked"):
        store.locks.acquire(name, two[0], 1)
    assert [(one.name, one.value, one.locked_by) for one in store.settings.all() if one.locked_by] == [
        ("only.locked", None, two[0]),
        ("x", 7, two[0]),
    ]
    assert store.settings.get("x").locked_by == two[0]
    assert store.settings.save("x", 8, user_name="ada").locked_by == two[0]
    store.locks.release("x", two[0], 1)
    told = [(event.type, event.data.get("execution_id")) for event in store.events.after(0, limit=99, subject_id="x")]
    assert told[1:] == [("SettingLocked", two[0]), ("SettingSaved", None), ("SettingUnlocked", two[0])]


@pytest.mark.parametrize(
    "end",
    [
        lambda store, one: store.reports.finish(one, 1, Outcome(status=Status.ENDED_SUCCESS)),
        lambda store, one: store.reports.finish(one, 1, Outcome(status=Status.ENDED_ERROR)),
        lambda store, _: store.queue.release("w1", lost=True),
        lambda store, _: store.queue.release("w1", lost=False),
    ],
)
@pytest.mark.parametrize("which", [0, 1], ids=["ended", "tried again"])
def test_a_lock_is_let_go_when_its_run_ends(
    store: Store, two: tuple[str, str], add: Add, which: int, end: Callable[[Store, str], None]
) -> None:
    store.locks.acquire("x", two[which], 1)
    end(store, two[which])
    assert store.locks.holder("x") is None
    with pytest.raises(StaleAttempt):
        store.locks.acquire("x", two[which], 1)
    next_one = add(rank=-1)
    store.queue.claim("w2", free=9)
    assert store.locks.acquire("x", next_one, 1)


def test_what_does_not_run_gets_no_lock(store: Store, add: Add) -> None:
    with pytest.raises(StaleAttempt):
        store.locks.acquire("x", add(), 0)
    with pytest.raises(StaleAttempt):
        store.locks.release("x", "nobody", 1)
