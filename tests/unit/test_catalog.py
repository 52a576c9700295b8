"""Finding flows and reading them."""

import hashlib
import json
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from cloudo_kernel.errors import FlowBroken, FlowNotFound, NameInvalid
from cloudo_kernel.models import FlowSource
from cloudo_kernel.workspace.catalog import Catalog, library_folders
from cloudo_kernel.workspace.layout import Workspace
from tests.unit.flow_files import broken, code, markdown, names, notebook, write


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


def test_without_flows_folder_there_are_no_flows(catalog: Catalog) -> None:
    assert catalog.flows() == ()


def test_flows_are_named_by_their_path_and_sorted_regardless_of_case(flows: Path, catalog: Catalog) -> None:
    for name in ("b", "A", "reports/März 1", "C"):
        write(flows / f"{name}.ipynb")
    assert names(catalog) == ["A", "b", "C", "reports/März 1"]


def test_hidden_files_caches_and_other_files_are_skipped(flows: Path, catalog: Catalog) -> None:
    for name in (".a", ".ipynb_checkpoints/a", "__pycache__/a", ".git/a", "b/.c/a"):
        write(flows / f"{name}.ipynb")
    for name in (".a.py", "_a.py", "__init__.py", ".git/b.py", "a.txt", "a.pyc", "a.ipynb~", "ipynb", "py"):
        write(flows / name)
    assert catalog.flows() == ()


def test_a_flow_of_the_workspace_wins_over_one_of_the_library(flows: Path, library: Path, catalog: Catalog) -> None:
    write(flows / "Daily.ipynb", notebook(markdown("# Mine")))
    write(library / "Daily.ipynb", notebook(markdown("# Shipped")))
    shipped = write(library / "Delayed.ipynb")
    found = {flow.name: flow for flow in catalog.flows()}
    assert list(found) == ["Daily", "Delayed"]
    assert (found["Daily"].title, found["Daily"].source, found["Daily"].path) == (
        "Mine",
        FlowSource.WORKSPACE,
        "flows/Daily.ipynb",
    )
    assert (found["Delayed"].source, found["Delayed"].path) == (FlowSource.LIBRARY, str(shipped))
    assert catalog.flow("Daily") == found["Daily"]
    assert catalog.flow("Delayed") == found["Delayed"]


def test_the_quick_filter_looks_at_name_title_and_tags(flows: Path, catalog: Catalog) -> None:
    write(flows / "one.ipynb")
    write(flows / "two.ipynb", notebook(markdown("# The ONE report")))
    write(flows / "three.ipynb", notebook(cloudo={"tags": ["phone"]}))
    write(flows / "four.ipynb", notebook(markdown("one in the text")))
    assert names(catalog, "One") == ["one", "three", "two"]


def test_the_record_tells_what_the_notebook_says(flows: Path, catalog: Catalog) -> None:
    path = write(
        flows / "reports" / "daily.ipynb",
        notebook(
            markdown("# Heading"),
            code("rows: int = 3", "other", "parameters"),
            cloudo={"title": "Daily", "description": "All", "tags": ["a"], "timeout_seconds": 60},
        ),
    )
    os.utime(path, (1_700_000_000, 1_700_000_000))
    flow = catalog.flow("reports/daily")
    assert flow.broken is None
    assert (flow.title, flow.description, flow.tags, flow.kind) == ("Daily", "All", ("a",), "notebook")
    assert flow.metadata.timeout_seconds == 60
    assert flow.input_schema["properties"]["rows"]["default"] == 3
    assert flow.modified_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cells", "title"),
    [
        ([], "daily"),
        ([markdown("text\n## Small"), code("# comment"), markdown(["a\n", "# Big one #\n", "# Other"])], "Big one"),
        ([markdown("```\n# comment\n```\n# Real")], "Real"),
        ([markdown("#no heading\n# ")], "daily"),
    ],
)
def test_the_title_is_the_first_heading_else_the_name(
    flows: Path, catalog: Catalog, cells: list[dict[str, Any]], title: str
) -> None:
    write(flows / "reports" / "daily.ipynb", notebook(*cells))
    assert catalog.flow("reports/daily").title == title


@pytest.mark.parametrize(
    ("metadata", "kernel"),
    [
        ({}, "cloudo"),
        ({"kernelspec": {"name": "python3", "language": "python"}}, "cloudo"),
        ({"kernelspec": {"name": "cloudo"}}, "cloudo"),
        ({"kernelspec": {"name": "ir", "language": "R"}}, "ir"),
        ({"kernelspec": {"name": "conda-x", "language": "python"}}, "conda-x"),
        ({"kernelspec": "nonsense"}, "cloudo"),
    ],
)
def test_the_servers_own_python_is_the_kernel_cloudo(
    flows: Path, catalog: Catalog, metadata: dict[str, Any], kernel: str
) -> None:
    write(flows / "x.ipynb", notebook(**metadata))
    assert catalog.flow("x").kernel == kernel


