"""From the parameters cell to the schema of the inputs."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudo_kernel.workspace.catalog import defaults, input_schema, required

json_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
literals = st.recursive(
    json_scalars | st.binary() | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=10,
)


def properties(source: str) -> dict[str, Any]:
    found: dict[str, Any] = input_schema(source)["properties"]
    return {name: {key: value for key, value in rules.items() if key != "x-order"} for name, rules in found.items()}


def schema_of(annotation: str) -> Any:
    return properties(f"x: {annotation}")["x"]


def test_a_flow_without_parameters_cell_accepts_any_inputs() -> None:
    assert input_schema(None) == {"type": "object", "properties": {}, "additionalProperties": True}


def test_an_empty_parameters_cell_accepts_no_inputs() -> None:
    assert input_schema("") == {"type": "object", "properties": {}, "additionalProperties": False}


def test_name_annotation_default_and_comment_become_a_property() -> None:
    assert input_schema("x: int = 3  # how many rows") == {
        "type": "object",
        "properties": {"x": {"type": "integer", "default": 3, "description": "how many rows", "x-order": 0}},
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("type: int", {"type": "integer"}),
        ("type:int how many", {"type": "integer", "description": "how many"}),
        ("type: int  # how many", {"type": "integer", "description": "how many"}),
        ("type: dict[str, int] | None by name", {"type": ["object", "null"], "description": "by name"}),
        ("type: 'int'", {"type": "integer"}),
        ("type: int noqa: E1", {"type": "integer"}),
        ("type: ignore", {"type": "number"}),
        ("type: ignore[assignment]", {"type": "number"}),
        ("type: the kind of it", {"type": "number"}),
        ("type: DataFrame", {"type": "number"}),
        ("the type: int", {"type": "number", "description": "the type: int"}),
    ],
)
def test_a_type_comment_is_an_annotation(comment: str, expected: dict[str, Any]) -> None:
    found = properties(f"x = 3  # {comment}")["x"]
    found.pop("additionalProperties", None)
    assert found == expected | {"default": 3}


def test_a_type_comment_belongs_to_the_assignment_of_one_name() -> None:
    found = properties(
        "x: str = 'a'  # type: int\n# type: str\ny = [\n    1,\n]  # type: list[int]\na, b = 1, 2  # type: str"
    )
    assert [found[name].get("type") for name in "xyab"] == ["string", "array", "number", "number"]
    assert found["y"]["items"] == {"type": "integer"}


def test_an_annotation_without_default_is_required() -> None:
    schema = input_schema("a = 1\nb: int\nc: str")
    assert required(schema) == ("b", "c")
    assert defaults(schema) == {"a": 1}


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        ("int", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("str", {"type": "string"}),
        ("bool", {"type": "boolean"}),
        ("None", {"type": "null"}),
        ("list", {"type": "array"}),
        ("dict", {"type": "object"}),
        ("Any", {}),
        ("Path", {"type": "string"}),
        ("pathlib.Path", {"type": "string"}),
        ("date", {"type": "string", "format": "date"}),
        ("datetime.date", {"type": "string", "format": "date"}),
        ("dt.datetime", {"type": "string", "format": "date-time"}),
        ("time", {"type": "string", "format": "time"}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("typing.List[int]", {"type": "array", "items": {"type": "integer"}}),
        ("tuple[int, ...]", {"type": "array", "items": {"type": "integer"}}),
        (
            "tuple[int, str]",
            {
                "type": "array",
                "items": [{"type": "integer"}, {"type": "string"}],
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        ("dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}),
        ('Literal["a", "b"]', {"type": "string", "enum": ["a", "b"]}),
        ("Literal[1, 'a', None]", {"type": ["integer", "string", "null"], "enum": [1, "a", None]}),
        ('Literal["a"] | None', {"type": ["string", "null"], "enum": ["a", None]}),
        ("int | None", {"type": ["integer", "null"]}),
        ("None | int", {"type": ["null", "integer"]}),
        ("Optional[int]", {"type": ["integer", "null"]}),
        ("typing.Union[int, str, None]", {"type": ["integer", "string", "null"]}),
        ("int | float", {"type": "number"}),
        ("date | None", {"type": ["string", "null"], "format": "date"}),
        ("list[int] | None", {"type": ["array", "null"], "items": {"type": "integer"}}),
        (
            "int | list[int]",
            {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]},
        ),
        ('Annotated[int, "rows"]', {"type": "integer"}),
        ("'int'", {"type": "integer"}),
        ("'list[\"int\"]'", {"type": "array", "items": {"type": "integer"}}),
    ],
)
def test_an_annotation_becomes_a_type(annotation: str, schema: Any) -> None:
    assert schema_of(annotation) == schema


@pytest.mark.parametrize(
    "annotation",
    [
        "pd.DataFrame",
        "int | Region",
        "Literal[Color.RED]",
        "Literal[b'x']",
        "list[int, str]",
        "f(x)",
        "'not ('",
    ],
)
def test_an_annotation_that_is_not_understood_accepts_anything_and_is_kept(annotation: str) -> None:
    assert schema_of(annotation) == {"x-annotation": annotation}


def test_deep_annotations_are_cut_off_instead_of_breaking_the_flow() -> None:
    assert "x-annotation" in json.dumps(schema_of("list[" * 50 + "int" + "]" * 50))


@pytest.mark.parametrize(
    ("default", "schema"),
    [
        ("3", {"type": "number"}),
        ("-0.5", {"type": "number"}),
        ("True", {"type": "boolean"}),
        ("'a'", {"type": "string"}),
        ("[1]", {"type": "array"}),
        ("{'a': 1}", {"type": "object"}),
        ("None", {}),
    ],
)
def test_without_annotation_the_default_tells_the_type(default: str, schema: Any) -> None:
    found = properties(f"x = {default}")["x"]
    assert found == {**schema, "default": found["default"]}


def test_a_tuple_as_default_becomes_a_list() -> None:
    assert defaults(input_schema("x = (1, (2, 3))")) == {"x": [1, [2, 3]]}


def test_none_as_default_makes_the_type_nullable() -> None:
    cell = "a: int = None\nb: Literal['x'] = None\nc: int | list[int] = None\nd: int | None = None"
    found = properties(cell)
    assert found["a"] == {"type": ["integer", "null"], "default": None}
    assert found["b"] == {"type": ["string", "null"], "enum": ["x", None], "default": None}
    assert found["c"]["anyOf"][-1] == {"type": "null"}
    assert found["d"] == found["a"]


@pytest.mark.parametrize(
    ("default", "kind"),
    [
        ("date.today()", None),
        ('BASE / "x"', None),
        ("60 * 60", None),
        ('f"{BASE}/x"', "string"),
        ("[date.today()]", "array"),
        ("{1, 2}", "array"),
        ("{1: 'a'}", "object"),
        ("b'x'", None),
        ("1j", None),
        ("1e999", "number"),
        ("-1e999", "number"),
        ('float("nan")', None),
        ("0x" + "f" * 4000, "number"),
        (r"'\ud800'", "string"),
    ],
)
def test_a_default_that_is_no_json_value_keeps_its_source_text(default: str, kind: str | None) -> None:
    schema = input_schema(f"x = {default}")
    assert properties(f"x = {default}")["x"] == {**({"type": kind} if kind else {}), "x-default": default}
    assert required(schema) == ()
    assert defaults(schema) == {}


def test_a_default_is_never_run(tmp_path: Any) -> None:
    input_schema(f"x = open({str(tmp_path / 'made')!r}, 'w')")
    assert not (tmp_path / "made").exists()


def test_the_comment_beside_wins_over_those_above() -> None:
    cell = "# lines\n# above\na = 1\n\n# apart\n\nb = 2\n# above\nc = 3  # beside\nd = '# no comment'"
    found = properties(cell)
    assert found["a"]["description"] == "lines above"
    assert "description" not in found["b"]
    assert found["c"]["description"] == "beside"
    assert "description" not in found["d"]


def test_the_comment_of_a_default_over_several_lines_is_at_its_start_or_end() -> None:
    assert properties("x = [\n 1,  # inner\n]  # end")["x"]["description"] == "end"
    assert properties("x = [  # start\n 1,  # inner\n]")["x"]["description"] == "start"


def test_a_remark_for_tools_is_no_description() -> None:
    found = properties("a = 1  # noqa: E501\nb = 2  # rows  # type: ignore\nc = 3  #: documented")
    assert "description" not in found["a"]
    assert found["b"]["description"] == "rows"
    assert found["c"]["description"] == "documented"


def test_properties_keep_the_order_of_the_cell() -> None:
    found = input_schema("z = 1\na = 2\nz = 3\nm = 4")["properties"]
    assert [(name, rules["x-order"]) for name, rules in found.items()] == [("z", 0), ("a", 1), ("m", 2)]


def test_the_last_assignment_wins_and_the_annotation_stays() -> None:
    assert properties("x: int  # rows\nx = 3\nx = 4") == {"x": {"type": "integer", "default": 4, "description": "rows"}}


def test_what_is_added_to_has_no_literal_default() -> None:
    assert properties("x = 1\nx += 1") == {"x": {"x-default": "x += 1"}}


def test_what_is_deleted_is_no_parameter() -> None:
    assert properties("x = 1\ny = 2\ndel x") == {"y": {"type": "number", "default": 2}}


def test_chains_and_tuples_are_parameters_each() -> None:
    assert defaults(input_schema("a = b = 1\nc, (d, [e]) = 2, ('x', [3])")) == {
        "a": 1,
        "b": 1,
        "c": 2,
        "d": "x",
        "e": 3,
    }


@pytest.mark.parametrize("assignment", ["a, b = pair()", "a, *b = 1, 2", "a, b = 'xy'", "a, b = *x, 1"])
def test_unpacking_that_is_not_literal_is_kept_as_source_text(assignment: str) -> None:
    source_text = assignment.split(" = ")[1].replace("1, 2", "(1, 2)").replace("*x, 1", "(*x, 1)")
    assert properties(assignment) == {"a": {"x-default": source_text}, "b": {"x-default": source_text}}


def test_only_plain_names_at_the_top_level_are_parameters() -> None:
    cell = """
