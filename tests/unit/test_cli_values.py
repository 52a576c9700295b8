from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest

from cloudo_kernel.cli import display
from cloudo_kernel.cli.execution import STATUSES
from cloudo_kernel.cli.values import input_value, inputs_of, jupyter_flags
from cloudo_kernel.models import Status

TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3.5e2", -350.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("", ""),
        ("Ada", "Ada"),
        ("a b: c # d", "a b: c # d"),
        ("[a,b]", ["a", "b"]),
        ('["a", 1, null]', ["a", 1, None]),
        ("{a: 1, b: [x]}", {"a": 1, "b": ["x"]}),
        ('"3"', "3"),
        ("'3'", "3"),
        ("[half", "[half"),
        ("{a: !!python/name:os.system }", "{a: !!python/name:os.system }"),
    ],
)
def test_a_value_without_a_type_is_what_yaml_reads(text: str, value: Any) -> None:
    assert input_value(text, {}) == value
    assert type(input_value(text, {})) is type(value)


@pytest.mark.parametrize(
    "text", ["01234", "no", "on", "2025-03-31", "12:30:00", "0x10", "1_000", ".5", "NaN", ".inf", "~"]
)
def test_what_only_old_yaml_takes_for_something_else_is_text(text: str) -> None:
    assert input_value(text, {}) == text
    assert input_value(f"[{text}]", {}) == [text]


@pytest.mark.parametrize("text", ["01234", "3", "true", "null", "[a]", '"quoted"', ""])
def test_an_input_that_takes_text_gets_it_as_it_stands(text: str) -> None:
    assert input_value(text, TEXT) == text
    assert input_value(text, {"type": "string", "enum": ["a", "b"]}) == text


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": ["string", "null"]}, "null", None),
        ({"type": ["string", "null"]}, "3", "3"),
        ({"type": ["string", "null"]}, '"3"', '"3"'),
        ({"type": ["string", "integer"]}, "3", 3),
        ({"type": ["string", "integer"]}, "true", "true"),
        ({"anyOf": [TEXT, {"type": "array", "items": TEXT}]}, "[a]", ["a"]),
        ({"anyOf": [TEXT, {"type": "object"}]}, "[a]", "[a]"),
        ({"type": ["string", "integer"], "enum": ["1", 2]}, "1", "1"),
        ({"type": ["string", "integer"], "enum": ["1", 2]}, "2", 2),
        ({"type": "number"}, "x", "x"),
        ({"type": "boolean"}, "yes", "yes"),
    ],
)
def test_the_schema_decides_between_text_and_other_things(schema: dict[str, Any], text: str, value: Any) -> None:
    assert input_value(text, schema) == value


def test_inputs_are_read_by_their_own_schema_and_the_last_one_counts() -> None:
    schema = {"properties": {"zip": TEXT}}
    assert inputs_of(["zip=01234", "top=3", "top=4", "note=a=b"], schema) == {"zip": "01234", "top": 4, "note": "a=b"}


@pytest.mark.parametrize("word", ["top", "=3", ""])
def test_a_word_that_is_no_input_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="KEY=VALUE"):
        inputs_of([word], {})


@pytest.mark.parametrize(
    ("line", "flags", "rest"),
    [
        ("", [], []),
        ("ws", [], ["ws"]),
        ("--port 8899 ws", ["--port=8899"], ["ws"]),
        ("--port=8899 ws", ["--port=8899"], ["ws"]),
        ("--no-browser ws --allow-root", ["--no-browser", "--allow-root"], ["ws"]),
        ("ws -y --ip 0.0.0.0", ["-y", "--ip=0.0.0.0"], ["ws"]),
        ("--IdentityProvider.token= ws", ["--IdentityProvider.token="], ["ws"]),
        ("--debug --help-all", ["--debug", "--help-all"], []),
        ("a b", [], ["a", "b"]),
    ],
)
def test_flags_of_jupyter_are_told_from_the_workspace(line: str, flags: list[str], rest: list[str]) -> None:
    switches = {"no-browser", "allow-root", "debug", "help-all", "y"}
    assert jupyter_flags(line.split(), switches) == (flags, rest)


def test_every_status_can_be_typed() -> None:
    assert tuple(click.unstyle(display.status(status)) for status in Status) == STATUSES


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (5, "5 s ago"), (90, "1 min ago"), (7_300, "2 h ago"), (90_000, "1 day ago"), (200_000, "2 days ago")],
)
def test_times_are_told_in_the_largest_unit(seconds: int, text: str) -> None:
    assert display.ago(datetime.now(UTC) - timedelta(seconds=seconds)) == text


def test_a_time_to_come_is_told_as_such() -> None:
    assert display.ago(datetime.now(UTC) + timedelta(seconds=125)) == "in 2 min"


def test_what_would_steer_the_terminal_is_taken_out() -> None:
    assert display.clean("\x1b[31mred\x1b[0m\x07\x1b]0;title\r\nnext\ttab") == "red��]0;title\nnext\ttab"


def test_columns_are_aligned_whatever_the_script_and_the_colour() -> None:
    rows = [("日本", click.style("error", fg="red"), "x"), ("a", "success", "")]
    lines = click.unstyle(display.table(("NAME", "STATUS", "M"), rows)).splitlines()
    assert lines == ["NAME  STATUS   M", "日本  error    x", "a     success"]
