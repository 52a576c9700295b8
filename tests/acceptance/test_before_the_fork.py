"""A forked run knows nothing from before the fork: its process is like one of its own, and like stock papermill's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from cloudo_kernel.client import Client
from cloudo_kernel.models import StartExecution, Status
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, Servers

ROOT = Path(__file__).parents[2]
MINUTE = timedelta(minutes=1)
#: What differs by its nature.
_PARENT = re.compile(r"(?<=JPY_PARENT_PID.: .)\d+| at 0x[0-9a-f]+")
CELLS = (
    (ROOT / "tests" / "process_facts.py").read_text(),
    "import random, numpy, uuid\nprint(random.random(), numpy.random.rand(), uuid.uuid4(), "
    "multiprocessing.current_process().authkey.hex(), next(tempfile._get_candidate_names()))",
    "logging.basicConfig(level=logging.DEBUG)",
    "print('hello')\nlogging.debug('mine')",
    "os.chdir('/')\nos.chdir(_dh[0])\nPath('relative.txt').write_text('here');",
)
FACTS, DRAWN, *SAID = range(len(CELLS))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), "library"]), "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo"}
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        workspace = tmp_path_factory.mktemp("workspace")
        # Of these the flow must see nothing, so they are there before the zygote is.
        (workspace / "matplotlibrc").write_text("lines.linewidth: 9\n")
        (workspace / "helper.py").write_text("def double(x):\n    return 'the wrong one'\n")
        config = {"Cloudo": {"preload": ["numpy", "pandas", "matplotlib.pyplot"]}}
        server = servers.start(workspace, config=config, environment=environment)
        folder = write_flow(workspace, "sub/warm", *CELLS).parent
        write_flow(workspace, "sub/cold", *CELLS, metadata={"engine": "cold"})
        write_flow(workspace, "sub/stock", *CELLS, kernel="python3")
        (folder / "matplotlibrc").write_text("lines.linewidth: 7\n")
        (folder / "helper.py").write_text("def double(x):\n    return 2 * x\n")
        yield server


@pytest.fixture(scope="module")
def stock(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What papermill makes of the flow, with the server's environment and in the server's folder."""
    folder, executed = server.workspace / "flows" / "sub", tmp_path_factory.mktemp("stock") / "executed.ipynb"
    variables = Path(f"/proc/{server.process.pid}/environ").read_text().split("\0")
    program = "import papermill, sys\npapermill.execute_notebook(*sys.argv[1:3], cwd=sys.argv[3], progress_bar=False)"
    subprocess.run(
        [sys.executable, "-c", program, str(folder / "stock.ipynb"), str(executed), str(folder)],
        env=dict(each.split("=", 1) for each in variables if each),
        cwd=server.workspace,
        check=True,
        capture_output=True,
    )
    return told(nbformat.read(executed, as_version=4), folder)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    client = server.client()
    yield client
    client.close()


def told(book: nbformat.NotebookNode, folder: Path) -> list[Any]:
    """Return what the cells printed, by stream, and what they left in their folder."""
    cells: list[Any] = []
    for cell in book.cells:
        streams: dict[str, str] = {}
        for output in cell.outputs:
            streams[output.name] = streams.get(output.name, "") + output.text
        cells.append(streams)
    cells[FACTS] = json.loads(_PARENT.sub("", cells[FACTS]["stdout"]))
    left = {name: (folder / name).read_text() for name in ("ended.txt", "relative.txt")}
    for name in left:
        (folder / name).unlink()
    return [*cells, left]


def run(api: Client, server: RunningServer, name: str) -> list[Any]:
    ended = api.wait(api.start_execution(StartExecution(flow_name=f"sub/{name}")).id, timeout=MINUTE)
    assert ended.status is Status.ENDED_SUCCESS, ended.error
    assert not ended.log, "it starts as it was asked to"
    return told(nbformat.reads(api.execution_notebook(ended.id), as_version=4), server.workspace / "flows" / "sub")


@pytest.mark.parametrize("name", ["warm", "cold"])
def test_a_run_has_a_process_as_papermill_starts_it(
    api: Client, server: RunningServer, stock: list[Any], name: str
) -> None:
    ours = run(api, server, name)
    assert ours[FACTS]["facts"].keys() == stock[FACTS]["facts"].keys()
    for fact, value in stock[FACTS]["facts"].items():
        assert ours[FACTS]["facts"][fact] == value, fact
    assert set(ours[FACTS]["threads"]) - {"cloudo-channel"} <= set(stock[FACTS]["threads"])
    assert [ours[cell] for cell in SAID] == [stock[cell] for cell in SAID]
    assert ours[-1] == stock[-1] == {"ended.txt": "second first", "relative.txt": "here"}