def test_the_names_of_the_servers_own_python_can_be_given(workspace: Workspace, flows: Path) -> None:
    write(flows / "x.ipynb", notebook(kernelspec={"name": "venv"}))
    assert Catalog(workspace, python_kernels=["venv"]).flow("x").kernel == "cloudo"


def test_parameters_of_another_language_accept_any_inputs(flows: Path, catalog: Catalog) -> None:
    cell = code("x <- 3", "parameters")
    write(flows / "r.ipynb", notebook(cell, kernelspec={"name": "ir", "language": "R"}))
    write(flows / "unknown.ipynb", notebook(cell, kernelspec={"name": "ir"}))
    write(flows / "python.ipynb", notebook(code("x = 3", "parameters"), kernelspec={"name": "p", "language": "python"}))
    assert catalog.flow("r").input_schema["additionalProperties"] is True
    assert "its kernel 'ir' is not installed" in str(catalog.flow("unknown").broken)
    assert list(catalog.flow("python").input_schema["properties"]) == ["x"]


def test_only_the_first_parameters_cell_with_code_counts(flows: Path, catalog: Catalog) -> None:
    text = markdown("parameters follow")
    text["metadata"]["tags"] = ["parameters"]
    write(flows / "x.ipynb", notebook(text, code("a = 1", "parameters"), code("b = 1", "parameters")))
    assert list(catalog.flow("x").input_schema["properties"]) == ["a"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("{", "it is not JSON (line 1: "),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 10_000, "endless number"),
        ("[]", "it is JSON, but not a notebook"),
        ('{"nbformat": 4}', "its cells are not a list"),
        ('{"nbformat": 4, "cells": [], "metadata": []}', "its metadata is not an object"),
        ('{"nbformat": 4, "cells": [3]}', "its cell 1 is not a cell of a notebook"),
        ('{"nbformat": 4, "cells": [{"cell_type": "code"}]}', "its cell 1 is not a cell of a notebook"),
        ('{"nbformat": 2, "worksheets": []}', "--nbformat 4"),
        ('{"nbformat": 3, "worksheets": 3}', "cannot be upgraded to 4"),
        ('{"nbformat": 5, "cells": []}', "newer than"),
        (notebook(markdown("# \ud800")), "half a character"),
        (notebook(code("a = 1\n\nb = = 2", "parameters")), "the parameters cell has a syntax error in line 3: invalid"),
        (notebook(cloudo={"retries": -1}), "its metadata 'cloudo.retries' is invalid: Input should"),
        (notebook(cloudo={"retries": 101}), "'cloudo.retries'"),
        (notebook(cloudo={"retry_delay_seconds": 90_000}), "'cloudo.retry_delay_seconds'"),
        (notebook(cloudo={"priority": 101}), "'cloudo.priority'"),
        (notebook(cloudo={"max_running": 0}), "'cloudo.max_running'"),
        (
            notebook(cloudo={"requires": ["GPU"]}),
            "its metadata 'cloudo.requires.0' is invalid: 'GPU' is not a label",
        ),
        (notebook(cloudo={"requires": [f"l{number}" for number in range(21)]}), "its metadata 'cloudo.requires' is"),
        (notebook(cloudo={"timeout_seconds": -1}), "its metadata 'cloudo.timeout_seconds' is invalid: Input should"),
        (notebook(cloudo={"tags": ["a", 3]}), "'cloudo.tags.1'"),
        (notebook(cloudo="x"), "'cloudo'"),
        (notebook(cloudo={"timeout_seconds": float("nan")}), "'cloudo.timeout_seconds' is invalid: NaN"),
    ],
)
def test_a_broken_notebook_is_listed_with_the_reason_and_harms_no_other(
    flows: Path, catalog: Catalog, text: str, reason: str
) -> None:
    write(flows / "bad.ipynb", text)
    write(flows / "good.ipynb")
    assert reason in broken(catalog, "bad")
    assert catalog.flow("good").broken is None
    assert catalog.flow("bad").input_schema["properties"] == {}
    json.dumps([flow.model_dump(mode="json") for flow in catalog.flows()], ensure_ascii=False).encode()
    with pytest.raises(FlowBroken, match="The flow 'bad' is broken: "):
        catalog.snapshot("bad")


def test_an_unknown_flow_is_not_found_and_similar_ones_are_named(flows: Path, catalog: Catalog) -> None:
    write(flows / "reports" / "daily.ipynb")
    for name in ("reports/dialy", "Daily", "dayly"):
        with pytest.raises(FlowNotFound, match=r"Did you mean 'reports/daily'\?"):
            catalog.flow(name)
    with pytest.raises(FlowNotFound, match=r"no flow 'zzz'\.$"):
        catalog.snapshot("zzz")
    with pytest.raises(NameInvalid):
        catalog.flow("../secret")


