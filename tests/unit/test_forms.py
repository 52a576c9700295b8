"""Forms: which answers fit one."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudo_kernel.errors import ResponseInvalid
from cloudo_kernel.forms.elements import ELEMENTS, with_offset
from cloudo_kernel.forms.form import Form, checked_body


def body(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def answer(given: object, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return Form(checked_body(body(required, **properties))).answer(given)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


FITTING = [
    ({"element": "string"}, "a"),
    ({"element": "text"}, "a\nb"),
    ({"element": "string", "minimum": 2, "maximum": 3}, "ab"),
    ({"element": "number"}, 1.5),
    ({"element": "number", "minimum": 1}, 1),
    ({"element": "integer"}, -3),
    ({"element": "integer"}, 10**400),
    ({"element": "toggle"}, False),
    ({"element": "select", "enum": ["a", 1, True]}, 1),
    ({"element": "multiselect", "enum": ["a", "b"]}, ["b", "a"]),
    ({"element": "date"}, "2026-11-23"),
    ({"element": "date", "minimum": "2026-01-01"}, "2026-01-01"),
    ({"element": "time"}, "08:30:05"),
    ({"element": "datetime"}, "2026-11-23T08:30:00Z"),
    ({"element": "datetime", "maximum": "2027-01-01T00:00:00"}, "2026-11-23T08:30:00+02:00"),
    ({"element": "password"}, "s3cret"),
    ({"element": "file"}, {"name": "a.txt", "content": encoded(b"hello"), "type": "text/plain"}),
    ({"element": "flow"}, "reports/daily"),
    ({"element": "flow", "type": "array", "enum": ["a", "b"]}, ["b", "a"]),
    ({"element": "inputs", "flow_name": "a"}, {"n": 1}),
    ({"element": "duration"}, 90),
    ({"element": "duration", "minimum": "1m", "maximum": 3600}, 0.5 * 3600),
    ({"element": "timezone"}, "Europe/Vienna"),
    ({"element": "trigger"}, {"daily_at": "08:30", "timezone": "Asia/Tokyo"}),
    ({"element": "trigger", "enum": ["every_seconds"]}, {"every_seconds": 60.0, "wait": False}),
]
#: What a person writes, and what the flow gets.
CANONICAL = [
    ("date", "20261123", "2026-11-23"),
    ("date", "2026-W48-1", "2026-11-23"),
    ("time", "08:30", "08:30:00"),
    ("time", "08:30+02:00", "08:30:00+02:00"),
    ("time", "083000+0000", "08:30:00Z"),
    ("datetime", "2026-11-23 08:30+01:00", "2026-11-23T08:30:00+01:00"),
    ("datetime", "2026-11-23T08:30:00.5-00:00", "2026-11-23T08:30:00.500000Z"),
    ("integer", 3.0, 3),
    ("duration", "1h 30m", 5400),
    ("duration", "90", 90),
    ("duration", 60.0, 60),
    ("duration", "0.5 s", 0.5),
    ("timezone", " UTC ", "UTC"),
    ("trigger", {"daily_at": "08:30:00"}, {"daily_at": "08:30"}),
]
#: Choices of the elements that do not take any.
ENUMS: dict[str, list[str]] = {"flow": ["a"], "trigger": ["cron", "daily_at"]}
NOT_FITTING = [
    ({"element": "string"}, 1),
    ({"element": "string", "minimum": 2}, "a"),
    ({"element": "string", "maximum": 2}, "abc"),
    ({"element": "string"}, ["a"]),
    ({"element": "number"}, "1"),
    ({"element": "number"}, True),
    ({"element": "number"}, float("nan")),
    ({"element": "number", "maximum": 5}, 6),
    ({"element": "integer"}, 1.5),
    ({"element": "integer"}, float("inf")),
    ({"element": "toggle"}, 1),
    ({"element": "toggle"}, "true"),
    ({"element": "select", "enum": ["a", 1]}, "b"),
    ({"element": "select", "enum": [1]}, True),
    ({"element": "select", "enum": ["a"]}, ["a"]),
    ({"element": "multiselect", "enum": ["a", "b"]}, "a"),
    ({"element": "multiselect", "enum": ["a", "b"]}, ["a", "a"]),
    ({"element": "multiselect", "enum": ["a", "b"]}, ["c"]),
    ({"element": "multiselect", "enum": ["a", "b"], "minimum": 1}, []),
    ({"element": "date"}, "23.11.2026"),
    ({"element": "date"}, "2026-02-30"),
    ({"element": "date", "minimum": "2026-01-01"}, "2025-12-31"),
    ({"element": "time"}, "25:00"),
    ({"element": "datetime"}, "yesterday"),
    ({"element": "datetime"}, 1),
    ({"element": "password"}, 5),
    ({"element": "file"}, "a.txt"),
    ({"element": "file"}, {"name": "../a", "content": ""}),
    ({"element": "file"}, {"name": "a", "content": "no base64!"}),
    ({"element": "file", "maximum": 3}, {"name": "a", "content": encoded(b"four")}),
    ({"element": "file"}, {"name": "a", "content": encoded(bytes(6_000_000))}),
    ({"element": "flow"}, 5),
    ({"element": "flow"}, ["a"]),
    ({"element": "flow", "enum": ["a"]}, "b"),
    ({"element": "flow", "type": "array", "enum": ["a"]}, "a"),
    ({"element": "flow", "type": "array", "enum": ["a"]}, ["a", "a"]),
    ({"element": "inputs", "flow_name": "a"}, [1]),
    ({"element": "inputs", "flow_name": "a"}, "{"),
    ({"element": "duration"}, "soon"),
    ({"element": "duration"}, -1),
    ({"element": "duration"}, True),
    ({"element": "duration"}, float("nan")),
    ({"element": "duration", "minimum": 1}, 0),
    ({"element": "duration", "maximum": "1 hour"}, "2h"),
    ({"element": "timezone"}, "Europe/Nowhere"),
    ({"element": "timezone"}, 1),
    ({"element": "trigger"}, "08:30"),
    ({"element": "trigger", "enum": ["cron"]}, {"daily_at": "08:30"}),
]


@pytest.mark.parametrize(("about", "value"), FITTING)
def test_an_answer_that_fits_arrives_as_it_was_given(about: dict[str, Any], value: object) -> None:
    assert answer({"key": value}, ("key",), key=about) == {"key": value}


@pytest.mark.parametrize(("element", "given", "kept"), CANONICAL)
def test_an_answer_is_kept_in_one_form_and_so_is_a_default(element: str, given: object, kept: object) -> None:
    found = answer({"key": given}, key={"element": element})["key"]
    assert (found, type(found)) == (kept, type(kept))
    assert answer({"key": kept}, key={"element": element}) == {"key": kept}
    bounds = {} if element in ("timezone", "trigger") else {"minimum": given}
    assert answer({}, key={"element": element, "default": given, **bounds}) == {"key": kept}


def test_a_moment_without_an_offset_gets_that_of_the_zone() -> None:
    form = Form(checked_body(body(at={"element": "datetime", "default": "2026-11-23T08:30"}, other={})))
    berlin = partial(with_offset, zone=ZoneInfo("Europe/Berlin"))
    assert form.answer({}, placed=berlin) == {"at": "2026-11-23T08:30:00+01:00"}
    assert form.answer({"at": "2026-07-01 08:30Z"}, placed=berlin) == {"at": "2026-07-01T08:30:00Z"}
    with pytest.raises(ResponseInvalid, match=r"'at' takes a date and time such as .*: 0001-01-01.* is out of range"):
        form.answer({"at": "0001-01-01T00:00"}, placed=berlin)


@pytest.mark.parametrize(
    ("about", "kept"),
    [
        ({"element": "number", "default": "60", "example": "60"}, {"default": 60, "example": 60}),
        ({"element": "integer", "default": " 60.0 ", "minimum": "1"}, {"default": 60, "minimum": 1}),
        ({"element": "number", "order": "2", "example": "some 60"}, {"order": 2, "example": "some 60"}),
        ({"element": "toggle", "default": "true"}, {"default": True}),
        ({"element": "datetime", "default": 1764576000}, {"default": "2025-12-01T08:00:00Z"}),
        ({"type": "integer", "enum": ["1", 2], "default": "1"}, {"enum": [1, 2], "default": 1}),
        ({"type": "array", "items": {"type": "number", "enum": ["0.5", 1]}, "default": ["1"]}, {"default": [1]}),
        ({"enum": ["1", 2], "default": "1"}, {"enum": ["1", 2], "default": "1"}),
        ({"element": "string", "default": "60", "example": "08:30"}, {"default": "60", "example": "08:30"}),
    ],
)
def test_what_a_script_writes_as_text_is_kept_in_the_form_of_its_element(about: Any, kept: Any) -> None:
    found = checked_body(body(key=about))["properties"]["key"]
    assert {name: found[name] for name in kept} == kept


def test_a_default_or_an_example_that_is_null_is_none() -> None:
    made = checked_body(body(key={"default": None, "example": None}))
    assert not {"default", "example"} & made["properties"]["key"].keys()


def test_every_wrong_answer_is_told_at_once() -> None:
    about: dict[str, Any] = {"n": {"element": "integer"}, "at": {"element": "time"}, "name": {}}
    with pytest.raises(ResponseInvalid) as caught:
        answer({"n": "3", "at": "soon", "x": 1}, ("name",), **about)
    assert [one["field"] for one in caught.value.errors] == ["x", "n", "at", "name"]
    assert caught.value.field == "x"
    assert all(one["message"] in str(caught.value) for one in caught.value.errors)


@pytest.mark.parametrize(("about", "value"), NOT_FITTING)
def test_an_answer_that_does_not_fit_is_refused_and_names_its_field(about: dict[str, Any], value: object) -> None:
    with pytest.raises(ResponseInvalid) as caught:
        answer({"key": value}, key=about)
    assert caught.value.field == "key"
    assert "'key' takes " in str(caught.value)


@pytest.mark.parametrize("element", sorted(ELEMENTS.keys() - {"markdown", "submit"}))
@settings(max_examples=40)  # for each of the elements
@given(value=st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_whatever_is_answered_is_taken_or_refused(element: str, value: object) -> None:
    about: dict[str, Any] = {"element": element, "enum": ENUMS.get(element, ["a", 1])}
    about |= {"flow_name": "a"} if element == "inputs" else {}
    try:
        taken = answer({"key": value}, key=about)
    except ResponseInvalid:
        return
    assert taken.keys() <= {"key"}


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"every_seconds": 0}, "key.every_seconds", "greater than 0"),
        ({"daily_at": "25:00"}, "key.daily_at", "it is a time of day"),
        ({"daily_at": "08:30", "timezone": "Vienna"}, "key.timezone", "Did you mean Europe/Vienna"),
        ({"cron": "0 0 31 2 *"}, "key.cron", "is never due"),
        ({}, "key", "(?i)give exactly one of"),
    ],
)
def test_an_invalid_trigger_names_the_field_inside_of_it(given: Any, field: str, said: str) -> None:
    with pytest.raises(ResponseInvalid, match=said) as caught:
        answer({"key": given}, key={"element": "trigger"})
    assert caught.value.field == field


def test_a_duration_tells_its_bounds_with_units() -> None:
    with pytest.raises(
        ResponseInvalid, match=r"takes a duration such as .*, at least 1 minute and at most 1 day, not 5"
    ):
        answer({"key": 5}, key={"element": "duration", "minimum": 60, "maximum": "1d"})


def test_a_password_is_not_told_when_it_does_not_fit() -> None:
    with pytest.raises(ResponseInvalid) as caught:
        answer({"key": "hunter2"}, key={"element": "password", "minimum": 12})
    assert "hunter2" not in str(caught.value)


def test_what_is_left_out_gets_its_default_and_what_is_emptied_none() -> None:
    fields: dict[str, Any] = {
        "a": {"element": "integer", "default": 3.0},
        "b": {"element": "string"},
        "c": {"element": "toggle"},
    }
    assert answer({}, **fields) == {"a": 3}
    assert answer({"a": None, "b": "", "c": True}, **fields) == {"b": "", "c": True}


@pytest.mark.parametrize("given", [{}, {"key": None}, {"key": ""}])
def test_a_required_field_needs_an_answer(given: dict[str, Any]) -> None:
    with pytest.raises(ResponseInvalid, match="'key' is required: give it text") as caught:
        answer(given, ("key",), key={"element": "string"})
    assert caught.value.field == "key"


def test_a_required_list_needs_a_choice() -> None:
    about = {"element": "multiselect", "enum": ["a", "b"]}
    assert answer({"key": []}, key=about) == {"key": []}
    with pytest.raises(ResponseInvalid, match='is required: give it a list of "a", "b"'):
        answer({"key": []}, ("key",), key=about)


def test_texts_are_shown_and_not_asked() -> None:
    with pytest.raises(ResponseInvalid, match="'note' is not a field of the form, which has 'key'"):
        answer({"note": "x"}, note={"element": "markdown", "description": "Read *this*."}, key={})
    assert not Form(checked_body(body(note={"element": "markdown"}))).asks


@pytest.mark.parametrize("given", [None, [], "text", 1])
def test_an_answer_is_an_object(given: object) -> None:
    with pytest.raises(ResponseInvalid) as caught:
        answer(given, key={})
    assert caught.value.field == "response"


# Buttons

TWO_BUTTONS: dict[str, Any] = {
    "n": {"element": "integer"},
    "start": {"element": "submit", "label": "Start"},
    "cancel": {"element": "submit", "label": "Cancel", "required": []},
}


def test_each_button_is_a_boolean_of_the_answer() -> None:
    assert answer({"n": 1, "start": True}, ("n",), **TWO_BUTTONS) == {"n": 1, "start": True, "cancel": False}
    assert answer({"n": 1, "start": True, "cancel": False}, ("n",), **TWO_BUTTONS)["start"] is True


def test_a_button_waives_what_the_form_requires() -> None:
    assert answer({"cancel": True}, ("n",), **TWO_BUTTONS) == {"start": False, "cancel": True}
    with pytest.raises(ResponseInvalid) as caught:
        answer({"start": True}, ("n",), **TWO_BUTTONS)
    assert caught.value.field == "n"


@pytest.mark.parametrize("given", [{}, {"start": True, "cancel": True}, {"start": False}])
def test_exactly_one_of_several_buttons_is_pressed(given: dict[str, bool]) -> None:
    with pytest.raises(ResponseInvalid, match="exactly one of them is true"):
        answer({"n": 1, **given}, **TWO_BUTTONS)


def test_the_only_button_was_pressed() -> None:
    assert answer({}, ok={"element": "submit"}) == {"ok": True}
