"""Forms: which bodies are one."""

from __future__ import annotations

from typing import Any

import pytest

from cloudo_kernel.errors import FormInvalid, ResponseInvalid
from cloudo_kernel.forms.form import Form, checked_body, preview_request, shorthand
from tests.unit.test_forms import body


def test_a_body_is_kept_with_all_that_it_left_out_and_in_its_order() -> None:
    made = checked_body(
        {"properties": {"b": {"order": 2}, "a": {"order": 1, "type": "boolean", "label": "A?"}, "c": {"enum": [1]}}}
    )
    assert list(made["properties"]) == ["a", "b", "c"]
    assert made["type"] == "object"
    assert made["required"] == []
    assert made["properties"]["a"] == {
        "order": 1,
        "type": "boolean",
        "label": "A?",
        "element": "toggle",
        "description": "",
    }
    assert (made["properties"]["b"]["element"], made["properties"]["b"]["label"]) == ("string", "b")
    assert made["properties"]["c"]["element"] == "select"
    assert checked_body(made) == made


@pytest.mark.parametrize(
    ("about", "element"),
    [
        ({}, "string"),
        ({"type": "string", "format": "date"}, "date"),
        ({"type": "string", "format": "date-time"}, "datetime"),
        ({"element": "date-time"}, "datetime"),
        ({"type": "integer"}, "integer"),
        ({"element": "number", "type": "integer"}, "integer"),
        ({"type": "array", "items": {"enum": ["a"]}}, "multiselect"),
        ({"element": "submit", "type": "boolean"}, "submit"),
    ],
)
def test_an_element_follows_from_type_and_format(about: dict[str, Any], element: str) -> None:
    assert checked_body(body(key=about))["properties"]["key"]["element"] == element


def test_what_is_unknown_is_kept_unless_it_looks_like_a_mistake() -> None:
    assert checked_body(body(key={"placeholder": "x"}))["properties"]["key"]["placeholder"] == "x"
    with pytest.raises(FormInvalid, match="Did you mean 'default'"):
        checked_body(body(key={"defualt": 1}))
    with pytest.raises(FormInvalid, match="Did you mean 'required'"):
        checked_body({"properties": {"a": {}}, "requierd": ["a"]})


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (None, "body"),
        ("text", "body"),
        ([], "body"),
        ({}, "properties"),
        ({"properties": {}}, "properties"),
        ({"properties": ["a"]}, "properties"),
        ({"type": "array", "properties": {"a": {}}}, "type"),
        (body(key="string"), "key"),
        (body((), **{"": {}}), "''"),
        (body((), **{str(n): {} for n in range(201)}), "properties"),
        (body(key={"element": "slider"}), "key.element"),
        (body(key={"element": ["string"]}), "key.element"),
        (body(key={"type": "object"}), "key.type"),
        (body(key={"element": "toggle", "type": "string"}), "key.type"),
        (body(key={"label": 5}), "key.label"),
        (body(key={"order": "first"}), "key.order"),
        (body(key={"element": "select"}), "key.enum"),
        (body(key={"element": "select", "enum": []}), "key.enum"),
        (body(key={"element": "multiselect", "enum": [[1]]}), "key.enum"),
        (body(key={"element": "number", "minimum": "one"}), "key.minimum"),
        (body(key={"element": "date", "maximum": "soon"}), "key.maximum"),
        (body(key={"element": "number", "minimum": 2, "maximum": 1}), "key.maximum"),
        (body(key={"element": "date", "minimum": "2026-02-01", "maximum": "2026-01-01"}), "key.maximum"),
        (body(key={"element": "integer", "default": "x"}), "key.default"),
        (body(key={"element": "password", "default": "x"}), "key.default"),
        (body(("other",), key={}), "required"),
        (body(("note",), key={}, note={"element": "markdown"}), "required"),
        ({"properties": {"a": {}}, "required": "a"}, "required"),
        ({"properties": {"a": {}}, "required": [["a"]]}, "required"),
        (body(ok={"element": "submit", "required": ["other"]}), "ok.required"),
        (body(key={"default": float("nan")}), "body"),
        (body(key={"default": object()}), "body"),
        (body(key={"description": "x" * 300_000}), "body"),
        (body(key={"element": "flow", "type": "object"}), "key.type"),
        (body(key={"element": "flow", "type": "array"}), "key.enum"),
        (body(key={"element": "flow", "enum": [1]}), "key.enum"),
        (body(key={"element": "inputs"}), "key.flow"),
        (body(key={"element": "inputs", "flow": "other"}, other={}), "key.flow"),
        (body(key={"element": "inputs", "flow_name": ""}), "key.flow_name"),
        (
            body(key={"element": "inputs", "flow": "other", "flow_name": "a"}, other={"element": "flow"}),
            "key.flow_name",
        ),
        (body(key={"element": "duration", "minimum": "soon"}), "key.minimum"),
        (body(key={"element": "duration", "minimum": "2h", "maximum": "1h"}), "key.maximum"),
        (body(key={"element": "duration", "default": -1}), "key.default"),
        (body(key={"element": "timezone", "default": "Vienna"}), "key.default"),
        (body(key={"element": "trigger", "enum": ["hourly"]}), "key.enum"),
        (body(key={"element": "trigger", "default": {"daily_at": "25:00"}}), "key.default"),
    ],
)
def test_a_body_that_is_no_form_is_refused_and_the_place_named(given: object, place: str) -> None:
    with pytest.raises(FormInvalid) as caught:
        checked_body(given)
    assert caught.value.field == place


