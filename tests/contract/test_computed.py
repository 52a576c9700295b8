"""The fields that records have for lists: states, words, and the executions that they name. Over both ends."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest

from cloudo_kernel import errors
from cloudo_kernel.models import (
    Backfill,
    ChangeSchedule,
    ChangeWebhook,
    CreateMessage,
    CreateSchedule,
    CreateWebhook,
    FollowingFlow,
    Notification,
    PreviewSchedule,
    ScheduleState,
    ScheduleTrigger,
    SignatureScheme,
    StartExecution,
    Status,
)
from cloudo_kernel.models.webhooks import secret_bytes
from tests.contract.conftest import End
from tests.server import until

DAILY = ScheduleTrigger(daily_at="08:30")
FORM = {
    "properties": {
        "time": {"element": "time"},
        "zone": {"element": "string"},
        "times": {"element": "markdown", "preview": {"daily_at": "time", "timezone": "zone"}},
    }
}


def webhook_name() -> str:
    return f"w-{uuid.uuid4().hex}"


def test_a_schedule_says_when_it_runs_and_how_it_is(end: End) -> None:
    flow = end.flow()
    request = CreateSchedule(flow_name=flow, trigger=DAILY, timezone="Europe/Vienna")
    made = end.api.create_schedule(request)
    assert (made.description, made.state, made.state_reason) == ("daily at 08:30", ScheduleState.ACTIVE, None)
    assert end.api.pause_schedule(made.id).state is ScheduleState.PAUSED
    assert end.api.resume_schedule(made.id).state is ScheduleState.ACTIVE
    end.api.delete_flow(flow)
    [listed] = end.api.schedules(flow_name=flow).items
    assert listed.state is ScheduleState.BROKEN
    assert flow in (listed.state_reason or "")
    assert end.api.schedule(made.id).state_reason == listed.state_reason


def test_an_occurrence_has_the_execution_that_it_started(end: End) -> None:
    flow = end.flow("1 / 0")
    made = end.api.create_schedule(CreateSchedule(flow_name=flow, trigger=DAILY, timezone="UTC"))
    assert made.next_run is not None
    span = Backfill(start=made.next_run - timedelta(days=3), end=made.next_run - timedelta(days=1))
    assert {one.execution for one in end.api.backfill_schedule(made.id, span.model_copy(update={"dry_run": True}))} == {
        None
    }
    started = end.api.backfill_schedule(made.id, span)
    assert [one.execution and one.execution.id for one in started] == [one.execution_id for one in started]
    last = started[-1].execution_id
    assert last is not None
    end.api.wait(last, timeout=timedelta(seconds=60))
    newest = end.api.occurrences(made.id).items[0]
    assert newest.execution is not None
    assert (newest.execution.id, newest.execution.status) == (last, Status.ENDED_ERROR)
    [listed] = end.api.schedules(flow_name=flow).items
    assert listed.last_occurrence is not None
    assert listed.last_occurrence.execution == newest.execution
    end.api.delete_execution(last)
    newest = end.api.occurrences(made.id).items[0]
    assert (newest.execution_id, newest.execution) == (last, None)


def test_a_preview_has_its_sentence(end: End) -> None:
    asked = PreviewSchedule(trigger=DAILY, timezone="Europe/Vienna")
    assert end.api.preview_schedule(asked).summary.startswith("daily at 08:30, next: ")
    waiting = PreviewSchedule(trigger=ScheduleTrigger(every_seconds=60), timezone="UTC")
    assert "counted from the end of the last run (UTC)" in end.api.preview_schedule(waiting).summary


def test_the_answers_of_a_form_are_previewed(end: End) -> None:
    asked = end.api.create_message(CreateMessage(subject="When?", body=FORM))
    assert end.api.preview_message(asked.id, {}).preview is None
    found = end.api.preview_message(asked.id, {"time": "08:30", "zone": "Europe/Vienna"}).preview
    assert found is not None
    assert (found.description, found.timezone, len(found.times)) == ("daily at 08:30", "Europe/Vienna", 10)
    for wrong in ({"time": "late"}, {"time": "08:30", "zone": "Europe/Nowhere"}, {"time": {"a": 1}}):
        with pytest.raises(errors.MalformedRequest):
            end.api.preview_message(asked.id, wrong)
    plain = end.api.create_message(CreateMessage(subject="What?", request="What?"))
    assert end.api.preview_message(plain.id, {"response": "x"}).preview is None
    end.api.delete_message(asked.id)
    with pytest.raises(errors.MessageNotFound):
        end.api.preview_message(asked.id, {})


def test_a_message_names_the_execution_that_asks(end: End) -> None:
    flow = end.flow("system.message(subject='How many?', request='how many').wait()")
    started = end.api.start_execution(StartExecution(flow_name=flow, name="the asker"))
    until(lambda: end.api.messages(execution_id=started.id).items != ())
    [listed] = end.api.messages(execution_id=started.id).items
    assert listed.execution_name == "the asker"
    assert end.api.message(listed.id).execution_name == "the asker"
    end.api.cancel_execution(started.id)
    end.api.wait(started.id, timeout=timedelta(seconds=60))
    end.api.delete_execution(started.id)
    assert end.api.message(listed.id).execution_name is None
    assert end.api.create_message(CreateMessage(subject="It is done")).execution_name is None


def test_a_webhook_has_its_newest_delivery_and_that_its_execution(end: End) -> None:
    flow, name = end.flow(), webhook_name()
    made = end.api.create_webhook(CreateWebhook(name=name, flow_name=flow, key="the-key-of-the-door"))
    assert made.last_delivery is None
    assert end.api.webhooks(flow_name=flow).items[0].last_delivery is None
    if not hasattr(end.api, "url"):  # only a server takes calls
        return
    address = f"{end.api.url}cloudo/webhook/{name}"
    for key, status in (("the-key-of-the-door", 200), ("another", 404)):
        reply = httpx.post(address, headers={"X-Cloudo-Key": key}, json={}, timeout=60)
        assert reply.status_code == status, reply.text
    until(lambda: len(end.api.deliveries(name).items) == 2)
    refused, taken = end.api.deliveries(name).items
    assert refused.execution is None
    assert taken.execution is not None
    assert (taken.execution.id, taken.execution.status) == (taken.execution_id, Status.ENDED_SUCCESS)
    until(lambda: (one := end.api.webhook(name).last_delivery) is not None and one.status_code == 404)
    [listed] = end.api.webhooks(flow_name=flow).items
    assert listed.last_delivery == end.api.webhook(name).last_delivery
    assert listed.last_delivery is not None
    assert listed.last_delivery.reason == refused.reason


def test_a_generated_key_is_in_one_reply_only(end: End) -> None:
    flow, name = end.flow(), webhook_name()
    made = end.api.create_webhook(CreateWebhook(name=name, flow_name=flow, generate_key=True))
    assert made.key is not None
    assert made.has_key
    changed = end.api.change_webhook(
        name, ChangeWebhook(signature=SignatureScheme.STANDARD_WEBHOOKS, generate_key=True)
    )
    assert changed.key is not None
    assert len(secret_bytes(changed.key, SignatureScheme.STANDARD_WEBHOOKS)) == 32
    again = end.api.change_webhook(name, ChangeWebhook(generate_key=True))
    assert again.key not in (None, changed.key)
    assert (again.key or "").startswith("whsec_")
    assert end.api.change_webhook(name, ChangeWebhook(enabled=False)).key is None
    shown: list[Any] = [end.api.webhook(name), *end.api.webhooks(flow_name=flow).items]
    shown += end.api.events(after=0, limit=500, subject_id=name).items
    text = " ".join(one.model_dump_json() for one in shown)
    assert made.key not in repr(made)
    for key in (made.key, changed.key, again.key or ""):
        assert key not in text


def test_a_key_that_the_sender_issues_is_not_generated(end: End) -> None:
    flow = end.flow()
    wanted = CreateWebhook(name=webhook_name(), flow_name=flow, signature="stripe", generate_key=True)
    with pytest.raises(errors.MalformedRequest) as caught:
        end.api.create_webhook(wanted)
    assert caught.value.field == "generate_key"
    for wrong in ({"key": "the-key-of-the-door"}, {"key": None}):
        with pytest.raises(ValueError, match="either key or generate_key"):
            CreateWebhook(name="x", flow_name=flow, generate_key=True, **wrong)
    with pytest.raises(ValueError, match="address of its own"):
        CreateWebhook(name="preset", flow_name=flow)


def test_presets_are_listed(end: End) -> None:
    found = {one.name: one for one in end.api.webhook_presets()}
    assert found.keys() == set(SignatureScheme) - {SignatureScheme.HMAC_SHA256}
    assert (found[SignatureScheme.GITHUB].title, found[SignatureScheme.GITHUB].issues_key) == ("GitHub", False)
    slack = found[SignatureScheme.SLACK]
    assert (slack.delivery_id, slack.sync_timeout_seconds, slack.issues_key) == ("$.event_id", 2.0, True)


def test_follow_ups_are_given_as_text_or_as_json(end: End) -> None:
    flow, other = end.flow(), end.flow()
    text = f"{other}\nhttps://example.com/hook\n" + json.dumps({"flow": other, "inputs": {"n": 1}})
    wanted = {"flow_name": flow, "trigger": DAILY, "timezone": "UTC", "on_error": text, "on_success": ""}
    made = end.api.create_schedule(CreateSchedule.model_validate(wanted))
    given = (
        FollowingFlow(flow=other),
        Notification(url="https://example.com/hook"),
        FollowingFlow(flow=other, inputs={"n": 1}),
    )
    assert made.on_error == given
    assert (made.on_success, made.on_recovery) == (None, None)
    changed = end.api.change_schedule(made.id, ChangeSchedule.model_validate({"on_error": "[]", "on_success": other}))
    assert (changed.on_error, changed.on_success) == ((), (FollowingFlow(flow=other),))
    as_json = ChangeSchedule.model_validate({"on_error": [{"flow": other}, other], "on_success": None})
    changed = end.api.change_schedule(made.id, as_json)
    assert (changed.on_error, changed.on_success) == ((FollowingFlow(flow=other),) * 2, None)
    with pytest.raises(ValueError, match="not valid JSON"):
        ChangeSchedule.model_validate({"on_error": "{flow"})
