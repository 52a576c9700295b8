"""The slots of one worker: its limit holds for what runs again, too, and that comes before new work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cloudo_kernel.models import Status
from cloudo_kernel.settings import MAX_RUNNING
from cloudo_kernel.store import Claim, Outcome, Store
from cloudo_kernel.worker.slots import WorkerSlots
from cloudo_kernel.worker.waits import Waits

pytestmark = pytest.mark.db

SUCCESS = Outcome(status=Status.ENDED_SUCCESS)


@pytest.fixture
def slots(store: Store) -> WorkerSlots:
    store.settings.save(MAX_RUNNING, 9, user_name="ada")
    return WorkerSlots(store, "w1", 1)


def claim_one(slots: WorkerSlots) -> Claim:
    [claim] = slots.claim(private=False)
    return claim


def wait(store: Store, claim: Claim) -> None:
    store.reports.wait(claim.id, claim.attempt, message="waiting for a child")


def test_what_runs_again_keeps_to_the_limit_and_comes_first(
    store: Store, slots: WorkerSlots, add: Callable[..., str]
) -> None:
    parent, child, other = add(), add(), add()
    first = claim_one(slots)
    wait(store, first)
    second = claim_one(slots)
    assert (first.id, second.id) == (parent, child)
    waits = Waits(store, first, slots)
    assert not waits.has_slot_again()
    store.reports.finish(child, 1, SUCCESS)
    assert slots.claim(private=False) == ()  # the only slot is kept for the parent
    assert [claim.id for claim in store.queue.claim("w2", free=1)] == [other]  # which takes none of another worker
    assert waits.has_slot_again()
    assert store.executions.status(parent) is Status.RUNNING


def test_a_slot_is_kept_for_nobody_who_is_paused_or_has_ended(
    store: Store, slots: WorkerSlots, add: Callable[..., str]
) -> None:
    first, second, third = add(), add(), add()
    parent = claim_one(slots)
    wait(store, parent)
    running = claim_one(slots)
    waits = Waits(store, parent, slots)
    assert not waits.has_slot_again()
    store.control.pause(first, user_name="ada")
    assert not waits.has_slot_again()
    store.reports.finish(second, 1, SUCCESS)
    assert (running.id, claim_one(slots).id) == (second, third)
    store.control.resume(first, user_name="ada")
    assert not waits.has_slot_again()
    store.reports.finish(third, 1, SUCCESS)
    store.reports.finish(first, 1, SUCCESS)
    slots.forget(parent)
    fourth = add()
    assert claim_one(slots).id == fourth
