"""Files of flows that cannot be read, and links."""

import json
import os
from pathlib import Path

import pytest

from cloudo_kernel.errors import FlowBroken, NameInvalid
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.unit.flow_files import broken, markdown, names, notebook, write


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def flows(workspace: Workspace) -> Path:
    workspace.flows.mkdir(parents=True)
    return workspace.flows


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def catalog(workspace: Workspace, library: Path) -> Catalog:
    return Catalog(workspace, library=[library])


def test_text_that_is_not_utf8_is_broken(flows: Path, catalog: Catalog) -> None:
    (flows / "x.ipynb").write_bytes(b"\xff")
    assert broken(catalog, "x") == "it is not text in UTF-8 (byte 0)"


def test_a_very_large_file_is_not_read(flows: Path, catalog: Catalog) -> None:
    with (flows / "x.ipynb").open("wb") as file:
        file.truncate(101 * 1024 * 1024)
    assert broken(catalog, "x") == "it is larger than 50 MB; clear its outputs"


def test_a_file_that_may_not_be_read_is_broken_until_it_may(flows: Path, catalog: Catalog) -> None:
    path = write(flows / "x.ipynb")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root may read everything")
    assert broken(catalog, "x") == "it cannot be read: Permission denied"
    path.chmod(0o600)
    assert catalog.flow("x").broken is None


def test_a_pipe_is_not_waited_for(flows: Path, catalog: Catalog) -> None:
    os.mkfifo(flows / "x.ipynb")
    assert broken(catalog, "x") == "it is not a file"


@pytest.mark.parametrize("name", ["CON", "a\\b", "a ", "a\nb", "x.py", "long" * 40])
def test_a_file_name_that_is_no_flow_name_is_listed_as_broken(flows: Path, catalog: Catalog, name: str) -> None:
    write(flows / f"{name}.ipynb")
    assert broken(catalog, name).startswith("its file name cannot be a flow's: ")


def test_a_file_name_that_is_no_text_is_listed_as_broken(flows: Path, catalog: Catalog) -> None:
    (flows / os.fsdecode(b"a\xff.ipynb")).write_text(notebook())
    assert catalog.flows()[0].name == "a\ufffd"
    json.dumps([flow.model_dump(mode="json") for flow in catalog.flows()], ensure_ascii=False).encode()


def test_a_decomposed_file_name_is_found_by_its_composed_name(flows: Path, catalog: Catalog) -> None:
    write(flows / "Ma\u0308rz.ipynb")
    assert names(catalog) == ["März"]
    assert catalog.flow("März") == catalog.flow("Ma\u0308rz")
    catalog.replace("März", notebook(markdown("# New")))
    assert [flow.title for flow in catalog.flows()] == ["New"]


def test_links_that_lead_nowhere_in_circles_or_outside_are_broken(flows: Path, catalog: Catalog) -> None:
    outside = write(flows.parent / "secret.ipynb", notebook(markdown("# Secret")))
    (flows / "nowhere.ipynb").symlink_to("missing.ipynb")
    (flows / "circle.ipynb").symlink_to("circle.ipynb")
    (flows / "outside.ipynb").symlink_to(outside)
    assert broken(catalog, "nowhere") == "it is a link to a file that does not exist"
    assert broken(catalog, "circle") == "it cannot be read: Too many levels of symbolic links"
    assert broken(catalog, "outside") == "its link leaves the folder of the flows"
    assert "Secret" not in [flow.title for flow in catalog.flows()]
    with pytest.raises(FlowBroken):
        catalog.snapshot("outside")


def test_a_link_to_a_flow_is_a_flow(flows: Path, catalog: Catalog) -> None:
    write(flows / "a.ipynb", notebook(markdown("# Same")))
    (flows / "b.ipynb").symlink_to("a.ipynb")
    assert [(flow.name, flow.title) for flow in catalog.flows()] == [("a", "Same"), ("b", "Same")]


def test_links_to_folders_are_not_listed_and_do_not_lead_outside(flows: Path, catalog: Catalog) -> None:
    write(flows.parent / "private" / "x.ipynb")
    write(flows / "real" / "x.ipynb")
    (flows / "out").symlink_to(flows.parent / "private")
    (flows / "alias").symlink_to("real")
    (flows / "real" / "loop").symlink_to(flows)
    assert names(catalog) == ["real/x"]
    assert catalog.flow("alias/x").name == "real/x"
    with pytest.raises(NameInvalid, match="leaves the folder"):
        catalog.flow("out/x")
