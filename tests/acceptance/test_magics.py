"""The magics, in a kernel that somebody opened by hand in a workspace with a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudo_kernel.client import Client
from cloudo_kernel.models import Status
from tests.acceptance.test_by_hand import Notebook
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, Servers

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        server = servers.start(None, "--Cloudo.user_name=ada")
        write_flow(
            server.workspace, "a b/quick", "this.set_output('got', [n, name])", parameters="n = 1\nname: str = ''"
        )
        yield server


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def notebook(server: RunningServer) -> Iterator[Notebook]:
    notebook = Notebook(server, "by hand.ipynb")
    notebook.do("%load_ext cloudo_kernel")
    yield notebook
    notebook.close()


def test_a_flow_is_run_and_listed(notebook: Notebook, api: Client) -> None:
    assert notebook.ask("run = %flow 'a b/quick' n=5 name=01\nimport json; print(json.dumps(run.outputs))") == {
        "got": [5, "01"]
    }
    [record] = api.executions(limit=1).items
    assert (record.name, record.status, record.user_name) == ("a b/quick", Status.ENDED_SUCCESS, "ada")
    assert "a b/quick" in notebook.do("found = %flows quick\nprint(found)")
    assert "success" in notebook.do("found = %executions 'a b/quick'\nprint(found)")


def test_a_cell_is_saved_as_a_flow(notebook: Notebook, api: Client) -> None:
    cell = "%%flow made/here\n# %% parameters\nx: int = 2\n# %%\nthis.set_output('y', x * {})"
    for factor in (3, 4):  # the second one takes the place of the first one
        assert notebook.do(cell.format(factor)) == "Saved as the flow 'made/here'."
        assert notebook.ask("run = %flow made/here x=5\nprint(run.outputs['y'])") == 5 * factor
    assert api.flow("made/here").input_schema["properties"]["x"]["type"] == "integer"


def test_names_of_the_notebook_become_inputs_once_they_were_listed(notebook: Notebook, api: Client) -> None:
    notebook.do("import math as m\nregion, factors = 'nörth', [1, 2]")
    cell = "%%flow made/later{}\nthis.set_output('y', [region, [m.floor(n) for n in factors]])"
    said = notebook.do(cell.format(""))
    for line in (
        'input   region: str = "nörth"',
        "input   factors: list = [1, 2]",
        "import  import math as m",
        "--save",
    ):
        assert line in said
    assert "made/later" not in {flow.name for flow in api.flows()}
    assert notebook.do(cell.format(" --save")) == "Saved as the flow 'made/later'."
    assert notebook.ask("run = %flow made/later factors=[2.5]\nprint(json.dumps(run.outputs['y']))") == ["nörth", [2]]
    _, reply = notebook.run("frame = object()\nget_ipython().run_cell_magic('flow', 'made/no', 'frame, nowhere')")
    assert "frame is a object; nowhere is not defined" in reply["evalue"]
    assert "made/no" not in {flow.name for flow in api.flows()}


def test_a_flow_is_scheduled(notebook: Notebook, api: Client) -> None:
    said = notebook.do(
        "made = %schedule 'a b/quick' daily=08:30 timezone=Europe/Vienna overlap=queue name=Ada\nprint(made.summary)"
    )
    [made] = api.schedules().items
    assert (made.inputs, made.timezone, made.overlap) == ({"name": "Ada"}, "Europe/Vienna", "queue")
    assert said.count("08:30") == 3
    notebook.do(
        "made = %schedule 'a b/quick' every=10m wait=false max_iterations=2 start='tomorrow 08:30'\nmade.delete()"
    )
    api.delete_schedule(made.id)


def test_a_flow_is_scheduled_as_in_the_shell(notebook: Notebook, api: Client) -> None:
    for line in ("--in 10m n=3 name=Ada", "-p n=3 --in=10m -p name=Ada", "in=10m n=3 name=Ada"):
        notebook.do(f"made = %schedule 'a b/quick' {line}")
        [made] = api.schedules().items
        assert (made.inputs, made.trigger.delay_seconds) == ({"n": 3, "name": "Ada"}, 600)
        api.delete_schedule(made.id)
    notebook.do("made = %schedule 'a b/quick' --every 10m --grid --name Often --pause-after 3")
    [made] = api.schedules().items
    assert (made.name, made.trigger.wait, made.pause_on_error_count) == ("Often", False, 3)
    api.delete_schedule(made.id)
    assert "--max-iterations" in notebook.do("%schedule --help")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%flow", "Usage: %flow NAME key=value"),
        ("%flow 'a b/quick' n", "is not of the form KEY=VALUE"),
        ("%flow nowhere", "There is no flow 'nowhere'"),
        ("%schedule 'a b/quick' n=1", "Give one of"),
        ("%schedule 'a b/quick' --in 5x", "is not a duration"),
        ("%schedule 'a b/quick' --inn 5m", "--inn"),
        ("%schedule 'a b/quick' in=5x", "is not a duration"),
        ("%schedule 'a b/quick' at=2001-01-01", "is in the past"),
    ],
)
def test_what_makes_no_sense_is_said(notebook: Notebook, api: Client, line: str, said: str) -> None:
    _, reply = notebook.run(line)
    assert reply["status"] == "error"
    assert said in reply["evalue"]
    assert api.schedules().items == ()
