"""Notebooks that misbehave, and notebooks in old or odd shapes: each run ends, and says how."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from cloudo_kernel.errors import MalformedRequest, NotebookNotFound
from cloudo_kernel.flow_api import Execution, System
from cloudo_kernel.models import StartExecution, Status
from cloudo_kernel.workspace.layout import executed_notebook
from tests.flows import notebook
from tests.server import until
from tests.workers import is_alive

Start = Callable[[str], Execution]


@pytest.fixture
def start(system: System) -> Start:
    """Start source as a script, without waiting."""
    return lambda source: Execution(system.api, system.api.start_execution(StartExecution(script=source)))


def is_gone(pid: int) -> bool:
    return not (psutil.pid_exists(pid) and is_alive(psutil.Process(pid)))


def test_what_it_forks_dies_with_it_and_a_daemon_does_not_hold_it(start: Start) -> None:
    fork = (
        "import os, time\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    os.closerange(0, 1024)\n    time.sleep(99)\n    os._exit(0)\n"
        "this.set_output('child', pid)"
    )
    daemon = (
        "ours, theirs = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if (pid := os.fork()) != 0:\n        os.write(theirs, str(pid).encode())\n        os._exit(0)\n"
        "    time.sleep(99)\n    os._exit(0)\n"
        "this.set_output('daemon', int(os.read(ours, 20)))"
    )
    execution = start(notebook(fork, daemon)).wait(60)
    assert execution.status is Status.ENDED_SUCCESS, execution.record.error
    child, daemon_pid = execution.outputs["child"], execution.outputs["daemon"]
    until(lambda: is_gone(child), seconds=10)
    # It left for a session of its own, which is how one says so; `docs/operations.md` tells of it.
    assert not is_gone(daemon_pid)
    os.kill(daemon_pid, 9)


@pytest.mark.parametrize("victims", [["kernel"], ["runner"], ["kernel", "runner"]])
def test_what_a_killed_one_started_dies_with_it(start: Start, victims: list[str]) -> None:
    execution = start(
        "import os, subprocess, time\nchild = subprocess.Popen(['sleep', '99'])\n"
        "this.set_output('pids', {'kernel': os.getpid(), 'runner': os.getppid(), 'child': child.pid})\ntime.sleep(99)"
    )
    until(lambda: execution.load("output_value"), seconds=60)
    pids = execution.outputs["pids"]
    for victim in victims:
        os.kill(pids[victim], 9)
    assert execution.wait(30).record.error.name == "KernelDied"
    until(lambda: is_gone(pids["child"]), seconds=10)


def test_one_that_ignores_the_interrupt_is_killed(start: Start) -> None:
    execution = start(
        "import os, signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "this.set_output('pid', os.getpid())\nwhile True:\n    time.sleep(1)"
    )
    until(lambda: execution.load("output_value"), seconds=60)
    execution.cancel().wait(30)
    assert execution.status is Status.ENDED_CANCELLED
    assert is_gone(execution.outputs["pid"])


def test_one_that_closes_its_standard_descriptors_runs_on(start: Start) -> None:
    execution = start(
        notebook("import os\nfor number in range(3):\n    os.close(number)", "os.chdir('/')\nthis.set_output('ok', 1)")
    ).wait(60)
    assert (execution.status, execution.outputs) == (Status.ENDED_SUCCESS, {"ok": 1}), execution.record.error


def test_one_that_prints_without_end_can_be_cancelled(start: Start) -> None:
    execution = start("import os\nthis.set_output('pid', os.getpid())\nwhile True:\n    print('x' * 1000)")
    until(lambda: execution.load("output_value"), seconds=60)
    execution.cancel().wait(30)
    assert execution.status is Status.ENDED_CANCELLED
    assert is_gone(execution.outputs["pid"])


def test_one_that_asks_for_input_is_told_that_nobody_is_there(start: Start) -> None:
    execution = start("name = input('Who? ')").wait(60)
    assert execution.status is Status.ENDED_ERROR
    error = execution.record.error
    assert error.name == "StdinNotImplementedError"
    assert "does not support input requests" in error.value


def test_one_that_raises_a_group_of_errors_names_it(start: Start, workspace: Path) -> None:
    ended = start(
        "import asyncio, sys\n"
        "async def fail(): raise ValueError('inner')\n"
        "print('before', file=sys.stderr)\n"
        "async with asyncio.TaskGroup() as group:\n"
        "    group.create_task(fail())\n"
    ).wait()
    record = ended.record
    assert record.status is Status.ENDED_ERROR
    assert record.error is not None
    assert record.error.name == "ExceptionGroup"
    assert record.error.value == "unhandled errors in a TaskGroup (1 sub-exception)"
    assert any("ValueError: inner" in line for line in record.error.traceback)
    assert record.notebook is not None
    cells = json.loads((workspace / record.notebook).read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert [output["output_type"] for output in outputs] == ["stream", "error"]
    assert outputs[0]["text"] == "before\n"


def test_bytes_that_are_no_text_do_no_harm(start: Start, workspace: Path) -> None:
    name = r"'caf\udce9.csv'"  # how Python shows a file name that is not UTF-8
    execution = start(notebook(f"print({name})", f"this.log({name})\nthis.set_output('text', {name})", f"open({name})"))
    execution.wait(60)
    assert execution.record.error.name == "FileNotFoundError"
    assert execution.outputs == {"text": "caf?.csv"}
    assert [line.text for line in execution.record.log] == ["caf?.csv"]
    assert nbformat.read(workspace / execution.get("notebook"), as_version=4).cells


@pytest.mark.parametrize(
    "change",
    [
        lambda book: book.update(nbformat_minor=0),
        lambda book: book.update(nbformat_minor=4),
        lambda book: book["cells"][0].update(metadata={"unheard-of": {"x": [1]}}, unknown=1),
        lambda book: book["metadata"].update({"vendor": {"deep": [None]}, "kernelspec": {"name": "cloudo"}}),
        lambda book: [cell.pop("id") for cell in book["cells"]],
        lambda book: book.update(nbformat_minor=99),
        lambda book: [book.pop("nbformat_minor"), [cell.pop("id") for cell in book["cells"]]],
        lambda book: [book.update(nbformat_minor=2), [cell.pop("outputs") for cell in book["cells"]]],
        lambda book: [cell.pop("execution_count") for cell in book["cells"]],
        lambda book: [cell.pop("metadata") for cell in book["cells"]],
        lambda book: [cell.update(metadata={"tags": None, "papermill": None}, outputs=None) for cell in book["cells"]],
        lambda book: [cell.update(metadata={"tags": [None, 1, "parameters"]}) for cell in book["cells"]],
        lambda book: book.update(metadata={"kernelspec": None, "language_info": None, "papermill": None}),
        lambda book: book["cells"].append({"cell_type": "raw", "source": "", "outputs": [{"output_type": "error"}]}),
    ],
    ids=[
        *("4.0", "4.4", "unknown metadata", "sparse metadata", "no ids", "4.99", "no minor", "no outputs"),
        *("no execution_count", "no metadata", "null", "odd tags", "null in the notebook's metadata", "raw outputs"),
    ],
)
def test_a_notebook_in_an_odd_shape_runs(start: Start, change: Callable[[dict[str, Any]], object]) -> None:
    book = json.loads(notebook("pass", "this.set_output('ok', 1)"))
    change(book)
    if book.get("nbformat_minor", 0) < 5:
        for cell in book["cells"]:
            cell.pop("id", None)
    execution = start(json.dumps(book)).wait(60)
    assert execution.outputs == {"ok": 1}, execution.record.error


def test_the_cell_that_declares_inputs_is_the_one_that_takes_them(system: System, workspace: Path) -> None:
    """A Markdown cell may have the tag, and an executed notebook has the cell of its own run's inputs."""
    book = json.loads(notebook("this.set_output('a', a)", parameters="a = 1"))
    old = {"cell_type": "code", "id": "old", "metadata": {"tags": ["injected-parameters"]}, "source": "a = 77"}
    heading = {"cell_type": "markdown", "id": "head", "metadata": {"tags": ["parameters"]}, "source": "# Inputs"}
    book["metadata"]["papermill"] = {"parameters": {"a": 77}}
    book["cells"][1:1] = [old]
    text = json.dumps({**book, "cells": [heading, *book["cells"]]})
    (workspace / "flows" / "executed.ipynb").write_text(text)
    api = system.api
    assert api.flow("executed").input_schema["properties"]["a"]["default"] == 1
    plain, given = (api.start_execution(StartExecution(flow_name="executed", inputs=it)) for it in ({}, {"a": 5}))
    assert api.wait(plain.id).output_value == {"a": 1}
    assert api.wait(given.id).output_value == {"a": 5}
    assert api.execution_source(given.id) == text
    made = json.loads((workspace / str(api.execution(given.id).notebook)).read_text())
    sources = ["".join(cell["source"]) for cell in made["cells"]]
    assert sources == ["# Inputs", "a = 1", "# Parameters\na = 5\n", "this.set_output('a', a)"]
    assert made["metadata"]["papermill"]["parameters"] == {"a": 5}
    made = json.loads((workspace / str(api.execution(plain.id).notebook)).read_text())
    assert made["metadata"]["papermill"]["parameters"] == {}


