"""Messages in the store: their states, their events, how long they stay."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cloudo_kernel.errors import MessageClosed, MessageNotFound, StaleAttempt
from cloudo_kernel.forms.form import checked_body
from cloudo_kernel.models import MessageLevel, MessageState, Status
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.settings import INPUT_TIMEOUT
from cloudo_kernel.store import NewMessage, Outcome, Store
from tests.unit.conftest import Clock

pytestmark = pytest.mark.db

FORM = checked_body({"properties": {"name": {}}})
MINUTE = timedelta(minutes=1)
Ask = Callable[..., str]


@pytest.fixture
def ask(store: Store) -> Ask:
    def ask(**more: Any) -> str:
        values: dict[str, Any] = {"subject": "Who?", "body": FORM, "level": MessageLevel.INFO, "execution_id": None}
        return store.messages.insert(NewMessage(id=new_id(), user_name="ada", **{**values, **more})).id

    return ask


def told(store: Store, message_id: str) -> list[str]:
    return [event.type for event in store.events.after(0, limit=500, subject_id=message_id)]


def begun(store: Store, add: Callable[..., str], **more: object) -> tuple[str, int]:
    execution_id = add(**more)
    [claim] = store.queue.claim("w", free=1)
    store.reports.begin(execution_id, claim.attempt)
    return execution_id, claim.attempt


def answer(store: Store, message_id: str, **response: Any) -> None:
    store.messages.answer(message_id, response, masks={}, user_name="grace")


def test_a_message_without_a_form_tells_and_asks_nothing(store: Store, ask: Ask) -> None:
    message = store.messages.get(ask(body=None))
    assert (message.state, message.expires_at) == (MessageState.INFO, None)
    with pytest.raises(MessageClosed, match="asks for nothing"):
        answer(store, message.id)


def test_a_request_is_open_until_its_time_is_over(store: Store, clock: Clock, ask: Ask) -> None:
    message_id = ask()
    assert store.messages.get(message_id).expires_at == clock.now + 10 * MINUTE
    clock.now += 10 * MINUTE - timedelta(microseconds=1)
    assert store.messages.get(message_id).state is MessageState.OPEN
    clock.now += timedelta(microseconds=1)
    assert store.messages.get(message_id).state is MessageState.EXPIRED
    for state, number in ((MessageState.OPEN, 0), (MessageState.EXPIRED, 1)):  # before anybody has recorded it
        page = store.messages.page(unanswered=False, states=[state], execution_id=None, limit=9, before=None)
        assert len(page.items) == number
    assert not store.messages.is_open(message_id)
    with pytest.raises(MessageClosed, match="it expired at 2026-11-23T12:10"):
        answer(store, message_id, name="late")
    assert told(store, message_id) == ["MessageCreated"]
    store.messages.expire()
    store.messages.expire()
    assert told(store, message_id) == ["MessageCreated", "MessageExpired"]
    assert store.messages.get(message_id).response is None


@pytest.mark.parametrize(
    ("minutes", "given", "expected"),
    [
        (0, None, None),
        (-5, None, None),
        (10, 0, None),
        (0, 90, 90),
        (0.5, None, 30),
        (10, 1e300, 36_500 * 86_400),
    ],
)
def test_the_limit_is_the_settings_or_the_requests_own(
    store: Store, clock: Clock, ask: Ask, minutes: float, given: float | None, expected: float | None
) -> None:
    store.settings.save(INPUT_TIMEOUT, minutes, user_name="ada")
    expires_at = store.messages.get(ask(timeout_seconds=given)).expires_at
    assert expires_at == (None if expected is None else clock.now + timedelta(seconds=expected))


def test_the_first_answer_wins_however_many_come_at_once(store: Store, ask: Ask) -> None:
    message_id = ask()
    start, outcomes, refused = threading.Barrier(8), [], []

    def try_it(number: int) -> None:
        start.wait()
        try:
            store.messages.answer(message_id, {"name": number}, masks={}, user_name=f"user {number}")
            outcomes.append(number)
        except MessageClosed as error:
            refused.append(str(error))

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [first] = outcomes
    assert len(refused) == 7
    assert all(f"user {first} answered it at" in why for why in refused)
    message = store.messages.get(message_id)
    assert (message.response, message.answered_by) == ({"name": first}, f"user {first}")
    assert message.state is MessageState.ANSWERED
    assert told(store, message_id) == ["MessageCreated", "MessageAnswered"]


def test_protected_answers_are_for_the_flow_alone(store: Store, ask: Ask) -> None:
    message_id = ask()
    answered = store.messages.answer(message_id, {"name": "x", "key": "hunter2"}, masks={"key": "•••"}, user_name="ada")
    page = store.messages.page(unanswered=False, execution_id=None, limit=10, before=None)
    for shown in (answered, store.messages.get(message_id), page.items[0]):
        assert shown.response == {"name": "x", "key": "•••"}
    assert store.messages.revealed(message_id).response == {"name": "x", "key": "hunter2"}
    assert "hunter2" not in str(store.events.after(0, limit=500))


@pytest.mark.parametrize("status", [Status.ENDED_ERROR, Status.ENDED_CANCELLED])
def test_an_execution_that_ends_badly_withdraws_what_it_asked(
    store: Store, ask: Ask, add: Callable[..., str], status: Status
) -> None:
    execution_id, attempt = begun(store, add)
    asked, answered = ask(execution_id=execution_id), ask(execution_id=execution_id)
    other, told_only = ask(), ask(execution_id=execution_id, body=None)
    answer(store, answered, name="Ada")
    store.reports.finish(execution_id, attempt, Outcome(status=status))
    assert store.messages.get(asked).state is MessageState.WITHDRAWN
    assert told(store, asked) == ["MessageCreated", "MessageWithdrawn"]
    assert store.messages.get(answered).state is MessageState.ANSWERED
    assert store.messages.get(other).state is MessageState.OPEN
    assert store.messages.get(told_only).state is MessageState.INFO
    with pytest.raises(MessageClosed, match="withdrawn"):
        answer(store, asked)


def test_a_request_outlives_the_success_of_who_asked(store: Store, ask: Ask, add: Callable[..., str]) -> None:
    """The original's forms in two steps: one execution asks, a second one waits."""
    execution_id, attempt = begun(store, add)
    asked = ask(execution_id=execution_id)
    store.reports.finish(execution_id, attempt, Outcome(status=Status.ENDED_SUCCESS))
    answer(store, asked, name="Ada")
    assert store.messages.get(asked).response == {"name": "Ada"}


