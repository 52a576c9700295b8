"""People's own dashboards, the same in every implementation of `Api`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

from cloudo_kernel.models import OwnDashboard
from tests.contract.conftest import End

Write = Callable[..., Path]


@pytest.fixture
def write(end: End) -> Iterator[Write]:
    """Write a dashboard; all are deleted at the end."""
    written: list[Path] = []

    def write(name: str, *headings: str, title: object = None) -> Path:
        book = nbformat.v4.new_notebook()
        book.cells = [nbformat.v4.new_markdown_cell(heading) for heading in headings]
        path = end.workspace / "dashboards" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**book, "metadata": {} if title is None else {"title": title}}), encoding="utf-8")
        written.append(path)
        return path

    yield write
    for path in written:
        path.unlink(missing_ok=True)


def test_a_workspace_without_dashboards_has_an_empty_list(end: End) -> None:
    assert end.api.dashboards() == ()


def test_dashboards_are_listed_by_path_with_their_titles(end: End, write: Write) -> None:
    write("b")
    write("team/a b é 日本", "text", "# The *heading*\nmore")
    write("a", "# A heading", title="<b>A title</b>")
    write("c", title=["no", "text"])
    names = [(one.name, one.title) for one in end.api.dashboards()]
    assert names == [
        ("a", "<b>A title</b>"),
        ("b", "b"),
        ("c", "c"),
        ("team/a b é 日本", "The *heading*"),
    ]
    assert end.api.dashboards()[0] == OwnDashboard(name="a", title="<b>A title</b>", path="dashboards/a.ipynb")


def test_a_title_follows_its_notebook(end: End, write: Write) -> None:
    path = write("changing", "# Before")
    assert [one.title for one in end.api.dashboards()] == ["Before"]
    write("changing", "# Afterwards")
    os.utime(path, (1, 1))
    assert [one.title for one in end.api.dashboards()] == ["Afterwards"]


def test_what_cannot_be_opened_is_left_out(end: End, write: Write, tmp_path: Path) -> None:
    folder = write("seen").parent
    write(".ipynb_checkpoints/seen")
    write(".hidden")
    outside = tmp_path / "outside.ipynb"
    outside.write_text("{}")
    odd = [folder / "link.ipynb", folder / "folder.ipynb", Path(os.fsdecode(os.fsencode(folder) + b"/\xff.ipynb"))]
    odd[0].symlink_to(outside)
    odd[1].mkdir()
    odd[2].write_text("{}")
    (folder / "torn.ipynb").write_text("{")
    (folder / "notes.txt").write_text("x")
    try:
        assert [(one.name, one.title) for one in end.api.dashboards()] == [("seen", "seen"), ("torn", "torn")]
    finally:
        odd[1].rmdir()
        for path in (odd[0], odd[2], folder / "torn.ipynb", folder / "notes.txt"):
            path.unlink()