def test_inputs_whose_names_are_no_variables_stay_inputs(system: System) -> None:
    inputs = {"from": "x", "subject": "hi", "class": 1, "None": 2, "__debug__": 3, "a-b": 4, "match": 5, "ﬁ": 6}
    source = "this.set_output('seen', [subject, match, this.get('input_value')])"
    execution = system.api.start_execution(StartExecution(script=notebook(source), inputs=inputs))
    ended = system.api.wait(execution.id)
    assert ended.output_value == {"seen": ["hi", 5, inputs]}, ended.error


def test_a_notebook_of_format_3_runs_and_its_file_stays_as_it_is(system: System, workspace: Path) -> None:
    api = system.api

    def code(text: str | list[str], **metadata: Any) -> dict[str, Any]:
        cell = {"cell_type": "code", "language": "python", "collapsed": False, "metadata": metadata}
        return {**cell, "input": text, "outputs": [], "prompt_number": 1}

    heading = {"cell_type": "heading", "level": 1, "metadata": {}, "source": "Old but good"}
    cells = [
        heading,
        code(["n = 1  # how many\n", "m = 2"], tags=["parameters"]),
        code("this.set_output('sum', n + m)"),
    ]
    worksheets = [{"cells": cells, "metadata": {}}]
    text = json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": "old"}, "worksheets": worksheets})
    (workspace / "flows" / "old.ipynb").write_text(text)
    flow = api.flow("old")
    assert (flow.broken, flow.title, list(flow.input_schema["properties"])) == (None, "Old but good", ["n", "m"])
    started = api.start_execution(StartExecution(flow_name="old", inputs={"n": 40}))
    ended = api.wait(started.id, timeout=timedelta(minutes=1))
    assert (ended.status, ended.output_value) == (Status.ENDED_SUCCESS, {"sum": 42}), ended.error
    assert api.execution_source(ended.id) == text
    assert nbformat.read(workspace / str(ended.notebook), as_version=nbformat.NO_CONVERT).nbformat == 4


