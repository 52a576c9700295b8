"""Flows that are scripts, in the style of the system that Cloudo follows; store, worker and kernels are real."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

import cloudo_kernel as cloudo
from cloudo_kernel.errors import FlowBroken
from cloudo_kernel.flow_api import Execution, System
from cloudo_kernel.models import StartExecution, Status
from tests.flows import write_flow, write_script

Run = Callable[..., Execution]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scripts")


@pytest.fixture(scope="module")
def system(workspace: Path) -> Iterator[System]:
    (workspace / "flows").mkdir()
    os.environ["CLOUDO_TEST_WORKSPACE"] = str(workspace)  # tells these processes from those of other tests
    system = cloudo.connect(str(workspace))
    yield system
    system.api.close()
    del os.environ["CLOUDO_TEST_WORKSPACE"]


@pytest.fixture
def script(workspace: Path) -> Callable[[str, str], Path]:
    """Write a script as a flow."""
    return lambda name, text: write_script(workspace, name, textwrap.dedent(text))


@pytest.fixture
def run(system: System) -> Run:
    """Run a script that comes with the request."""

    def run(source: str, **more: object) -> Execution:
        request = StartExecution(script=textwrap.dedent(source), **more)  # type: ignore[arg-type]  # mixed
        return Execution(system.api, system.api.start_execution(request)).wait(60)

    return run


def test_a_script_runs_as_a_notebook_of_its_source_and_a_call(workspace: Path, system: System) -> None:
    text = (
        '# cloudo:\n#   tags: [daily]\n"""Greets somebody."""\nimport os\nimport flow_api\n\n\n'
        "def handler(system: flow_api.System, this: flow_api.Execution):\n"
        "    inputs = this.get('input_value')\n"
        "    print(os.path.basename(os.getcwd()))\n"
        "    this.set_output('greeting', f'Hello, {inputs[\"list\"]}!')\n"
        "    return this.success(message='all done')\n"
    )
    write_script(workspace, "people/greet", text)
    assert system.flow("people/greet").get("title") == "Greets somebody."
    execution = system.flow("people/greet").run(list="Ada", handler="not this one")
    assert (execution.status, execution.get("message")) == (Status.ENDED_SUCCESS, "all done")
    assert (execution.outputs, execution.get("type")) == ({"greeting": "Hello, Ada!"}, "FLOW")
    assert system.api.execution_source(execution.id) == text
    made = nbformat.read(workspace / execution.get("notebook"), as_version=4)
    nbformat.validate(made)
    assert [cell.source for cell in made.cells] == [text, "handler(system, this)"]
    assert made.cells[1].outputs[0].text == "people\nEnded in success: all done\n"
    assert (execution.get("progress").done, execution.get("progress").total) == (2, 2)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("return this.success('fine')", Status.ENDED_SUCCESS, "fine"),
        ("this.success('fine')\n    raise ValueError", Status.ENDED_SUCCESS, "fine"),
        ("return this.error('no stock')", Status.ENDED_ERROR, "no stock"),
        ("this.error('no stock')\n    raise ValueError", Status.ENDED_ERROR, "no stock"),
        ("return this.end('success', 'said')", Status.ENDED_SUCCESS, "said"),
        ("return this.end('error', 'said')", Status.ENDED_ERROR, "said"),
        ("pass", Status.ENDED_SUCCESS, None),
        ("return {'any': 'thing'}", Status.ENDED_SUCCESS, None),
        ("raise ValueError('oh')", Status.ENDED_ERROR, "ValueError: oh"),
        ("try:\n        this.success('fine')\n    except Exception:\n        1 / 0", Status.ENDED_SUCCESS, "fine"),
    ],
)
def test_how_a_handler_ends_its_execution(run: Run, body: str, status: Status, message: str | None) -> None:
    execution = run(f"import flow_api\n\ndef handler(system, this):\n    {body}\n")
    assert (execution.status, execution.get("message")) == (status, message)
    assert execution.get("type") == "SCRIPT"


def test_an_error_in_a_handler_names_its_line(system: System, run: Run) -> None:
    execution = run("def handler(system, this):\n    this.log('before')\n    return 1 / 0\n")
    error = execution.get("error")
    assert (error.name, error.cell) == ("ZeroDivisionError", 1 + 2)  # papermill puts two cells before it
    assert "return 1 / 0" in "\n".join(error.traceback)
    assert json.loads(system.api.execution_notebook(execution.id))["cells"][1]["source"].startswith("def handler")


def test_a_coroutine_may_be_the_handler(run: Run) -> None:
    execution = run(
        "import asyncio\nasync def handler(system, this):\n    await asyncio.sleep(0)\n    this.success('ok')"
    )
    assert execution.get("message") == "ok"


def test_a_script_that_cannot_be_run_is_refused_at_the_door(workspace: Path, system: System) -> None:
    write_script(workspace, "helper", "def help(): ...")
    with pytest.raises(FlowBroken, match="it defines no handler"):
        system.flow("helper").start()
    write_script(workspace, "both", "def handler(system, this): ...")
    write_flow(workspace, "both", "this.set_output('from', 'notebook')")
    assert system.flow("both").run().outputs == {"from": "notebook"}
    assert "has the same name and wins" in next(flow.get("broken") for flow in system.flows("both.py"))