@pytest.mark.parametrize("engine", ["kernel", "cold"])
def test_processes_that_a_flow_starts_find_a_module_beside_it(api: Client, server: RunningServer, engine: str) -> None:
    cells = (
        "import atexit, helper, joblib, multiprocessing, pathlib",
        "for method in ('spawn', 'forkserver'):\n    with multiprocessing.get_context(method).Pool(1) as pool:\n"
        "        print(pool.map(helper.double, [1, 2]))",
        "print(joblib.Parallel(n_jobs=2)(joblib.delayed(helper.double)(n) for n in (1, 2)))",
        # Those of them that look after shared memory end with the kernel; it does not wait for them.
        "atexit.register(lambda: pathlib.Path('ended.txt').write_text('in order'));",
    )
    path = write_flow(server.workspace, "sub/pool", *cells, metadata={"engine": engine})
    ended = api.wait(api.start_execution(StartExecution(flow_name="sub/pool")).id, timeout=MINUTE)
    assert ended.status is Status.ENDED_SUCCESS, ended.error
    made = nbformat.reads(api.execution_notebook(ended.id), as_version=4)
    assert "".join(one.text for cell in made.cells for one in cell.outputs) == "[2, 4]\n" * 3
    left = path.with_name("ended.txt")
    assert left.read_text() == "in order"
    left.unlink()


@pytest.mark.parametrize("engine", ["kernel", "cold"])
def test_a_run_yields_to_the_server(api: Client, server: RunningServer, engine: str) -> None:
    groups = (
        "def niceness(pid):\n"
        "    group = pathlib.Path(f'/proc/{pid}/autogroup')\n"
        "    return [None, *(group.read_text() if group.exists() else '').split()][-1]"
    )
    cells = (
        "import os, pathlib, subprocess",
        "print(os.nice(0))",
        f"{groups}\nprint(niceness(os.getpid()))",
        "print(niceness(os.getppid()))",
        "print(subprocess.run(['nice'], capture_output=True, text=True, check=True).stdout)",
    )
    write_flow(server.workspace, "sub/nice", *cells, metadata={"engine": engine})
    ended = api.wait(api.start_execution(StartExecution(flow_name="sub/nice")).id, timeout=MINUTE)
    assert ended.status is Status.ENDED_SUCCESS, ended.error
    made = nbformat.reads(api.execution_notebook(ended.id), as_version=4)
    own, session, of_runner, of_child = (cell.outputs[0].text.strip() for cell in made.cells[1:])
    assert int(own) > psutil.Process(server.process.pid).nice()
    assert of_child == own
    if session != "None" and os.geteuid() == 0:  # Linux refuses all but ten changes a second to others
        assert (session, of_runner) == (own, own)


def test_two_forked_runs_share_nothing_that_is_drawn_or_secret(api: Client, server: RunningServer) -> None:
    drawn = [set(run(api, server, "warm")[DRAWN]["stdout"].split()) for _ in range(2)]
    assert len(drawn[0]) == len(drawn[1]) == 5
    assert not drawn[0] & drawn[1]


def test_nothing_in_a_forked_kernel_names_the_folder_of_the_server(api: Client, server: RunningServer) -> None:
    # Environment variables such as `PWD` do, in papermill's kernels too.
    source = "import gc, os\ngc.unfreeze()\nhome = os.path.dirname(os.path.dirname(os.path.dirname(os.getcwd())))\n"
    source += "print([type(each) for each in gc.get_objects() if isinstance(each, (list, tuple, dict)) and "
    source += "each is not globals() and any(type(part) is str and part.rstrip('/') == server for part in "
    source += "(each.values() if isinstance(each, dict) else each))])"
    source = source.replace("home =", "server =")
    write_flow(server.workspace, "sub/deep/scan", source)
    ended = api.wait(api.start_execution(StartExecution(flow_name="sub/deep/scan")).id, timeout=MINUTE)
    made = nbformat.reads(api.execution_notebook(ended.id), as_version=4)
    assert made.cells[0].outputs[0].text == "[]\n", ended.error