def test_a_run_that_wrote_no_notebook_names_none(start: Start, system: System, workspace: Path) -> None:
    # Papermill takes seconds to read it before its first cell, and so before it is written.
    book = json.loads(notebook("pass"))
    book["cells"] = [{**book["cells"][0], "id": f"cell-{number}"} for number in range(20_000)]
    execution = start(json.dumps(book))
    until(lambda: execution.load("started_at") is not None)
    assert execution.get("notebook") is None
    execution.cancel()
    record = execution.wait(60).record
    assert (record.status, record.notebook) == (Status.ENDED_CANCELLED, None)
    assert not (workspace / executed_notebook(None, record.id)).exists()
    with pytest.raises(NotebookNotFound):
        system.api.execution_notebook(record.id)


def test_a_flow_knows_its_own_notebook_from_its_first_cell_on(start: Start, workspace: Path) -> None:
    ended = start("this.set_output('notebook', this.get('notebook'))").wait(60)
    assert ended.outputs == {"notebook": ended.record.notebook}
    assert (workspace / str(ended.record.notebook)).is_file()


@pytest.mark.parametrize(
    ("book", "why"),
    [
        (
            {"nbformat": 2, "nbformat_minor": 0, "metadata": {}, "worksheets": []},
            "nbconvert --to notebook --nbformat 4",
        ),
        ({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}, "its cell 1"),
    ],
)
def test_a_notebook_that_cannot_run_is_refused_with_the_reason(start: Start, book: dict[str, Any], why: str) -> None:
    with pytest.raises(MalformedRequest, match=why):
        start(json.dumps(book))


def test_a_cell_tagged_raises_exception_may_fail_and_the_next_one_runs(start: Start, workspace: Path) -> None:
    def tagged(*sources: str) -> str:
        book = json.loads(notebook(*sources))
        book["cells"][0]["metadata"]["tags"] = ["raises-exception"]
        return json.dumps(book)

    ended = start(tagged("1 / 0", "this.set_output('after', 1)")).wait(60)
    assert (ended.status, ended.outputs, ended.record.error) == (Status.ENDED_SUCCESS, {"after": 1}, None)
    assert ended.record.progress.done == ended.record.progress.total == 2
    cells = json.loads((workspace / str(ended.record.notebook)).read_text())["cells"]
    assert [cell["cell_type"] for cell in cells] == ["code", "code"]  # no mark of an error of papermill's
    assert cells[0]["outputs"][0]["ename"] == "ZeroDivisionError"
    # An error in another cell is one all the same, and the flow's own end is its end.
    ended = start(tagged("1 / 0", "this.set_output('x', 1)", "[][1]")).wait(60)
    assert (ended.status, ended.record.error.name, ended.record.error.cell) == (Status.ENDED_ERROR, "IndexError", 4)
    ended = start(tagged("this.success('enough')", "this.set_output('after', 1)")).wait(60)
    assert (ended.status, ended.get("message"), ended.outputs) == (Status.ENDED_SUCCESS, "enough", {})


def test_a_cancelled_cell_is_the_last_one_whatever_its_tags(start: Start) -> None:
    book = json.loads(notebook("this.set_output('began', 1)\nimport time\ntime.sleep(99)", "this.set_output('x', 1)"))
    book["cells"][0]["metadata"]["tags"] = ["raises-exception"]
    execution = start(json.dumps(book))
    until(lambda: execution.load("output_value") == {"began": 1})
    execution.cancel()
    ended = execution.wait(60)
    assert (ended.status, ended.outputs) == (Status.ENDED_CANCELLED, {"began": 1})
