"""Which names a flow may have, and where they lead."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudo_kernel.errors import NameInvalid
from cloudo_kernel.workspace.catalog import check_name, contained


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize(
    "name",
    [
        "daily",
        "reports/daily",
        "Bericht (neu) für März",
        "日報",
        "a.b",
        "x'y\"z",
        "console",
        "a%2Fb",
        "10:30?",
        "👩‍🔬",
    ],
)
def test_spaces_signs_and_all_scripts_are_fine(name: str) -> None:
    assert check_name(name) == name


def test_a_name_is_normalised() -> None:
    assert check_name("Ma\u0308rz") == "März"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is empty"),
        ("/a", "starts or ends with '/'"),
        ("a/", "starts or ends with '/'"),
        ("a//b", "holds '//'"),
        ("..", "the folder '..'"),
        ("a/../b", "the folder '..'"),
        ("./a", "the folder '.'"),
        ("a/.b", "starts with a dot"),
        ("a ", "ends in a space or a dot"),
        ("a./b", "ends in a space or a dot"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("a\u202eb", "control character"),
        ("a\ud800", "control character"),
        ("a\\b", "backslash"),
        ("a" * 121, "longer than 120 characters"),
        ("日" * 81, "240 bytes"),
        ("/".join(["a" * 100] * 2), "more than 200 characters"),
        ("CON", "Windows reserves"),
        ("a/nul", "Windows reserves"),
        ("com1.txt", "Windows reserves"),
        ("LPT¹", "Windows reserves"),
        ("daily.ipynb", "without its ending '.ipynb'"),
        ("daily.PY", "without its ending '.py'"),
    ],
)
def test_a_name_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(NameInvalid) as caught:
        check_name(name)
    assert reason in str(caught.value)
    assert caught.value.field == "name"


def test_the_path_of_a_flow_is_below_the_folder(tmp_path: Path) -> None:
    assert contained(tmp_path, "reports/daily", ".ipynb") == tmp_path.resolve() / "reports" / "daily.ipynb"


@pytest.mark.parametrize("target", ["flows-old", "elsewhere", "."])
def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    flows = tmp_path / "flows"
    flows.mkdir()
    (tmp_path / target).mkdir(exist_ok=True)
    (tmp_path / target / "x.ipynb").touch()
    (flows / "out").symlink_to(tmp_path / target)
    (flows / "file.ipynb").symlink_to(tmp_path / target / "x.ipynb")
    for name in ("out/x", "file"):
        with pytest.raises(NameInvalid, match="leaves the folder"):
            contained(flows, name, ".ipynb")


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to("real")
    assert contained(tmp_path, "alias/x", ".ipynb") == tmp_path.resolve() / "real" / "x.ipynb"


def test_a_link_in_a_circle_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.ipynb").symlink_to("x.ipynb")
    assert contained(tmp_path, "x", ".ipynb").parent == tmp_path.resolve()


@given(st.text(st.characters() | st.sampled_from("./\\ ~"), max_size=60) | st.text("./\\a\0 ", max_size=12))
@example("../../etc/passwd")
@example("a/..\u200b/b")
def test_no_name_escapes_the_folder(folder: Path, name: str) -> None:
    try:
        path = contained(folder, name, ".ipynb")
    except NameInvalid:
        return
    assert path.is_relative_to(folder.resolve())
    assert path != folder.resolve()
    assert path.relative_to(folder.resolve()).as_posix() == check_name(name) + ".ipynb"
    assert check_name(check_name(name)) == check_name(name)
    assert len(os.fsencode(path.name)) <= 255