def test_the_snapshot_is_the_exact_text(flows: Path, catalog: Catalog) -> None:
    text = notebook(markdown("# Größe")).replace(", ", ",\r\n")
    (flows / "reports").mkdir()
    (flows / "reports" / "x.ipynb").write_bytes(text.encode())
    source = catalog.snapshot("reports/x")
    assert source.text == text
    assert source.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert (source.kind, source.flow) == ("notebook", catalog.flow("reports/x"))
    assert source.folder == (flows / "reports").resolve()
    assert source.folder.is_absolute()


def test_what_starts_at_one_moment_is_of_one_snapshot_and_only_that(flows: Path, catalog: Catalog) -> None:
    path = write(flows / "x.ipynb", notebook(code("a = 1", "parameters")))
    with catalog.at_one_moment():
        first = catalog.snapshot("x")
        write(path, notebook(code("b = 1", "parameters")))
        assert catalog.snapshot("x") is first
        with pytest.raises(FlowNotFound):
            catalog.snapshot("nowhere")
    assert "b" in catalog.snapshot("x").flow.input_schema["properties"]


def test_a_snapshot_sees_a_change_that_leaves_time_and_size_alone(flows: Path, catalog: Catalog) -> None:
    path = write(flows / "x.ipynb", notebook(code("a = 1", "parameters")))
    as_it_was = path.stat()
    assert "a" in catalog.snapshot("x").flow.input_schema["properties"]
    write(path, notebook(code("b = 1", "parameters")))
    os.utime(path, ns=(as_it_was.st_atime_ns, as_it_was.st_mtime_ns))
    changed = catalog.snapshot("x")
    assert changed.text == path.read_text()
    assert list(changed.flow.input_schema["properties"]) == ["b"]
    write(path, "{}")
    with pytest.raises(FlowBroken):
        catalog.snapshot("x")


def test_a_changed_file_is_read_again(flows: Path, catalog: Catalog) -> None:
    path = write(flows / "x.ipynb", notebook(markdown("# One")))
    assert catalog.flow("x") is catalog.flow("x")
    write(path, notebook(markdown("# Two!")))
    assert catalog.flow("x").title == "Two!"
    path.unlink()
    assert catalog.flows() == ()


def test_dates_out_of_range_harm_nothing(flows: Path, catalog: Catalog) -> None:
    path = write(flows / "x.ipynb")
    for seconds in (-(2**33), 2**40):
        try:
            os.utime(path, (seconds, seconds))
        except OSError:
            pytest.skip("the file system has no such dates")
        assert catalog.flow("x").modified_at.tzinfo is not None


def test_many_threads_may_list_at_once(flows: Path, catalog: Catalog) -> None:
    paths = [write(flows / f"{number}.ipynb") for number in range(50)]
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(catalog.flows()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for path in paths[:25]:
        path.unlink()
    for thread in threads:
        thread.join()
    assert all(25 <= count <= 50 for count in found)
    assert len(found) == 8
    assert len(catalog.flows()) == 25


def test_the_version_of_the_list_changes_with_each_change_and_only_then(flows: Path, catalog: Catalog) -> None:
    seen = [catalog.listing().version]
    path = write(flows / "x.ipynb", notebook(markdown("# One")))
    (flows / "gone.ipynb").symlink_to("missing")  # broken: read again for each list
    for change in (
        lambda: None,
        lambda: write(path, notebook(markdown("# Two!"))),
        lambda: os.utime(path, (1, 1)),
        lambda: path.rename(flows / "y.ipynb"),
        (flows / "y.ipynb").unlink,
    ):
        change()
        seen.append(catalog.listing().version)
        assert catalog.listing().version == seen[-1]
    assert len(set(seen)) == len(seen)


def test_a_list_may_be_of_an_earlier_look_but_never_of_one_before_a_change_made_here(
    flows: Path, catalog: Catalog
) -> None:
    def listed() -> list[str]:
        return [flow.name for flow in catalog.listing(max_age_seconds=60).flows]

    assert listed() == []
    write(flows / "x.ipynb")
    assert listed() == []
    catalog.create("y", notebook())
    assert listed() == ["x", "y"]
    catalog.delete("y")
    assert listed() == ["x"]


def test_500_flows_are_listed_the_same_twice(flows: Path, catalog: Catalog) -> None:
    cell = code("rows: int = 3  # how many\nregion: Literal['a', 'b'] | None = None\n", "parameters")
    for number in range(500):
        write(flows / f"team {number % 20}" / f"{number}.ipynb", notebook(cell, *[code("print(1)\n" * 20)] * 30))
    listed = catalog.flows()
    assert len(listed) == 500
    assert catalog.flows() == listed


def test_listing_loads_no_slow_module() -> None:
    script = (
        "import sys, cloudo_kernel.workspace.catalog; print(*{'nbformat', 'jsonschema', 'papermill'} & {*sys.modules})"
    )
    assert run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout == "\n"


def test_the_library_is_named_by_the_environment_else_that_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDO_LIBRARY", f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}")
    assert library_folders() == (tmp_path / "a", tmp_path / "b")
    monkeypatch.delenv("CLOUDO_LIBRARY")
    assert library_folders() == (Path(__file__).parents[2] / "flows",)
