"""What every implementation of `Api` does alike about the elements that name flows, durations, zones and times."""

from __future__ import annotations

from typing import Any

import pytest

from cloudo_kernel import errors
from cloudo_kernel.models import CreateMessage, Message
from tests.contract.conftest import End
from tests.flows import write_flow


def ask(end: End, *required: str, **properties: Any) -> Message:
    body = {"properties": properties, "required": list(required)}
    return end.api.create_message(CreateMessage(subject="When?", body=body))


def refused(end: End, message: Message, **answers: Any) -> dict[str, str]:
    """Answer, and return the message of each invalid field."""
    with pytest.raises(errors.ResponseInvalid) as caught:
        end.api.answer_message(message.id, answers)
    assert end.api.message(message.id).is_open
    return {one["field"]: one["message"] for one in caught.value.errors}


def test_the_inputs_of_the_chosen_flow_are_checked_and_kept_in_one_form(end: End) -> None:
    name = end.flow(parameters="region: str\ntop: int = 3")
    asked = ask(end, "which", which={"element": "flow"}, inputs={"element": "inputs"})
    assert refused(end, asked, which=name, inputs={"top": "many", "x": 1}).keys() == {
        "inputs.region",
        "inputs.top",
        "inputs.x",
    }
    missing = refused(end, asked, which=name)
    assert missing == {"inputs.region": "The flow needs the input 'region': text."}
    assert "There is no flow 'nowhere'" in refused(end, asked, which="nowhere", inputs={})["which"]
    answered = end.api.answer_message(asked.id, {"which": name, "inputs": {"region": "north", "top": 4.0}})
    assert answered.response == {"which": name, "inputs": {"region": "north", "top": 4}}


def test_a_form_can_name_the_flow_and_text_is_json(end: End) -> None:
    name = end.flow(parameters="region: str")
    asked = ask(end, inputs={"element": "inputs", "flow_name": name, "default": {"region": "south"}})
    assert end.api.answer_message(asked.id, {}).response == {"inputs": {"region": "south"}}
    asked = ask(end, inputs={"element": "inputs", "flow_name": name})
    assert end.api.answer_message(asked.id, {"inputs": '{"region": "east"}'}).response == {"inputs": {"region": "east"}}


def test_several_flows_have_inputs_each(end: End) -> None:
    one, two = end.flow(parameters="n: int"), end.flow(parameters="region: str = 'x'")
    which = {"element": "flow", "type": "array", "enum": [one, two]}
    asked = ask(end, "which", which=which, inputs={"element": "inputs"})
    given = {one: {"n": "x"}, two: {}, "three": {}}
    assert refused(end, asked, which=[one, two], inputs=given).keys() == {f"inputs.{one}.n", "inputs.three"}
    answered = end.api.answer_message(asked.id, {"which": [one, two], "inputs": {one: {"n": 1}}})
    assert answered.response == {"which": [one, two], "inputs": {one: {"n": 1}, two: {}}}


def test_a_button_that_cancels_needs_no_inputs(end: End) -> None:
    name = end.flow(parameters="region: str")
    buttons = {"go": {"element": "submit"}, "cancel": {"element": "submit", "required": []}}
    asked = ask(end, inputs={"element": "inputs", "flow_name": name}, **buttons)
    assert refused(end, asked, go=True).keys() == {"inputs.region"}
    assert end.api.answer_message(asked.id, {"cancel": True}).response == {"go": False, "cancel": True}


def test_a_broken_flow_cannot_be_chosen(end: End) -> None:
    name = end.flow(parameters="def (")
    asked = ask(end, which={"element": "flow"}, inputs={"element": "inputs"})
    assert "is broken" in refused(end, asked, which=name)["which"]


def test_protected_inputs_are_masked_and_the_others_are_shown(end: End) -> None:
    name = "contract/protecting"
    write_flow(end.workspace, name, "1", parameters="key = ''\nn = 1", metadata={"protect_inputs": ["key"]})
    asked = ask(end, inputs={"element": "inputs", "flow_name": name})
    said = refused(end, asked, inputs={"key": ["hunter2"]})
    assert "hunter2" not in str(said)
    answered = end.api.answer_message(asked.id, {"inputs": {"key": "hunter2", "n": 2}})
    assert answered.response == {"inputs": {"key": "•••", "n": 2}}
    assert end.api.message(asked.id).response == answered.response


def test_durations_zones_and_triggers_name_what_is_wrong(end: End) -> None:
    elements = {
        "delay": {"element": "duration", "minimum": "1s"},
        "zone": {"element": "timezone"},
        "when": {"element": "trigger"},
    }
    asked = ask(end, *elements, **elements)
    said = refused(end, asked, delay=0, zone="Europe/Nowhere", when={"cron": "0 0 31 2 *"})
    assert said.keys() == {"delay", "zone", "when.cron"}
    assert "at least 1 second, not 0" in said["delay"]
    answers = {"delay": "1h30m", "zone": "Asia/Tokyo", "when": {"daily_at": "07:15:00"}}
    answered = end.api.answer_message(asked.id, answers)
    assert answered.response == {"delay": 5400, "zone": "Asia/Tokyo", "when": {"daily_at": "07:15"}}


def test_an_answered_trigger_is_previewed(end: End) -> None:
    coming = {"element": "markdown", "preview": {"trigger": "when"}}
    asked = ask(end, when={"element": "trigger"}, coming=coming)
    found = end.api.preview_message(asked.id, {"when": {"daily_at": "07:15", "timezone": "Asia/Tokyo"}}).preview
    assert found is not None
    assert (found.description, found.timezone, len(found.times)) == ("daily at 07:15", "Asia/Tokyo", 10)
