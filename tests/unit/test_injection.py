"""Which inputs become variables, by the language of the kernel."""

from __future__ import annotations

import keyword
import shutil
import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from papermill.translators import papermill_translators

from cloudo_kernel.errors import InputsInvalid
from cloudo_kernel.runner.injection import variables


@given(st.dictionaries(st.sampled_from([*keyword.kwlist, *keyword.softkwlist, "__debug__"]) | st.text(), st.integers()))
def test_a_cell_of_python_is_valid_whatever_the_inputs_are_called(inputs: dict[str, int]) -> None:
    chosen = variables(inputs, "cloudo", "python")
    compile(papermill_translators.find_translator("cloudo", "python").codify(chosen), "cell", "exec")
    for name in filter(str.isidentifier, inputs.keys() - chosen.keys()):
        assert unicodedata.normalize("NFKC", name) in (*keyword.kwlist, "__debug__")


@pytest.mark.parametrize(
    ("kernel", "language", "taken", "skipped"),
    [
        ("ir", "R", ["x", "from", "class", "_x", "a.b", ".x"], ["if", "_if", "NULL", "_", "_1", ".1", "a b", "a-b"]),
        ("julia-1.10", "julia", ["from", "class", "größe"], ["end", "global", "1x", "a.b", "a-b"]),
        ("scala", "scala", ["from", "x"], ["val", "type", "_", "a-b"]),
        ("matlab", "matlab", ["x", "from"], ["end", "_x", "größe", "x" * 64]),
        (".net-csharp", "C#", ["from", "x"], ["class", "string", "a-b"]),
        (".net-fsharp", "F#", ["from", "x"], ["let", "type", "a-b"]),
        (".net-powershell", "PowerShell", ["from", "if", "1x"], ["True", "NULL", "Host", "a-b"]),
        ("bash", "bash", ["from", "if", "_x", "PATH"], ["UID", "PPID", "größe", "1x", "a-b", "a[1]"]),
        ("xpython", "python", ["subject"], ["from", "a.b"]),
        ("sparkkernel", "", ["from"], ["val"]),
    ],
)
def test_names_that_a_language_does_not_take_are_left_out(
    kernel: str, language: str, taken: list[str], skipped: list[str]
) -> None:
    chosen = variables(dict.fromkeys([*skipped, *taken], 1), kernel, language)
    assert list(chosen) == taken


def test_papermill_itself_refuses_a_language_that_it_does_not_know() -> None:
    assert variables({"a-b": 1}, "unknown", "unknown") == {"a-b": 1}


def test_a_value_that_papermill_cannot_write_names_the_input() -> None:
    with pytest.raises(InputsInvalid, match="'x' is a dict, which papermill cannot write in bash") as caught:
        variables({"x": {}}, "bash", "bash")
    assert caught.value.field == "x"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_a_cell_of_bash_runs_whatever_the_inputs_are_called() -> None:
    names = ["if", "for", "x", "UID", "EUID", "PPID", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO", "a-b", "ä", "$(x)"]
    chosen = variables(dict.fromkeys(names, "1"), "bash", "bash")
    cell = papermill_translators.find_translator("bash", "bash").codify(chosen)
    done = subprocess.run(["bash", "-e", "-c", f"{cell}\necho $x"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1\n", "")