import os
from datetime import date
_private = 1
x = 1
os.environ["A"] = "b"
os.sep = "/"
def f(): y = 1
class C: z = 1
for i in []: pass
if True:
    hidden = 1
print("hello")
"""
    assert list(properties(cell)) == ["x"]


def test_magics_and_shell_lines_are_skipped() -> None:
    cell = "%%time\n%matplotlib inline\nx = 1\n!pip install a\nfiles = !ls\nif x:\n    %env A=1\n"
    cell += "y = '''\n%no magic\n'''"
    assert defaults(input_schema(cell)) == {"x": 1, "y": "\n%no magic\n"}


def test_line_ends_of_windows_change_nothing() -> None:
    assert input_schema("# rows\r\nx = 1\r\ny: int\r\n") == input_schema("# rows\nx = 1\ny: int\n")


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("x = 1\n\ny = = 2", "the parameters cell has a syntax error in line 3: invalid syntax"),
        ("x = (", "the parameters cell has a syntax error in line 1: '(' was never closed"),
        ("x = 1\n%m\n  y = 2", "line 3: unexpected indent"),
        ("x = '\0'", "null bytes"),
        ("x = " + "-" * 4000 + "1", "nested too deeply"),
    ],
)
def test_a_syntax_error_is_told_with_its_line(cell: str, reason: str) -> None:
    with pytest.raises(SyntaxError, match=re.escape(reason)):
        input_schema(cell)


def test_any_number_of_magics_ends_soon() -> None:
    with pytest.raises(SyntaxError, match="line 101"):
        input_schema("%m\n" * 400)


@given(literals)
def test_a_literal_default_comes_back_or_is_kept_as_text(value: Any) -> None:
    schema = input_schema(f"x = {value!r}")
    rules = schema["properties"]["x"]
    json.dumps(schema, allow_nan=False, ensure_ascii=False).encode()
    if "default" in rules:
        assert rules["default"] == json.loads(json.dumps(value))
    else:
        assert rules["x-default"] in (repr(value), repr(value).strip("()"))


@given(st.text(alphabet="xy =:#%!\n\t\\'\"[](),|.1eN{}", max_size=40), st.sampled_from(["", "x = ", "x: "]))
def test_any_text_is_a_schema_or_a_syntax_error(text: str, start: str) -> None:
    try:
        schema = input_schema(start + text)
    except SyntaxError as error:
        assert "the parameters cell" in str(error)  # noqa: PT017 -- most texts raise nothing
    else:
        json.dumps(schema, allow_nan=False)