def test_inputs_are_those_of_the_only_choice_of_a_flow() -> None:
    made = checked_body(body(inputs={"element": "inputs"}, which={"element": "flow"}))
    assert made["properties"]["inputs"]["flow"] == "which"
    assert checked_body(made) == made


PREVIEW = {"at": "moment", "delay_seconds": "delay", "timezone": "zone"}


@pytest.mark.parametrize(
    ("given", "request_"),
    [
        ({}, None),
        ({"moment": "", "delay": None, "zone": "UTC"}, None),
        ({"delay": 0, "zone": ""}, {"trigger": {"delay_seconds": 0}}),
        ({"moment": "2035-01-01", "delay": 60, "zone": "UTC"}, {"trigger": {"at": "2035-01-01"}, "timezone": "UTC"}),
    ],
)
def test_of_the_times_that_are_answered_the_first_is_previewed(given: Any, request_: object) -> None:
    assert preview_request(PREVIEW, given) == request_
    when = {"daily_at": "08:30", "timezone": "UTC"}
    assert preview_request({"trigger": "when"}, {"when": when}) == {"trigger": when}


@pytest.mark.parametrize("preview", ["delay", {"delay": "delay"}, {"at": "nowhere"}, {"at": 5}, {"at": "send"}])
def test_a_preview_that_names_nothing_is_refused(preview: object) -> None:
    asks: Any = {"delay": {"type": "number"}, "send": {"element": "submit"}}
    checked_body(body(**asks, coming={"element": "markdown", "preview": {"delay_seconds": "delay"}}))
    for wrong in (
        body(**asks, coming={"element": "markdown", "preview": preview}),
        body(coming={"element": "number", "preview": {"delay_seconds": "coming"}}),
    ):
        with pytest.raises(FormInvalid) as caught:
            checked_body(wrong)
        assert caught.value.field == "coming.preview"


def test_the_shorthands_are_forms_too() -> None:
    assert shorthand(message=None, request=None) is None
    asks = Form(checked_body(shorthand(message=None, request="Your name?")))
    assert [element.label for element in asks.fields] == ["Your name?"]
    assert asks.answer({"response": "Ada"}) == {"response": "Ada"}
    with pytest.raises(ResponseInvalid):
        asks.answer({})
    tells = Form(checked_body(shorthand(message="It is done.", request=None)))
    assert tells.answer({}) == {"ok": True}
    both = Form(checked_body(shorthand(message="It is *done*.", request="And now?")))
    assert [element.kind for element in both.elements] == ["markdown", "string"]
