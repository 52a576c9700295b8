"""Durable executions that wait without a worker: who may be let go, and what wakes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from cloudo_kernel.models import Status
from cloudo_kernel.store import Outcome, Store, Wake
from tests.unit.conftest import Clock

pytestmark = pytest.mark.db

Add = Callable[..., str]
#: Its turn at the lock `x`.
TURN = Wake(number=1, lock="x")


@pytest.fixture
def two(store: Store, add: Add) -> tuple[str, str]:
    """A durable execution, and another one that holds the lock `x`; both run."""
    ids = add(durable=True), add()
    store.queue.claim("w1", free=2)
    for one in ids:
        store.reports.begin(one, 1)
    store.locks.acquire("x", ids[1], 1)
    return ids


def wait(store: Store, execution_id: str, wake: Wake) -> None:
    store.reports.wait(execution_id, 1, message="waiting", wake=wake)


def test_one_whose_end_is_wished_for_keeps_the_worker_that_fulfils_it(store: Store, two: tuple[str, str]) -> None:
    wait(store, two[0], Wake(at=store.now + timedelta(hours=1)))
    assert not store.control.cancel(two[0], user_name="ada", reason="enough")
    assert not store.reports.detach(two[0], 1)
    assert [wish.id for wish in store.control.of("w1")] == [two[0]]


def test_one_in_line_is_let_go_and_woken_when_its_turn_comes(store: Store, two: tuple[str, str]) -> None:
    assert store.locks.acquire("x", two[0], 1) is None
    wait(store, two[0], TURN)
    assert store.reports.detach(two[0], 1)
    assert store.executions.status(two[0]) is Status.WAITING
    store.locks.release("x", two[1], 1)
    assert store.executions.status(two[0]) is Status.PENDING
    [again] = store.queue.claim("w2", free=9)
    assert store.locks.acquire("x", again.id, again.attempt)


@pytest.mark.parametrize("when", ["before it waits", "while it waits"])
def test_one_whose_turn_has_come_is_not_let_go(store: Store, two: tuple[str, str], when: str) -> None:
    assert store.locks.acquire("x", two[0], 1) is None
    if when == "while it waits":
        wait(store, two[0], TURN)
    store.reports.finish(two[1], 1, Outcome(status=Status.ENDED_ERROR))
    if when == "before it waits":
        wait(store, two[0], TURN)
    assert not store.reports.detach(two[0], 1)


def test_a_moment_wakes_one_in_line_too(store: Store, two: tuple[str, str], clock: Clock) -> None:
    assert store.locks.acquire("x", two[0], 1) is None
    wait(store, two[0], Wake(number=1, lock="x", at=store.now + timedelta(minutes=1)))
    assert store.reports.detach(two[0], 1)
    assert store.queue.claim("w2", free=9) == ()
    clock.now += timedelta(minutes=2)
    assert [claim.id for claim in store.queue.claim("w2", free=9)] == [two[0]]
