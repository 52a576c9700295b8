"""A cell as a flow: which of its names become inputs and imports."""

from __future__ import annotations

import json
import math
from datetime import date, timedelta
from typing import Any

import pytest

from cloudo_kernel.cells import new_flow
from cloudo_kernel.errors import MalformedRequest

VALUES: dict[str, Any] = {
    "n": 3,
    "rate": 0.5,
    "name": 'a "b"',
    "flag": True,
    "rows": [{"k": 1}],
    "nothing": None,
    "day": date(2026, 1, 2),
    "api_token": "s3cret",
    "json": json,
    "m": math,
    "timedelta": timedelta,
    "own": lambda: 1,
    "odd": object(),
    "long": "x" * 5000,
}


@pytest.mark.parametrize(
    ("cell", "inputs"),
    [
        ("print(n, rate)", ["n: int = 3", "rate: float = 0.5"]),
        ("print(name, flag)", ['name: str = "a \\"b\\""', "flag: bool = True"]),
        ("print(rows, nothing)", ["rows: list = [{'k': 1}]", "nothing = None"]),
        ("day", ['day: str = "2026-01-02"']),
        ("api_token", ["api_token: str"]),
        ("n = 1\nn", []),
        ("for n in range(3): print(n)", []),
        ("[n for n in range(3)]", []),
        ("def f(n): return n * rate", ["rate: float = 0.5"]),
        ("def f():\n    rate = 1\n    return rate", []),
        ("print(f'{n:.1f}')", ["n: int = 3"]),
        ("%time n", []),
        ("!ls", []),
        ("this.log(system)", []),
        ("print(len([]))", []),
        ("# %% parameters\nn: int = 1\n# %%\nprint(n, rate)", ["rate: float = 0.5"]),
        ("await n", ["n: int = 3"]),
    ],
)
def test_a_name_that_the_cell_does_not_define_is_an_input(cell: str, inputs: list[str]) -> None:
    assert list(new_flow.read(cell, VALUES).inputs) == inputs


def test_modules_and_what_is_in_them_are_imported() -> None:
    found = new_flow.read("json.dumps(m.pi), timedelta(1)", VALUES)
    assert found.imports == ("import json", "import math as m", "from datetime import timedelta")
    assert found.inputs == ()


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("nowhere", "nowhere is not defined"),
        ("odd, own", "odd is a object; own is a function"),
        ("long", "long is too long for an input"),
        ("x = (", "The cell is not Python: '(' was never closed (line 1)."),
    ],
)
def test_a_name_that_cannot_be_an_input_is_named(cell: str, said: str) -> None:
    with pytest.raises(MalformedRequest, match=r"The cell") as caught:
        new_flow.read(cell, VALUES)
    assert said in str(caught.value)


def test_inputs_are_added_to_the_parameters_of_the_cell() -> None:
    made = json.loads(new_flow.read("# %% parameters\ntop = 1\n# %%\nm.floor(top * rate)", VALUES).notebook)
    assert [(one["metadata"].get("tags"), "".join(one["source"])) for one in made["cells"]] == [
        (None, "import math as m"),
        (["parameters"], "top = 1\nrate: float = 0.5"),
        (None, "m.floor(top * rate)"),
    ]
