"""A run puts out what papermill does with a kernel of its own: the same cells both ways, output by output.

`fidelity_cells.txt` has the cells, and at its head a table of what each of them shows that no other does. The Python
ones run in a forked kernel; the others in kernels of other makers, and in one that speaks TCP only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from cloudo_kernel.client import Client
from cloudo_kernel.models import Execution, StartExecution, Status
from tests.acceptance.test_other_kernels import write_spec
from tests.flows import notebook
from tests.server import WITHOUT_LAB, RunningServer, Servers

MINUTE = timedelta(minutes=1)
SUITE = Path(__file__).with_name("fidelity_cells.txt").read_text(encoding="utf-8")
#: How many cells there have to be.
CELLS = 150


@dataclass(frozen=True)
class Cell:
    kernel: str
    shows: str
    source: str


def cells() -> list[Cell]:
    """Return the cells of the suite."""
    parts = re.split(r"^# %% \[(\w+)\] (.*)\n", SUITE, flags=re.MULTILINE)[1:]
    return [Cell(parts[at], parts[at + 1], parts[at + 2].strip("\n")) for at in range(0, len(parts), 3)]


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("specs")
    write_spec(folder, "bash", "-m", "bash_kernel", language="bash")
    write_spec(folder, "tcp", "-m", "tests.tcp_kernel")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, specs: Path) -> Iterator[RunningServer]:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        preload = {"Cloudo": {"preload": ["pandas", "matplotlib.pyplot"]}}
        yield servers.start(config=preload, environment={"JUPYTER_PATH": str(specs)})


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    client = server.client()
    yield client
    client.close()


def told(book: nbformat.NotebookNode, folder: Path) -> list[tuple[str, Any, Any]]:
    """Return source, number and outputs of each code cell, without what is new each time."""
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    text = json.dumps([(cell.source, cell.execution_count, joined(cell.outputs)) for cell in code])
    text = re.sub(r"\b[0-9a-f]{32}\b|ipykernel_\d+/\d+", "…", text.replace(str(folder), "…"))
    return [tuple(cell) for cell in json.loads(re.sub(r"(?<=<dc:date>)[^<]*|0x[0-9a-f]+", "…", text))]


def joined(outputs: list[Any]) -> list[Any]:
    """Return outputs with texts that follow each other as one: how many messages they come in is a matter of time."""
    found: list[Any] = []
    for one in outputs:
        if found and one.output_type == "stream" and found[-1].get("name") == one.name:
            found[-1] = {**found[-1], "text": found[-1]["text"] + one.text}
        else:
            found.append(one)
    return found


def widgets(book: nbformat.NotebookNode) -> list[str]:
    """Return the models of all widgets whose state was saved."""
    return sorted(
        state["model_name"] for saved in book.metadata.get("widgets", {}).values() for state in saved["state"].values()
    )


def by_papermill(text: str, folder: Path, kernel: str) -> tuple[str | None, nbformat.NotebookNode]:
    """Execute a notebook in `folder` with stock papermill; return the error that it raises, and what came out."""
    source, executed = folder / "source.ipynb", folder / "executed.ipynb"
    source.write_text(text, encoding="utf-8")
    options = {"kernel_name": kernel, "progress_bar": False, "execution_timeout": 20, "cwd": str(folder)}
    raised = None
    try:
        papermill.execute_notebook(source, executed, **options)
    except papermill.PapermillExecutionError as error:
        raised = error.evalue
    return raised, nbformat.read(executed, as_version=4)


def by_cloudo(api: Client, text: str) -> tuple[Execution, nbformat.NotebookNode]:
    ended = api.wait(api.start_execution(StartExecution(script=text)).id, timeout=4 * MINUTE)
    return ended, nbformat.reads(api.execution_notebook(ended.id), as_version=4)


def test_the_table_of_the_cells_is_that_of_the_suite() -> None:
    rows = re.findall(r"^# \| (\d+) \| (\w+) \| (.*) \|$", SUITE, re.MULTILINE)
    assert rows == [(str(number), cell.kernel, cell.shows) for number, cell in enumerate(cells(), 1)]
    assert len({cell.shows for cell in cells()}) == len(set(cells())) == len(cells()) >= CELLS


@pytest.mark.timeout(480)
@pytest.mark.parametrize("kernel", ["python", "bash", "xpython", "tcp"])
def test_a_run_puts_out_what_papermill_does(
    api: Client, server: RunningServer, specs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # by which ipykernel leaves descriptors alone
    monkeypatch.setenv("JUPYTER_PATH", str(specs))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(tmp_path)
    name = "python3" if kernel == "python" else kernel
    text = notebook(*[cell.source for cell in cells() if cell.kernel == kernel], kernel=name)
    execution, ours = by_cloudo(api, text)
    raised, theirs = by_papermill(text, tmp_path, name)
    assert execution.status is (Status.ENDED_SUCCESS if raised is None else Status.ENDED_ERROR)
    assert (execution.error and execution.error.value) == raised
    assert not execution.log, "it started warm"
    for our_cell, their_cell in zip(told(ours, server.workspace), told(theirs, tmp_path), strict=True):
        assert our_cell == their_cell
    assert ours.metadata.language_info == theirs.metadata.language_info
    assert widgets(ours) == widgets(theirs)
