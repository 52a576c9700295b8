"""Whether inputs fit, and what is said when they do not."""

import enum
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudo_kernel.errors import MAX_ERRORS, InputsInvalid
from cloudo_kernel.workspace.catalog import input_schema, validate

ANY = input_schema(None)
MANY = input_schema("""
region: Literal["north", "south"]
rows: int = 10
ratio = 0.5
is_new: bool = False
days: list[int] = []
spans: dict[str, list[float]] | None = None
pair: tuple[int, str] = (1, "a")
either: int | list[int] | Literal["a{b}"] = 1
day: date | None = None
at: datetime = "2025-03-31T08:30"
clock: time = "08:30"
other: Frame = None
""")


def refused(schema: Any, inputs: Any) -> tuple[str | None, str]:
    with pytest.raises(InputsInvalid) as caught:
        validate(schema, inputs)
    return caught.value.field, str(caught.value)


def check(annotation: str, value: Any) -> Any:
    return validate(input_schema(f"x: {annotation}"), {"x": value})["x"]


def test_an_unknown_input_is_refused_with_a_proposal() -> None:
    schema = input_schema("region = 'north'\ntop = 1")
    assert refused(schema, {"regoin": 1}) == (
        "regoin",
        "The flow has no input 'regoin'. Did you mean 'region'? Its inputs: region, top.",
    )
    assert refused(input_schema(""), {"x": 1}) == ("x", "The flow has no input 'x'. It has no inputs.")


def test_a_missing_input_is_named_with_what_fits() -> None:
    assert refused(input_schema("rows: int"), {}) == ("rows", "The flow needs the input 'rows': an integer.")
    assert refused(input_schema("rows: Frame"), {}) == ("rows", "The flow needs the input 'rows': any value.")


def test_without_parameters_cell_any_names_are_accepted_as_they_are() -> None:
    inputs = {"no identifier": [1, {"a": None}], "": 1.0}
    assert validate(ANY, inputs) == inputs


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        ("int", True, "The input 'x' takes an integer, not true."),
        ("int", 1.5, "The input 'x' takes an integer, not 1.5."),
        ("int", "3", "The input 'x' takes an integer, not \"3\"."),
        ("int", None, "The input 'x' takes an integer, not null."),
        ("float", False, "The input 'x' takes a number, not false."),
        ("str", 1, "The input 'x' takes text, not 1."),
        ("bool", 1, "The input 'x' takes true or false, not 1."),
        ("list", {}, "The input 'x' takes a list, not {}."),
        ("dict", [], "The input 'x' takes an object, not []."),
        ("int | None", "a", "The input 'x' takes an integer or null, not \"a\"."),
        ("Literal['a', 'b']", "c", 'The input \'x\' takes one of "a", "b", not "c".'),
        ("Literal[1]", True, "The input 'x' takes one of 1, not true."),
        ("list[int]", [1, 2, "a"], "The input 'x[2]' takes an integer, not \"a\"."),
        ("list[list[int]]", 1, "The input 'x' takes a list (each item: a list), not 1."),
        ("dict[str, list[int]]", {"a": [1.5]}, "The input 'x.a[0]' takes an integer, not 1.5."),
        ("tuple[int, str]", [1], "The input 'x' takes a list of exactly 2 items, not [1]."),
        ("tuple[int, str]", [1, 2], "The input 'x[1]' takes text, not 2."),
        (
            "int | list[int]",
            ["a"],
            "The input 'x' takes an integer or a list (each item: an integer), not [\"a\"].",
        ),
        ("date", "31.3.2025", "The input 'x' takes a date such as 2026-03-31, not \"31.3.2025\"."),
        ("list[time]", ["25:00"], "The input 'x[0]' takes a time such as 08:30, not \"25:00\"."),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_plain_words(annotation: str, value: Any, message: str) -> None:
    assert refused(input_schema(f"x: {annotation}"), {"x": value}) == ("x", message)


def test_long_values_are_shortened_in_the_message() -> None:
    assert len(refused(input_schema("x: int"), {"x": "a" * 10_000})[1]) < 200
    assert len(refused(input_schema("x: int"), {"y" * 10_000: 1})[1]) < 200


@pytest.mark.parametrize(
    ("annotation", "given_", "expected"),
    [
        ("int", 3.0, 3),
        ("float", 3, 3),
        ("float", 3.0, 3.0),
        ("int | float", 3.0, 3.0),
        ("int | None", 3.0, 3),
        ("int | str", 3.0, 3),
        ("Literal[1, 2]", 2.0, 2),
        ("list[int]", [1.0, 2], [1, 2]),
        ("dict[str, list[int]]", {"a": [1.0]}, {"a": [1]}),
        ("tuple[int, float]", [1.0, 1.0], [1, 1.0]),
        ("int | list[int]", [2.0], [2]),
        ("Any", 3.0, 3.0),
    ],
)
def test_whole_floats_become_integers_where_the_flow_wants_them(annotation: str, given_: Any, expected: Any) -> None:
    assert json.dumps(check(annotation, given_)) == json.dumps(expected)


