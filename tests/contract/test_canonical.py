"""Every door hands on the same value, in canonical form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cloudo_kernel import errors
from cloudo_kernel.cli.questions import answers_of
from cloudo_kernel.flow_api import System
from cloudo_kernel.forms.form import Form
from cloudo_kernel.models import (
    BulkAction,
    BulkRequest,
    CreateMessage,
    CreateSchedule,
    CreateWebhook,
    Message,
    ScheduleTrigger,
    StartExecution,
)
from tests.contract.conftest import End

#: As scripts of the original write it.
BODY: dict[str, Any] = {
    "properties": {
        "at": {"element": "time", "default": "08:30"},
        "day": {"element": "date"},
        "due": {"element": "datetime"},
        "delay": {"element": "number", "default": "60", "example": None},
        "top": {"element": "integer"},
        "is_new": {"element": "toggle"},
    }
}
WRITTEN = {"at": "09:15", "day": "20261123", "due": "2026-11-23 08:30+01:00", "top": 3.0, "is_new": True}
KEPT = {
    "at": "09:15:00",
    "day": "2026-11-23",
    "due": "2026-11-23T08:30:00+01:00",
    "delay": 60,
    "top": 3,
    "is_new": True,
}
PARAMETERS = "at: time\nday: date | None = None\ntop = 1  # type: int how many"
INPUTS: dict[str, Any] = {"at": "09:15", "day": "20261123", "top": 3.0}
INJECTED = {"at": "09:15:00", "day": "2026-11-23", "top": 3}

Answer = Callable[[End, Message, dict[str, Any]], None]


def by_api(end: End, message: Message, given: dict[str, Any]) -> None:
    end.api.answer_message(message.id, given)


def by_shell(end: End, message: Message, given: dict[str, Any]) -> None:
    words = [f"{key}={value}" for key, value in given.items()]
    assert message.body is not None
    end.api.answer_message(message.id, answers_of(words, Form(message.body)))


@pytest.mark.parametrize("answer", [by_api, by_shell])
def test_an_answer_is_the_same_by_whichever_door(end: End, answer: Answer) -> None:
    message = end.api.create_message(CreateMessage(subject="When?", body=BODY))
    assert message.body is not None
    assert "example" not in message.body["properties"]["delay"]
    answer(end, message, WRITTEN)
    response = end.api.message(message.id).response
    assert response == KEPT
    assert [type(response[key]) for key in KEPT] == [type(value) for value in KEPT.values()]


@pytest.mark.parametrize("answer", [by_api, by_shell])
def test_a_moment_without_an_offset_is_that_of_the_user_who_answers(end: End, answer: Answer) -> None:
    end.api.save_setting("client.timezone", "Asia/Kathmandu")
    message = end.api.create_message(CreateMessage(subject="When?", body=BODY))
    answer(end, message, {"due": "2026-11-23T08:30"})
    assert (end.api.message(message.id).response or {})["due"] == "2026-11-23T08:30:00+05:45"
    end.api.save_setting("client.timezone", None)


def test_inputs_are_the_same_however_a_flow_is_started(end: End) -> None:
    flow = end.flow("at", parameters=PARAMETERS)
    started = end.later(flow, inputs=INPUTS)
    assert started.input_value == INJECTED
    assert System(end.api).flow(flow).start(**INPUTS).record.input_value == INJECTED
    end.api.cancel_execution(started.id)
    assert end.api.retry_execution(started.id, INPUTS).input_value == INJECTED
    bulk = BulkRequest(action=BulkAction.START, flow_names=(flow,), inputs=INPUTS)
    [item] = end.api.bulk_executions(bulk).items
    assert item.execution is not None
    assert end.api.execution(item.execution.id).input_value == INJECTED


def test_what_is_kept_for_later_starts_is_canonical_too(end: End) -> None:
    flow = end.flow("at", parameters=PARAMETERS)
    schedule = end.api.create_schedule(
        CreateSchedule(flow_name=flow, trigger=ScheduleTrigger(daily_at="08:30:00"), inputs=INPUTS, enabled=False)
    )
    assert schedule.inputs == INJECTED
    assert schedule.trigger.daily_at == "08:30"
    webhook = end.api.create_webhook(CreateWebhook(name=flow.replace("/", "-"), flow_name=flow, inputs=INPUTS))
    assert webhook.inputs == INJECTED


def test_each_mistake_is_told_at_once(end: End) -> None:
    flow = end.flow("at", parameters=PARAMETERS)
    with pytest.raises(errors.InputsInvalid) as caught:
        end.api.start_execution(StartExecution(flow_name=flow, inputs={"day": "soon", "top": 1.5, "pot": 1}))
    assert [one["field"] for one in caught.value.errors] == ["pot", "at", "day", "top"]
    assert all(one["message"] in str(caught.value) for one in caught.value.errors)
    message = end.api.create_message(CreateMessage(subject="When?", body=BODY))
    with pytest.raises(errors.ResponseInvalid) as refused:
        end.api.answer_message(message.id, {"at": "soon", "top": "3", "is_new": 1})
    assert [one["field"] for one in refused.value.errors] == ["at", "top", "is_new"]


def test_a_single_message_has_its_descriptions_rendered(end: End) -> None:
    message = end.api.create_message(CreateMessage(subject="Read this", message="**Done**, <b>see</b>"))
    body = end.api.message(message.id).body
    assert body is not None
    assert body["properties"]["message"]["description"] == "**Done**, <b>see</b>"
    rendered = "<p><strong>Done</strong>, &lt;b&gt;see&lt;/b&gt;</p>\n"
    assert body["properties"]["message"]["description_html"] == rendered
    again = end.api.create_message(CreateMessage(subject="Once more", body=body))
    assert "description_html" not in str(again.body)


def test_what_is_no_number_names_the_argument_of_the_call(end: End) -> None:
    system, flow = System(end.api), end.flow("1")
    calls: dict[str, list[Callable[[], object]]] = {
        "limit": [lambda: system.executions(limit=True), lambda: system.executions(limit="many")],  # type: ignore[arg-type]  # as authors may
        "every_seconds": [lambda: system.schedule(flow, every_seconds=True)],
        "max_iterations": [lambda: system.schedule(flow, every_seconds=5, max_iterations=1.5)],  # type: ignore[arg-type]  # as authors may
        "timeout": [lambda: system.message("When?", request="?").wait(timeout=True)],
    }
    for field, wrong in calls.items():
        for call in wrong:
            with pytest.raises(errors.MalformedRequest) as caught:
                call()
            assert caught.value.field == field
    with pytest.raises(errors.MalformedRequest) as several:
        system.schedule(flow, every_seconds=5, jitter_seconds="5", pause_on_error_count=True)
    assert [one["field"] for one in several.value.errors] == ["jitter_seconds", "pause_on_error_count"]
