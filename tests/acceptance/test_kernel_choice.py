"""How a run is told its kernel and the limit of its cells: by the start, the metadata and the kernelspec."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cloudo_kernel as cloudo
from cloudo_kernel.errors import FlowBroken, MalformedRequest
from cloudo_kernel.flow_api import System
from cloudo_kernel.models import Execution as Record
from cloudo_kernel.models import StartExecution, Status
from tests.flows import install_kernel, notebook, write_flow


@pytest.fixture(scope="module")
def system(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Run flows where a kernel `other` is installed: Jupyter's own for Python, of which the file names no language."""
    installed = tmp_path_factory.mktemp("jupyter")
    install_kernel(installed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(installed))
        system = cloudo.connect(str(workspace))
        yield system
        system.api.close()


def test_a_kernelspec_without_language_is_that_of_the_installed_kernel(system: System, workspace: Path) -> None:
    book = json.loads(notebook("print(n, type(n))", parameters="n: int = 1"))
    book["metadata"]["kernelspec"] = {"name": "other", "display_name": "Other"}
    (workspace / "flows" / "foreign.ipynb").write_text(json.dumps(book))
    flow = system.api.flow("foreign")
    assert (flow.kernel, flow.broken, list(flow.input_schema["properties"])) == ("other", None, ["n"])
    ended = system.api.wait(system.api.start_execution(StartExecution(flow_name="foreign", inputs={"n": 2})).id)
    assert ended.status is Status.ENDED_SUCCESS, ended.error
    cells = json.loads(system.api.execution_notebook(ended.id))["cells"]
    assert cells[-1]["outputs"][0]["text"] == "2 <class 'int'>\n"


def test_a_kernel_that_is_not_installed_is_named_with_the_cure(system: System, workspace: Path) -> None:
    with pytest.raises(MalformedRequest, match=r"'no-such-kernel' is not installed.*`cloudo kernels`") as refused:
        start_of(system, script=notebook("1", kernel="no-such-kernel"))
    assert refused.value.field == "kernel"
    write_flow(workspace, "without kernel", "print('ran')", kernel="no-such-kernel")
    listed = {flow.name: flow.broken for flow in system.api.flows()}["without kernel"]
    assert listed == system.api.flow("without kernel").broken
    assert "'no-such-kernel' is not installed on this machine" in str(listed)
    with pytest.raises(FlowBroken, match="'no-such-kernel' is not installed"):
        system.flow("without kernel").start()
    # Another kernel can run it.
    ended = system.api.wait(start_of(system, flow_name="without kernel", kernel="other").id)
    assert (ended.status, ended.kernel) == (Status.ENDED_SUCCESS, "other")
    # One that was there when it was started, and is not when it runs.
    held = start_of(system, flow_name="without kernel", kernel="other", delay_seconds=2)
    spec = Path(os.environ["JUPYTER_PATH"], "kernels", "other", "kernel.json")
    spec.rename(spec.with_suffix(".away"))
    ended = system.api.wait(held.id)
    spec.with_suffix(".away").rename(spec)
    assert ended.error is not None
    assert ended.error.name == "NoSuchKernel"
    assert "jupyter kernelspec list" in ended.error.value


def start_of(system: System, **fields: Any) -> Record:
    started: Record = system.api.start_execution(StartExecution(**fields))
    return started


def has_this(record: Record, workspace: Path) -> bool:
    cells = json.loads((workspace / str(record.notebook)).read_text())["cells"]
    return "True" in str(cells[-1]["outputs"])


def test_a_kernel_is_chosen_by_the_start_then_by_the_metadata_then_by_the_kernelspec(
    system: System, workspace: Path
) -> None:
    cell = "print('this' in dir(__builtins__), n)"
    write_flow(workspace, "chosen", cell, parameters="n: int = 1", metadata={"kernel": "other"})
    flow = system.api.flow("chosen")
    assert (flow.kernel, list(flow.input_schema["properties"])) == ("other", ["n"])
    ended = system.api.wait(start_of(system, flow_name="chosen", inputs={"n": 2}).id)
    assert (ended.kernel, has_this(ended, workspace)) == ("other", False), ended.error
    for name in ("cloudo", "python3"):  # the server's own Python
        ended = system.api.wait(start_of(system, flow_name="chosen", kernel=name).id)
        assert (ended.kernel, has_this(ended, workspace)) == ("cloudo", True), ended.error
    again = system.api.wait(system.api.retry_execution(ended.id).id)
    assert again.kernel == "cloudo"  # as that start chose it
    with pytest.raises(MalformedRequest, match="'nothing' is not installed") as refused:
        start_of(system, flow_name="chosen", kernel="nothing")
    assert refused.value.field == "kernel"
    with pytest.raises(MalformedRequest, match="handler runs in the kernel cloudo only"):
        start_of(system, script="def handler(system, this): pass", kernel="other")
    assert {kernel.name for kernel in system.api.kernels()} >= {"cloudo", "other"}


@pytest.mark.parametrize(
    "cell",
    [
        "import time\ntime.sleep(99)",
        "import time\ntry:\n    time.sleep(99)\nexcept KeyboardInterrupt:\n    print('heeded')",
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(99)",
    ],
    ids=["is interrupted", "goes on", "is killed"],
)
def test_a_cell_that_takes_longer_than_its_limit_ends_the_run(system: System, workspace: Path, cell: str) -> None:
    source = notebook("print('quick')", f"print('begun', flush=True)\n{cell}", "this.set_output('x', 1)")
    ended = system.api.wait(start_of(system, script=source, cell_timeout_seconds=0.8).id)
    assert (ended.status, ended.output_value) == (Status.ENDED_ERROR, {})
    assert ended.error is not None
    assert (ended.error.name, ended.error.cell) == ("CellTimeout", 1)
    assert ended.message == "CellTimeout: The cell took longer than its limit of 0.8 s and was interrupted."
    cells = json.loads((workspace / str(ended.notebook)).read_text())["cells"]
    assert [cells[0]["outputs"][0]["text"], cells[1]["outputs"][0]["text"][:6]] == ["quick\n", "begun\n"]


def test_the_limit_of_a_cell_and_the_report_mode_are_in_the_metadata_and_in_starts(
    system: System, workspace: Path
) -> None:
    options = {"cell_timeout_seconds": 60, "report_mode": True}
    write_flow(workspace, "report", "import time; time.sleep(0.7); print(n)", parameters="n = 1", metadata=options)

    def hidden(**fields: Any) -> list[bool]:
        ended = system.api.wait(start_of(system, flow_name="report", inputs={"n": 2}, **fields).id)
        cells = json.loads((workspace / str(ended.notebook)).read_text())["cells"]
        return [cell["metadata"].get("jupyter", {}).get("source_hidden", False) for cell in cells]

    assert hidden() == [True, True, True]
    assert hidden(report_mode=False) == [False, False, False]
    ended = system.api.wait(start_of(system, flow_name="report", cell_timeout_seconds=0.3).id)
    assert ended.error is not None
    assert ended.error.name == "CellTimeout"
