"""Making, changing, moving and deleting flows of the workspace."""

import json
import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from cloudo_kernel.errors import CloudoError, FlowExists, FlowNotFound, MalformedRequest, NameInvalid, PermissionDenied
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace


def titled(title: str) -> str:
    cell = {"cell_type": "markdown", "source": f"# {title}", "metadata": {}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def catalog(workspace: Workspace, tmp_path: Path) -> Catalog:
    library = tmp_path / "library"
    library.mkdir()
    (library / "Daily.ipynb").write_text(titled("Shipped"))
    return Catalog(workspace, library=[library])


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_new_flow_is_a_file_with_exactly_the_text(workspace: Workspace, catalog: Catalog) -> None:
    text = titled("Größe").replace(", ", ",\r\n")
    flow = catalog.create("reports/weekly report", text)
    assert (flow.name, flow.title, flow.path) == ("reports/weekly report", "Größe", "flows/reports/weekly report.ipynb")
    assert (workspace.root / flow.path).read_bytes() == text.encode()
    assert files(workspace.flows) == ["reports", "reports/weekly report.ipynb"]


def test_a_new_flow_has_the_permissions_of_any_new_file(workspace: Workspace, catalog: Catalog) -> None:
    path = workspace.root / catalog.create("x", titled("X")).path
    other = workspace.root / "other"
    other.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_a_flow_of_the_library_can_be_shadowed_by_a_copy(catalog: Catalog) -> None:
    catalog.create("Daily", catalog.snapshot("Daily").text)
    assert catalog.flow("Daily").path == "flows/Daily.ipynb"
    catalog.delete("Daily")
    assert catalog.flow("Daily").source == "library"


def test_a_name_that_is_taken_is_refused_and_nothing_is_written(workspace: Workspace, catalog: Catalog) -> None:
    catalog.create("x", titled("One"))
    with pytest.raises(FlowExists):
        catalog.create("x", titled("Two"))
    (workspace.flows / "link.ipynb").symlink_to("missing")
    with pytest.raises(FlowExists):
        catalog.create("link", titled("Two"))
    assert catalog.flow("x").title == "One"
    assert files(workspace.flows) == ["link.ipynb", "x.ipynb"]


def test_of_two_that_create_at_once_one_wins(workspace: Workspace) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def create(number: int) -> None:
        catalog = Catalog(workspace)  # one each, as in several processes: no lock in common
        start.wait()
        for name in "abcdefghij":
            with suppress(FlowExists):
                outcomes.append(f"{name} {catalog.create(name, titled(str(number))).title}")

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [f"{flow.name} {flow.title}" for flow in Catalog(workspace).flows()]
    assert files(workspace.flows) == [f"{name}.ipynb" for name in "abcdefghij"]


@pytest.mark.parametrize("text", ["", "print(1)", "{}", '{"nbformat": 3, "worksheets": []}', "\ud800"])
def test_text_that_is_no_notebook_is_refused(workspace: Workspace, catalog: Catalog, text: str) -> None:
    with pytest.raises(MalformedRequest, match="The source is not a notebook: ") as caught:
        catalog.create("x", text)
    assert caught.value.field == "source"
    assert not workspace.flows.exists()
    catalog.create("x", titled("X"))
    with pytest.raises(MalformedRequest):
        catalog.replace("x", text)
    assert catalog.flow("x").title == "X"


def test_work_in_progress_may_be_saved_and_is_listed_as_broken(catalog: Catalog) -> None:
    cell = {"cell_type": "code", "source": "x = (", "metadata": {"tags": ["parameters"]}}
    flow = catalog.create("x", json.dumps({"nbformat": 4, "metadata": {}, "cells": [cell]}))
    assert flow.broken is not None


def test_another_source_replaces_the_whole_file(workspace: Workspace, catalog: Catalog) -> None:
    path = workspace.root / catalog.create("x", titled("One")).path
    path.chmod(0o640)
    assert catalog.replace("x", titled("Two")).title == "Two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert files(workspace.flows) == ["x.ipynb"]


def test_replacing_through_a_link_keeps_the_link(workspace: Workspace, catalog: Catalog) -> None:
    catalog.create("a", titled("One"))
    (workspace.flows / "b.ipynb").symlink_to("a.ipynb")
    catalog.replace("b", titled("Two"))
    assert catalog.flow("a").title == "Two"
    assert (workspace.flows / "b.ipynb").is_symlink()


def test_moving_takes_empty_folders_away(workspace: Workspace, catalog: Catalog) -> None:
    catalog.create("a/b/x", titled("X"))
    catalog.create("a/y", titled("Y"))
    flow = catalog.rename("a/b/x", "c/d/x")
    assert (flow.name, flow.title) == ("c/d/x", "X")
    assert files(workspace.flows) == ["a", "a/y.ipynb", "c", "c/d", "c/d/x.ipynb"]
    assert catalog.rename("a/y", "a/y").name == "a/y"


def test_moving_onto_another_flow_is_refused(catalog: Catalog) -> None:
    catalog.create("x", titled("X"))
    catalog.create("y", titled("Y"))
    with pytest.raises(FlowExists, match="'y'"):
        catalog.rename("x", "y")
    assert [flow.title for flow in catalog.flows()] == ["Shipped", "X", "Y"]


def test_deleting_takes_empty_folders_away_but_never_the_flows_folder(workspace: Workspace, catalog: Catalog) -> None:
    catalog.create("a/b/x", titled("X"))
    catalog.delete("a/b/x")
    assert files(workspace.flows) == []
    assert workspace.flows.is_dir()
    with pytest.raises(FlowNotFound):
        catalog.delete("a/b/x")


def test_deleting_a_link_leaves_what_it_points_to(workspace: Workspace, catalog: Catalog) -> None:
    outside = workspace.root / "outside.ipynb"
    catalog.create("x", titled("X"))
    outside.write_text(titled("Outside"))
    (workspace.flows / "link.ipynb").symlink_to(outside)
    with pytest.raises(PermissionDenied, match="leaves the folder"):
        catalog.replace("link", titled("Y"))
    catalog.delete("link")
    assert outside.exists()
    assert files(workspace.flows) == ["x.ipynb"]


def test_the_library_cannot_be_changed(catalog: Catalog) -> None:
    for change in (
        lambda: catalog.replace("Daily", titled("Mine")),
        lambda: catalog.rename("Daily", "Mine"),
        lambda: catalog.delete("Daily"),
    ):
        with pytest.raises(PermissionDenied, match="Copy it into the workspace first"):
            change()
    assert catalog.flow("Daily").title == "Shipped"


def test_nothing_is_written_outside(workspace: Workspace, catalog: Catalog, tmp_path: Path) -> None:
    workspace.flows.mkdir(parents=True)
    (workspace.flows / "out").symlink_to(tmp_path)
    catalog.create("x", titled("X"))
    for change in (
        lambda: catalog.create("out/x", titled("X")),
        lambda: catalog.create("../x", titled("X")),
        lambda: catalog.rename("x", "out/x"),
        lambda: catalog.delete("out/x"),
    ):
        with pytest.raises(NameInvalid):
            change()
    assert not list(tmp_path.glob("*.ipynb"))


def test_a_file_in_the_place_of_a_folder_is_told(workspace: Workspace, catalog: Catalog) -> None:
    workspace.flows.mkdir(parents=True)
    (workspace.flows / "a").touch()
    for name in ("a/x", "a/b/x"):
        with pytest.raises(NameInvalid, match="'a' is a file and not a folder"):
            catalog.create(name, titled("X"))


def test_a_folder_that_may_not_be_written_is_told(workspace: Workspace, catalog: Catalog) -> None:
    workspace.flows.mkdir(parents=True)
    workspace.flows.chmod(0o500)
    if os.access(workspace.flows, os.W_OK):
        pytest.skip("root may write everywhere")
    with pytest.raises(PermissionDenied, match="the file system does not permit it"):
        catalog.create("x", titled("X"))


def test_errors_of_the_file_system_are_errors_of_cloudo(workspace: Workspace, catalog: Catalog) -> None:
    (workspace.flows / "x.ipynb").mkdir(parents=True)
    with pytest.raises(FlowExists):
        catalog.create("x", titled("X"))
    for change in (lambda: catalog.replace("x", titled("X")), lambda: catalog.delete("x")):
        with pytest.raises(CloudoError, match="'x'"):
            change()


def test_a_script_runs_as_a_notebook_from_the_workspace(workspace: Workspace, catalog: Catalog) -> None:
    workspace.create()
    source = catalog.script("print('hello')")
    assert json.loads(source.text)["cells"][0]["source"] == "print('hello')"
    assert (source.flow.kernel, source.flow.input_schema["additionalProperties"]) == ("cloudo", True)
    assert source.folder == workspace.root
    assert catalog.script(titled("X")).text == titled("X")
    with pytest.raises(MalformedRequest):
        catalog.script("{")
