"""What every implementation of `Api` does alike about messages."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from cloudo_kernel import errors
from cloudo_kernel.flow_api import System
from cloudo_kernel.models import CreateMessage, Message, MessageLevel, MessageState
from tests.contract.conftest import End

pytestmark = pytest.mark.db

UNKNOWN = "01a20713-815a-789c-b71f-4353094d94ca"
FORM = {"properties": {"n": {"element": "integer", "maximum": 9}, "note": {"element": "text"}}, "required": ["n"]}
SECRET = {"properties": {"user": {}, "key": {"element": "password"}}}


def ask(end: End, **more: Any) -> Message:
    return end.api.create_message(CreateMessage(**{"subject": "How many?", "body": FORM, **more}))


def test_a_message_is_made_read_and_listed(end: End) -> None:
    told = end.api.create_message(CreateMessage(subject="It is done", level=MessageLevel.SUCCESS))
    assert (told.state, told.body, told.execution_id) == (MessageState.INFO, None, None)
    asked = ask(end)
    assert asked.state is MessageState.OPEN
    assert asked.expires_at is not None
    assert end.api.message(asked.id) == asked
    assert end.api.messages(limit=2).items == (asked, told)
    first = end.api.messages(limit=1)
    assert first.items == (asked,)
    assert end.api.messages(limit=1, cursor=first.next).items == (told,)
    assert asked in end.api.messages(unanswered=True).items
    assert told not in end.api.messages(unanswered=True).items
    assert end.api.messages(execution_id=UNKNOWN).items == ()
    assert end.api.messages(states=[MessageState.INFO], limit=1).items == (told,)
    assert asked not in end.api.messages(states=[MessageState.INFO, MessageState.ANSWERED]).items
    end.api.answer_message(asked.id, {"n": 1})
    assert end.api.messages(states=[MessageState.ANSWERED], limit=1).items[0].id == asked.id


def test_a_list_is_paged_within_bounds(end: End) -> None:
    with pytest.raises(errors.MalformedRequest):
        end.api.messages(limit=0)


def test_the_first_answer_wins(end: End) -> None:
    asked = ask(end)
    answered = end.api.answer_message(asked.id, {"n": 3.0, "note": "a\nb"})
    assert answered.state is MessageState.ANSWERED
    assert answered.response == {"n": 3, "note": "a\nb"}
    assert answered.answered_by == "ada"
    assert answered.answered_at is not None
    with pytest.raises(errors.MessageClosed, match="ada answered it at"):
        end.other.answer_message(asked.id, {"n": 4})
    assert end.api.message(asked.id) == answered
    assert asked.id not in {one.id for one in end.api.messages(unanswered=True).items}


@pytest.mark.parametrize(
    ("response", "field"),
    [({}, "n"), ({"n": 10}, "n"), ({"n": "1"}, "n"), ({"n": 1, "m": 2}, "m"), ({"n": 1, "note": 5}, "note")],
)
def test_an_answer_that_does_not_fit_names_its_field_and_leaves_the_request_open(
    end: End, response: dict[str, Any], field: str
) -> None:
    asked = ask(end)
    with pytest.raises(errors.ResponseInvalid) as caught:
        end.api.answer_message(asked.id, response)
    assert caught.value.field == field
    assert end.api.message(asked.id) == asked


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}])
def test_an_answer_that_is_no_json_is_refused(end: End, value: object) -> None:
    with pytest.raises(errors.ResponseInvalid):
        end.api.answer_message(ask(end).id, {"n": value})


@pytest.mark.parametrize(
    ("body", "place"),
    [({}, "properties"), ({"properties": {"a": {"element": "slider"}}}, "a.element")],
)
def test_a_body_that_is_no_form_is_refused(end: End, body: dict[str, Any], place: str) -> None:
    with pytest.raises(errors.FormInvalid) as caught:
        ask(end, body=body)
    assert caught.value.field == place


def test_a_body_and_a_shorthand_are_one_too_many(end: End) -> None:
    with pytest.raises(errors.MalformedRequest):
        ask(end, request="And?")


def test_what_asks_for_nothing_takes_no_answer(end: End) -> None:
    told = end.api.create_message(CreateMessage(subject="It is done"))
    with pytest.raises(errors.MessageClosed, match="asks for nothing"):
        end.api.answer_message(told.id, {})


def test_an_unknown_message_is_not_found(end: End) -> None:
    for verb in (
        lambda: end.api.message(UNKNOWN),
        lambda: end.api.answer_message(UNKNOWN, {}),
        lambda: end.api.delete_message(UNKNOWN),
        lambda: end.api.wait_message(UNKNOWN),
        lambda: end.api.message("../../flow"),
    ):
        with pytest.raises(errors.ResourceNotFoundError):
            verb()


def test_a_protected_answer_is_shown_to_nobody(end: End) -> None:
    asked = ask(end, body=SECRET)
    answered = end.api.answer_message(asked.id, {"user": "ada", "key": "hunter2"})
    shown = {"user": "ada", "key": "•••"}
    assert answered.response == shown
    assert end.api.message(asked.id).response == shown
    assert end.api.wait_message(asked.id).response == shown
    assert end.api.messages(limit=1).items[0].response == shown
    assert "hunter2" not in str(end.api.events(after=0, limit=500, subject_id=asked.id))


def test_changes_leave_events_with_who_made_them(end: End) -> None:
    asked = ask(end)
    end.api.answer_message(asked.id, {"n": 1})
    end.api.delete_message(asked.id)
    told = end.api.events(after=0, limit=500, subject_id=asked.id).items
    assert [event.type for event in told] == ["MessageCreated", "MessageAnswered", "MessageDeleted"]
    assert {event.subject_type for event in told} == {"message"}
    assert {event.user_name for event in told} == {"ada"}
    with pytest.raises(errors.MessageNotFound):
        end.api.message(asked.id)


# Waiting


def test_a_wait_ends_with_the_answer(end: End) -> None:
    asked = ask(end)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(end.other.wait_message, asked.id, timeout=timedelta(seconds=30))
        time.sleep(0.3)
        assert not waiting.done()
        answered = end.api.answer_message(asked.id, {"n": 1})
        assert waiting.result(timeout=20) == answered


def test_a_wait_ends_when_its_time_or_the_request_s_is_over(end: End) -> None:
    assert end.api.wait_message(ask(end).id, timeout=timedelta(seconds=0.2)).state is MessageState.OPEN
    begun = time.monotonic()
    expired = end.api.wait_message(ask(end, timeout_seconds=0.5).id, timeout=timedelta(seconds=30))
    assert expired.state is MessageState.EXPIRED
    assert time.monotonic() - begun < 5


def test_a_wait_ends_when_the_message_is_deleted(end: End) -> None:
    asked = ask(end)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(end.other.wait_message, asked.id, timeout=timedelta(seconds=30))
        time.sleep(0.2)
        end.api.delete_message(asked.id)
        with pytest.raises(errors.MessageNotFound):
            waiting.result(timeout=20)


# As authors see it


def test_a_message_is_made_opened_and_awaited_from_anywhere(end: End) -> None:
    system = System(end.api)
    asked = system.message("Which host?", request="Its name", message_type="POPUP")
    assert asked.get("state") is MessageState.OPEN
    end.other.answer_message(asked.id, {"response": "example.org"})
    assert asked.get("response") is None
    again = system.message(asked.get("id"))
    assert again.wait().get("response") == {"response": "example.org"}
    assert asked.load("state", "response") == (MessageState.ANSWERED, {"response": "example.org"})
    with pytest.raises(errors.MalformedRequest, match="has no field 'answer'"):
        asked.get("answer")


def test_waiting_in_vain_says_so(end: End) -> None:
    system = System(end.api)
    with pytest.raises(errors.MessageResponseTimeoutError, match="input request expired"):
        system.message("Anyone?", message="Hello").wait(timeout=0.1)
    with pytest.raises(errors.MessageResponseTimeoutError, match="input request expired"):
        system.message("Anyone?", {"properties": {"a": {}}}, timeout_seconds=0.1).wait()
    with pytest.raises(errors.MessageClosed, match="asks for nothing"):
        system.message("Nothing to answer").wait()


def test_a_text_like_an_id_opens_and_never_makes_a_message(end: End) -> None:
    system = System(end.api)
    with pytest.raises(errors.ResourceNotFoundError):
        system.message(UNKNOWN)
    assert system.message(UNKNOWN, request="?").get("subject") == UNKNOWN
    assert system.message(f"About {UNKNOWN}").get("state") is MessageState.INFO


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"subject": ""}, "subject"),
        ({"subject": "x" * 501}, "subject"),
        ({"subject": None}, "subject"),
        ({"level": "loud"}, "level"),
        ({"timeout_seconds": -1}, "timeout_seconds"),
        ({"timeout_seconds": True}, "timeout_seconds"),
        ({"timeout_seconds": "5"}, "timeout_seconds"),
        ({"timeout_seconds": float("inf")}, "timeout_seconds"),
        ({"body": {"properties": {"a": object()}}}, "body['properties']['a']"),
        ({"body": "text"}, "body"),
    ],
)
def test_a_message_that_makes_no_sense_is_refused(end: End, given: dict[str, Any], field: str) -> None:
    with pytest.raises(errors.MalformedRequest) as caught:
        System(end.api).message(**{"subject": "x", **given})
    assert caught.value.field == field
