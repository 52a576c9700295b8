"""Flows that would notice the preloaded modules start cold and say so; all others start warm."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import nbformat
import pytest

from cloudo_kernel.client import Client
from cloudo_kernel.models import StartExecution, Status
from tests.flows import notebook, write_flow
from tests.server import WITHOUT_LAB, RunningServer, Servers

ROOT = Path(__file__).parents[2]
MINUTE = timedelta(minutes=1)
NAME = "import psutil\nprint(psutil.Process().name())"
BECAUSE = "Started cold, because of the preloaded modules: "


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages of the server's environment; one of them reads a variable when it is imported."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "versioned.py").write_text("import os\nversion = 1\nword = os.environ.get('VERSIONED_WORD', 'none')\n")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Iterator[RunningServer]:
    config = {"Cloudo": {"preload": ["versioned", "numpy", "matplotlib.pyplot"]}}
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        yield servers.start(config=config, environment={"PYTHONPATH": os.pathsep.join([str(ROOT), str(packages)])})


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    client = server.client()
    yield client
    client.close()


def run(api: Client, *sources: str, flow_name: str | None = None) -> tuple[list[str], list[str]]:
    """Run cells, or a flow; return the lines of its log, and those that it printed."""
    asked = StartExecution(flow_name=flow_name) if flow_name else StartExecution(script=notebook(*sources))
    ended = api.wait(api.start_execution(asked).id, timeout=MINUTE)
    assert ended.status is Status.ENDED_SUCCESS, ended.error
    made = nbformat.reads(api.execution_notebook(ended.id), as_version=4)
    printed = "".join(one.get("text", "") for cell in made.cells for one in cell.get("outputs", ()))
    return [line.text for line in ended.log], printed.splitlines()


def write_wheel(folder: Path, version: int) -> Path:
    """Write a wheel of `versioned`."""
    wheel = folder / f"versioned-{version}-py3-none-any.whl"
    info = f"versioned-{version}.dist-info"
    files = {
        "versioned.py": f"version = {version}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: versioned\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))
    return wheel


def test_variables_that_are_read_at_import_have_their_effect(api: Client) -> None:
    log, printed = run(
        api,
        "import os\nos.environ['VERSIONED_WORD'] = 'mine'\nos.environ.update(MPLBACKEND='Agg')",
        "%env OPENBLAS_NUM_THREADS=1\nimport versioned, matplotlib.pyplot as plt\n"
        "print(versioned.word, plt.get_backend().lower())",
        NAME,
    )
    assert printed[1] == "mine agg"
    assert printed[2] != "cloudo-kernel"
    assert log == [f"{BECAUSE}it sets VERSIONED_WORD, which is read when versioned is imported."]


def test_a_script_that_sets_such_a_variable_is_started_cold_too(api: Client) -> None:
    source = "import os\ndef handler(system, this):\n    for name in ('OMP_NUM_THREADS', 'A'):\n"
    ended = api.wait(
        api.start_execution(StartExecution(script=f"{source}        os.environ[name] = '1'\n")).id, timeout=MINUTE
    )
    assert [line.text for line in ended.log] == [
        f"{BECAUSE}it sets OMP_NUM_THREADS, which is read when matplotlib or numpy or versioned is imported."
    ]


def test_a_flow_that_installs_a_package_imports_what_it_installed(api: Client, packages: Path, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, 2)
    install = f"%pip install --quiet --no-index --no-deps --upgrade --target {packages} {wheel}"
    log, printed = run(api, install, "import versioned\nprint(versioned.version)")
    assert printed[-1] == "2"
    assert log == [f"{BECAUSE}it installs packages, and some of them may be preloaded."]


def test_a_module_beside_the_flow_is_not_taken_for_a_preloaded_one(api: Client, server: RunningServer) -> None:
    path = write_flow(server.workspace, "beside/flow", "import kiwisolver\nprint(kiwisolver.version)")
    (path.parent / "kiwisolver.py").write_text("version = 'mine'\n")
    log, printed = run(api, flow_name="beside/flow")
    assert printed == ["mine"]
    assert log == [f"{BECAUSE}its folder has a module named kiwisolver, and another one of that name is preloaded."]


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['OF_NO_MODULE'] = os.environ['HOME']",
        "import numpy, os\nos.environ['NPY_PROMOTION_STATE'] = 'late'",
        "# %pip install versioned\nnote = 'pip install versioned'",
    ],
)
def test_a_flow_that_notices_nothing_starts_warm(api: Client, source: str) -> None:
    log, printed = run(api, source, NAME)
    assert (log, printed) == ([], ["cloudo-kernel"])