def test_an_attempt_that_failed_withdraws_what_it_asked(store: Store, ask: Ask, add: Callable[..., str]) -> None:
    execution_id, attempt = begun(store, add, retries=1)
    asked = ask(execution_id=execution_id)
    store.reports.finish(execution_id, attempt, Outcome(status=Status.ENDED_ERROR))
    assert store.executions.status(execution_id) is Status.PENDING
    assert store.messages.get(asked).state is MessageState.WITHDRAWN


def test_an_execution_that_has_ended_asks_nothing_more(store: Store, ask: Ask, add: Callable[..., str]) -> None:
    execution_id, attempt = begun(store, add)
    store.reports.finish(execution_id, attempt, Outcome(status=Status.ENDED_SUCCESS))
    with pytest.raises(StaleAttempt):
        ask(execution_id=execution_id)


@pytest.mark.parametrize(("level", "minutes"), [("success", 720), ("info", 720), ("warning", 1440), ("error", 10080)])
def test_what_only_tells_is_kept_as_long_as_its_level_says(
    store: Store, clock: Clock, ask: Ask, level: str, minutes: int
) -> None:
    message_id = ask(body=None, level=MessageLevel(level))
    clock.now += minutes * MINUTE - timedelta(seconds=1)
    store.messages.delete_expired()
    assert store.messages.get(message_id).id == message_id
    clock.now += timedelta(seconds=1)
    store.messages.delete_expired()
    with pytest.raises(MessageNotFound):
        store.messages.get(message_id)
    assert told(store, message_id) == ["MessageCreated", "MessageDeleted"]


def test_a_request_is_kept_while_somebody_may_need_it(
    store: Store, clock: Clock, ask: Ask, add: Callable[..., str]
) -> None:
    execution_id, attempt = begun(store, add)
    endless, asked = ask(timeout_seconds=0), ask(execution_id=execution_id, timeout_seconds=0)
    clock.now += timedelta(days=400)
    answer(store, asked, name="Ada")
    clock.now += timedelta(days=2)
    store.messages.delete_expired()
    assert store.messages.get(asked).response == {"name": "Ada"}  # its execution has not read it yet
    store.reports.finish(execution_id, attempt, Outcome(status=Status.ENDED_SUCCESS))
    store.messages.delete_expired()
    with pytest.raises(MessageNotFound):
        store.messages.get(asked)
    assert store.messages.get(endless).state is MessageState.OPEN


def test_messages_are_listed_newest_first_by_cursor_and_filtered(
    store: Store, clock: Clock, ask: Ask, add: Callable[..., str]
) -> None:
    execution_id, _attempt = begun(store, add)
    ids = [ask(execution_id=execution_id if number % 2 else None) for number in range(5)]
    first = store.messages.page(unanswered=False, execution_id=None, limit=3, before=None)
    rest = store.messages.page(unanswered=False, execution_id=None, limit=3, before=first.next)
    assert [one.id for one in (*first.items, *rest.items)] == ids[::-1]
    assert rest.next is None
    answer(store, ids[4], name="x")
    ask(body=None)
    mine = store.messages.page(unanswered=True, execution_id=execution_id, limit=3, before=None)
    assert [one.id for one in mine.items] == [ids[3], ids[1]]
    clock.now += timedelta(hours=1)
    assert store.messages.page(unanswered=True, execution_id=None, limit=3, before=None).items == ()


def test_lists_leave_large_forms_and_answers_out(store: Store, ask: Ask) -> None:
    message_id = ask(body=checked_body({"properties": {"a": {"description": "x" * 5000}}}))
    answer(store, message_id, name="y" * 5000)
    [shown] = store.messages.page(unanswered=False, execution_id=None, limit=3, before=None).items
    assert shown.body is not None
    assert shown.response is not None
    assert set(shown.body) == set(shown.response) == {"left_out"}
    assert store.messages.get(message_id).response == {"name": "y" * 5000}


def test_a_deleted_message_is_gone(store: Store, ask: Ask) -> None:
    message_id = ask()
    store.messages.delete(message_id, user_name="ada")
    assert not store.messages.is_open(message_id)
    for verb in (store.messages.get, store.messages.revealed, lambda one: answer(store, one)):
        with pytest.raises(MessageNotFound):
            verb(message_id)
    with pytest.raises(MessageNotFound):
        store.messages.delete(message_id, user_name="ada")
