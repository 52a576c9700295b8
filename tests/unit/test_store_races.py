"""Writes name the state they change from: another writer's end between a read and a write is never overwritten.

SQLite's write lock keeps other writers out of a transaction, so the tests make the other write within it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from cloudo_kernel.errors import Conflict, IllegalTransition, MessageClosed, StaleAttempt
from cloudo_kernel.forms.form import checked_body
from cloudo_kernel.models import MessageLevel, MessageState, Status
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.store import NewMessage, Outcome, Store, Wake
from cloudo_kernel.store.executions import transitions
from cloudo_kernel.store.messages import withdraw
from tests.unit.conftest import Clock
from tests.unit.overtaken import Overtaken, Write

pytestmark = pytest.mark.db

CANCELLED = Outcome(status=Status.ENDED_CANCELLED, message="no longer needed")


@pytest.fixture
def overtaken(store: Store) -> Iterator[Overtaken]:
    overtaken = Overtaken(store)
    yield overtaken
    assert overtaken.is_done, "the statement to overtake was never run"


def ending(execution_id: str, attempt: int, clock: Clock) -> Write:
    return lambda connection: transitions.end(connection, execution_id, attempt, CANCELLED, now=clock.now)


def test_no_request_overwrites_an_end(
    store: Store, overtaken: Overtaken, clock: Clock, add: Callable[..., str]
) -> None:
    who: dict[str, Any] = {"user_name": "ada"}
    requests: list[tuple[Callable[[str], object], type[Exception]]] = [
        (lambda one: store.control.pause(one, **who), IllegalTransition),
        (lambda one: store.control.resume(one, **who), IllegalTransition),
        (lambda one: store.control.cancel(one, **who, reason="late"), StaleAttempt),
        (lambda one: store.control.save(one, {"input_value": {"n": 1}}, **who), Conflict),
    ]
    for request, error in requests:
        pending = add()
        if request is requests[1][0]:
            store.control.pause(pending, **who)
        overtaken.at("UPDATE executions", ending(pending, 0, clock))
        with pytest.raises(error, match=r"ENDED_CANCELLED|not the current one|has begun"):
            request(pending)
    begun = add(rank=-1)
    [claim] = store.queue.claim("w", free=1)
    for request, error in (requests[0], requests[2]):
        overtaken.at("UPDATE executions", ending(begun, claim.attempt, clock))
        with pytest.raises(error, match=r"ENDED_CANCELLED|not the current one"):
            request(begun)


def test_an_ended_execution_is_neither_released_nor_woken(
    store: Store, overtaken: Overtaken, clock: Clock, add: Callable[..., str]
) -> None:
    held = add(is_held=True)
    overtaken.at("UPDATE executions", ending(held, 0, clock))
    store.control.release(held)
    waiting = add(durable=True)
    [claim] = store.queue.claim("w", free=1)
    store.reports.begin(waiting, claim.attempt)
    later = Wake(at=clock.now + timedelta(hours=1))
    store.reports.wait(waiting, claim.attempt, message="until later", wake=later)
    assert store.reports.detach(waiting, claim.attempt)
    clock.now += timedelta(hours=2)
    overtaken.at("UPDATE executions", ending(waiting, claim.attempt, clock))
    assert store.queue.claim("w", free=1) == ()
    for one in (held, waiting):
        assert store.executions.status(one) is Status.ENDED_CANCELLED
        assert store.events.after(0, limit=99, subject_id=one)[-1].type == "ExecutionEnded"


def test_a_message_keeps_its_first_end(
    store: Store, overtaken: Overtaken, clock: Clock, add: Callable[..., str]
) -> None:
    execution_id = add()
    body = checked_body({"properties": {"name": {}}})
    one, other = (
        store.messages.insert(
            NewMessage(
                id=new_id(),
                subject="Who?",
                body=body,
                level=MessageLevel.INFO,
                execution_id=execution_id,
                user_name="ada",
                timeout_seconds=60,
            )
        ).id
        for _ in range(2)
    )
    overtaken.at("UPDATE messages", lambda connection: withdraw(connection, execution_id, now=clock.now))
    with pytest.raises(MessageClosed):
        store.messages.answer(one, {"name": "Ada"}, user_name="ada")
    assert store.messages.get(other).state is MessageState.WITHDRAWN
    clock.now += timedelta(minutes=2)
    store.messages.expire()  # both were withdrawn: there is nothing to expire
    assert store.messages.get(one).state is MessageState.WITHDRAWN