def test_times_that_python_can_read_come_in_one_form() -> None:
    assert check("date", "20250331") == "2025-03-31"
    assert check("datetime", "2025-03-31 08:30") == "2025-03-31T08:30:00"
    assert check("datetime", "2025-03-31T08:30:00.5+00:00") == "2025-03-31T08:30:00.500000Z"
    assert check("time | None", "08:30") == "08:30:00"
    assert check("time | None", None) is None
    assert check("list[time]", ["08:30"]) == ["08:30:00"]
    assert check("dict[str, date] | int", {"a": "20250331"}) == {"a": "2025-03-31"}
    assert check("str", "08:30") == "08:30"


def test_every_mistake_is_told_at_once() -> None:
    schema = input_schema("rows: int\nday: date\nname = 'x'")
    with pytest.raises(InputsInvalid) as caught:
        validate(schema, {"rows": "many", "nmae": "y"})
    assert caught.value.field == "nmae"
    assert [one["field"] for one in caught.value.errors] == ["nmae", "day", "rows"]
    assert str(caught.value) == " ".join(one["message"] for one in caught.value.errors)


def test_of_very_many_mistakes_the_first_are_told() -> None:
    with pytest.raises(InputsInvalid, match=r"There are more\.$") as caught:
        validate(input_schema("a = 1"), {f"x{n}": n for n in range(1000)})
    assert len(caught.value.errors) == MAX_ERRORS


def test_tuples_and_subclasses_become_what_json_knows() -> None:
    colour = enum.StrEnum("colour", {"RED": "red"})
    found = validate(ANY, {"a": (1, 2), "b": colour["RED"]})
    assert found == {"a": [1, 2], "b": "red"}
    assert type(found["b"]) is str


def test_the_inputs_given_are_not_changed() -> None:
    inputs = {"x": [1.0]}
    assert validate(input_schema("x: list[int]"), inputs) is not inputs
    assert json.dumps(inputs) == '{"x": [1.0]}'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "The input 'x' is invalid: NaN and infinity cannot be written as JSON."),
        (
            [1, {"a": float("-inf")}],
            "The input 'x[1].a' is invalid: NaN and infinity cannot be written as JSON.",
        ),
        ({1, 2}, "The input 'x' is invalid: a value of the type set cannot be written as JSON."),
        (b"x", "The input 'x' is invalid: a value of the type bytes cannot be written as JSON."),
        (
            {1: 2},
            "The input 'x' is invalid: a key of the type int cannot be written as JSON, only text can.",
        ),
        ("\ud800", "The input 'x' is invalid: the text holds half a character (an unpaired surrogate)."),
        ([1 << 20_000], "The input 'x[0]' is invalid: the number has more than 4,000 digits."),
    ],
)
@pytest.mark.parametrize("schema", [ANY, input_schema("x = None")])
def test_what_json_cannot_carry_is_refused_everywhere(schema: Any, value: Any, message: str) -> None:
    assert refused(schema, {"x": value}) == ("x", message)


def test_endless_and_deep_values_are_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert refused(ANY, {"x": endless}) == (
        "x",
        "The input 'x' is invalid: it is nested more than 100 deep.",
    )


@pytest.mark.parametrize("inputs", [[], "x", None, {1: 2}, {"\ud800": 1}])
def test_inputs_are_an_object_with_text_as_names(inputs: Any) -> None:
    assert refused(ANY, inputs)[0] is None


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just("2025-03-31"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(MANY["properties"])) | st.text(), json_like), st.booleans())
def test_inputs_fit_or_are_refused_as_inputs(inputs: dict[str, Any], is_complete: bool) -> None:
    if is_complete:
        inputs["region"] = "north"
    for schema in (ANY, MANY):
        try:
            found = validate(schema, inputs)
        except InputsInvalid as error:
            assert "'" in str(error)  # noqa: PT017 -- which inputs fit is what the other tests say
        else:
            assert validate(schema, json.loads(json.dumps(found, allow_nan=False))) == found


@given(st.lists(st.text(), min_size=1), st.text())
def test_any_text_may_be_one_of_the_choices(choices: list[str], value: str) -> None:
    schema = input_schema(f"x: Literal[{', '.join(map(repr, choices))}]")
    if value in choices:
        assert validate(schema, {"x": value}) == {"x": value}
    else:
        assert refused(schema, {"x": value})[0] == "x"
