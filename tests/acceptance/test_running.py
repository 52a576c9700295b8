"""Running notebooks: a store, a worker and kernels, all real, through a local connection."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

import cloudo_kernel as cloudo
from cloudo_kernel.errors import DependencyFailedError, ExecutionNotFound, FlowBroken, InputsInvalid, MalformedRequest
from cloudo_kernel.flow_api import Execution, System
from cloudo_kernel.models import StartExecution, Status
from cloudo_kernel.settings import MAX_RUNNING
from tests.flows import notebook, write_flow
from tests.server import run_processes, until

Run = Callable[..., Execution]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("running workspace é")


@pytest.fixture(scope="module")
def system(workspace: Path) -> Iterator[System]:
    (workspace / "flows").mkdir()
    os.environ["CLOUDO_TEST_WORKSPACE"] = str(workspace)  # tells these processes from those of other tests
    system = cloudo.connect(str(workspace))
    yield system
    system.api.close()
    del os.environ["CLOUDO_TEST_WORKSPACE"]


@pytest.fixture
def start(system: System) -> Run:
    """Start source as a script, without waiting."""

    def start(source: str, **more: Any) -> Execution:
        return Execution(system.api, system.api.start_execution(StartExecution(script=source, **more)))

    return start


@pytest.fixture
def run(start: Run) -> Run:
    """Run source as a script to its end."""
    return lambda source, **more: start(source, **more).wait()


def executed(workspace: Path, execution: Execution) -> nbformat.NotebookNode:
    """Return the executed notebook, checked against the format's schema."""
    path = workspace / execution.load("notebook")
    made = nbformat.read(path, as_version=4)
    nbformat.validate(made)
    return made


def has_output(workspace: Path, execution: Execution) -> bool:
    """Tell whether the notebook as saved so far has an output."""
    path = execution.load("notebook")
    if path is None or not (workspace / path).exists():
        return False
    return any(cell.get("outputs") for cell in json.loads((workspace / path).read_text())["cells"])


def test_a_flow_runs_with_its_inputs_in_its_own_folder(workspace: Path, system: System) -> None:
    write_flow(
        workspace,
        "täglich/daily report",
        "import os\nrows = top * 2\nprint(os.path.basename(os.getcwd()))",
        "this.set_output('rows', rows)\nthis.set_output('region', region)",
        "rows",
        parameters="region: str = 'north'  # which region\ntop: int = 3",
    )
    execution = system.flow("täglich/daily report").run(top=21)
    assert execution.status is Status.ENDED_SUCCESS
    assert execution.outputs == {"rows": 42, "region": "north"}
    record = execution.record
    assert record.notebook == f"executions/täglich/daily report/{execution.id}.ipynb"
    assert (record.progress.done, record.progress.total) == (5, 5)  # papermill's cell of parameters counts
    assert record.started_at is not None
    assert record.ended_at is not None
    assert record.created_at <= record.started_at <= record.ended_at
    cells = executed(workspace, execution).cells
    assert "top = 21" in cells[1].source
    assert cells[2].outputs[0].text == "täglich\n"
    assert cells[4].outputs[0].data["text/plain"] == "42"


def test_a_failing_cell_ends_the_run_and_its_notebook_holds_what_was_before(workspace: Path, system: System) -> None:
    write_flow(workspace, "failing", "print('before')", "def deep():\n    return 1 / 0\ndeep()", "print('never')")
    with pytest.raises(DependencyFailedError, match="ZeroDivisionError: division by zero"):
        system.flow("failing").run()
    execution = system.executions(flow_name="failing")[0]
    error = execution.load("error")
    assert (error.name, error.value) == ("ZeroDivisionError", "division by zero")
    assert "deep()" in "\n".join(error.traceback)
    assert "\x1b" not in "\n".join(error.traceback)
    cells = executed(workspace, execution).cells
    assert cells[error.cell].source.startswith("def deep")
    assert cells[error.cell].outputs[0].output_type == "error"
    assert [
        cell.outputs[0].text for cell in cells if cell.cell_type == "code" and cell.source == "print('before')"
    ] == ["before\n"]
    assert cells[-1].outputs == []


def test_success_and_error_end_the_run_there_and_then(workspace: Path, run: Run) -> None:
    good = run("this.success('all is well')\nprint('never')")
    assert (good.status, good.record.message, good.record.error) == (Status.ENDED_SUCCESS, "all is well", None)
    [cell] = executed(workspace, good).cells
    assert cell.outputs[0].text == "Ended in success: all is well\n"
    bad = run("try:\n    this.error('3 of 8 checks failed')\nexcept Exception:\n    print('caught')")
    assert (bad.status, bad.record.message) == (Status.ENDED_ERROR, "3 of 8 checks failed")
    [cell] = executed(workspace, bad).cells
    assert [output.output_type for output in cell.outputs] == ["stream"]


def test_this_and_system_survive_a_reset(run: Run) -> None:
    book = notebook(
        "%reset -f\nthis.set_output('a', this.get('type'))", "x = 1\nthis.log('still', here=x, level='warning')"
    )
    execution = run(book)
    assert execution.record.error is None
    assert execution.outputs == {"a": "SCRIPT"}
    assert [(line.level, line.text) for line in execution.record.log] == [("warning", "still here=1")]


def test_a_running_flow_saves_its_name_message_and_outputs(run: Run) -> None:
    execution = run(
        "import flow_api\n"
        "assert isinstance(system, flow_api.System)\n"
        "assert this.get('input_value') == {'a': 1}\n"
        "this.save(name='renamed', message='half way', output_value={'x': 1})\n"
        "this.set_output('list', 1, append=True)\nthis.set_output('list', 2, append=True)",
        inputs={"a": 1},
    )
    assert execution.record.error is None
    assert execution.get("name", "message") == ("renamed", "half way")
    assert execution.outputs == {"x": 1, "list": [1, 2]}


def test_outputs_that_are_no_json_or_too_large_are_named(run: Run) -> None:
    execution = run(notebook("this.set_output('frame', object())"))
    assert execution.record.error.name == "MalformedRequest"
    assert "frame is a object" in execution.record.error.value
    execution = run("this.set_output('big', 'x' * 20_000_000)")
    assert "at most 17 MB are kept" in execution.record.error.value
    assert execution.outputs == {}


@pytest.mark.parametrize(
    ("source", "how"),
    [
        ("import os\nos._exit(3)", "exited with code 3"),
        ("import ctypes\nctypes.string_at(0)", "killed by SIGSEGV"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
    ],
)
def test_a_kernel_that_dies_ends_its_execution_at_once(workspace: Path, run: Run, source: str, how: str) -> None:
    execution = run(notebook("print('kept')", source))
    assert execution.status is Status.ENDED_ERROR
    assert execution.record.error.name == "KernelDied"
    assert how in execution.record.error.value
    assert executed(workspace, execution).cells[0].outputs[0].text == "kept\n"


def test_a_runner_that_dies_ends_its_execution_too(workspace: Path, start: Run) -> None:
    execution = start("import os, time\nprint('started', flush=True)\nos.kill(os.getppid(), 9)\ntime.sleep(60)").wait(
        30
    )
    assert execution.status is Status.ENDED_ERROR
    assert execution.record.error.name == "KernelDied"
    assert "signal 9" in execution.record.error.value
    until(lambda: not run_processes(workspace))


def test_a_run_past_its_limit_ends_as_timeout(workspace: Path, system: System) -> None:
    write_flow(workspace, "slow", "import time\ntime.sleep(60)", metadata={"timeout_seconds": 2.5})
    execution = system.flow("slow").start().wait(30)
    assert (execution.status, execution.record.error.name) == (Status.ENDED_ERROR, "Timeout")
    assert "2.5 s" in execution.record.message


@pytest.mark.parametrize("stubborn", [False, True])
def test_cancelling_a_running_one_leaves_no_process(workspace: Path, start: Run, stubborn: bool) -> None:
    loop = (
        "while True:\n    try:\n        time.sleep(1)\n    except BaseException:\n        pass"
        if stubborn
        else "time.sleep(60)"
    )
    execution = start(f"import time, subprocess\nprint('started')\nsubprocess.Popen(['sleep', '100'])\n{loop}")
    until(lambda: has_output(workspace, execution), seconds=30)
    execution.cancel().wait(30)
    assert execution.status is Status.ENDED_CANCELLED
    assert execution.record.message.startswith("cancelled by ")
    until(lambda: not run_processes(workspace))
    [outputs] = [cell.outputs for cell in executed(workspace, execution).cells if cell.cell_type == "code"]
    assert outputs[0].text == "started\n"
    assert stubborn or outputs[-1].ename == "KeyboardInterrupt"


def test_slots_are_kept_and_pending_ones_follow_in_order(workspace: Path, system: System, start: Run) -> None:
    system.api.save_setting(MAX_RUNNING, 1)
    try:
        marks = workspace / "marks"
        sources = [f"import time\nopen({str(marks)!r}, 'a').write('{number} ')\ntime.sleep(0.3)" for number in range(3)]
        started = [start(source) for source in sources]
        cancelled = start("print('never')")
        later = start("pass", delay_seconds=3600)
        assert cancelled.cancel().status is Status.ENDED_CANCELLED  # it is pending: at once, without a process
        for execution in started:
            assert execution.wait(60).status is Status.ENDED_SUCCESS
        assert marks.read_text() == "0 1 2 "
        spans = [(one.record.started_at, one.record.ended_at) for one in started]
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
        assert later.load("status") is Status.PENDING
        assert later.cancel().get("notebook") is None
    finally:
        system.api.delete_setting(MAX_RUNNING)


def test_a_parent_waits_for_its_child_without_a_slot(workspace: Path, system: System) -> None:
    write_flow(workspace, "child", "this.set_output('double', 2 * n)", parameters="n: int")
    write_flow(
        workspace,
        "parent",
        "one = this.flow('child', n=4, name='my child')\nthis.set_output('one', one.get('output_value'))",
        "many = [this.flow('child', {'n': n}, wait=False) for n in range(3)]\nthis.wait_for(*many)",
        "this.set_output('sum', sum(child.load('output_value')['double'] for child in many))",
    )
    system.api.save_setting(MAX_RUNNING, 1)
    try:
        parent = system.flow("parent").run()
    finally:
        system.api.delete_setting(MAX_RUNNING)
    assert parent.outputs == {"one": {"double": 8}, "sum": 6}
    children = system.executions(parent_id=parent.id)
    assert len(children) == 4
    assert {child.get("trigger") for child in children} == {"flow"}
    assert children[-1].get("name") == "my child"
    kinds = [event.type for event in system.api.events(after=0, limit=500, subject_id=parent.id).items]
    assert kinds.count("ExecutionWaited") == kinds.count("ExecutionResumed") >= 2


def test_a_failing_child_raises_in_its_parent_unless_caught(workspace: Path, system: System) -> None:
    write_flow(workspace, "bad child", "raise ValueError('no')")
    write_flow(
        workspace,
        "careful",
        "import flow_api\ntry:\n    this.flow('bad child')\nexcept flow_api.DependencyFailedError as error:\n"
        "    this.set_output('why', str(error))",
        "first = this.wait_for(this.flow('bad child', wait=False), return_when=system.return_when.FIRST_ENDED)",
        "this.set_output('first', first.get('status'))",
    )
    write_flow(workspace, "careless", "this.flow('bad child')")
    careful = system.flow("careful").run()
    assert "ENDED_ERROR: ValueError: no" in careful.outputs["why"]
    assert careful.outputs["first"] == "ENDED_ERROR"
    careless = system.flow("careless").start().wait()
    assert careless.record.error.name == "DependencyFailedError"


def test_cancelling_a_parent_reaches_its_children(workspace: Path, system: System) -> None:
    write_flow(workspace, "endless", "import time\ntime.sleep(100)")
    write_flow(workspace, "waiting", "this.flow('endless')")
    parent = system.flow("waiting").start()
    until(lambda: parent.load("status") is Status.WAITING, seconds=30)
    assert parent.get("message") == "waiting for endless"
    parent.cancel().wait(30)
    [child] = system.executions(parent_id=parent.id)
    assert (parent.status, child.wait(30).status) == (Status.ENDED_CANCELLED, Status.ENDED_CANCELLED)


def test_an_unknown_input_is_refused_at_the_door_but_kept_from_a_child(workspace: Path, system: System) -> None:
    write_flow(workspace, "strict", "this.set_output('seen', this.get('input_value'))", parameters="a: int = 1")
    write_flow(workspace, "generous", "this.set_output('seen', this.flow('strict', a=2, extra=3).get('output_value'))")
    before = len(system.executions(flow_name="strict"))
    for inputs, field in (({"b": 1}, "b"), ({"a": "x"}, "a"), ({"a": True}, "a")):
        with pytest.raises(InputsInvalid) as caught:
            system.flow("strict").start(**inputs)
        assert caught.value.field == field
    assert len(system.executions(flow_name="strict")) == before
    assert system.flow("generous").run().outputs == {"seen": {"seen": {"a": 2, "extra": 3}}}


def test_a_very_large_output_is_kept_whole(workspace: Path, run: Run) -> None:
    execution = run("print('x' * 50_000_000)")
    assert execution.status is Status.ENDED_SUCCESS, execution.record.error
    [cell] = executed(workspace, execution).cells
    assert len(cell.outputs[0].text) == 50_000_001


def test_a_hundred_thousand_log_lines_are_kept_in_order(system: System, run: Run) -> None:
    execution = run("for number in range(100_000):\n    this.log(number)")
    assert execution.status is Status.ENDED_SUCCESS, execution.record.error
    assert [line.text for line in execution.record.log] == [str(number) for number in range(99_000, 100_000)]
    first = system.api.execution_log(execution.id, limit=500)
    assert [line.text for line in first.items] == [str(number) for number in range(500)]


def test_log_and_progress_are_seen_while_it_runs(system: System, start: Run) -> None:
    release = "import pathlib, time\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.05)"
    execution = start(notebook("this.log('first')", release))
    until(lambda: execution.load("progress").cell == "import pathlib, time" and execution.load("log"), seconds=30)
    assert execution.status is Status.RUNNING
    assert execution.get("progress").done == 1
    execution.cancel().wait(30)


def test_deleting_takes_the_row_and_the_notebook(workspace: Path, system: System, run: Run) -> None:
    execution = run("print(1)")
    path = workspace / execution.get("notebook")
    assert json.loads(system.api.execution_notebook(execution.id))["cells"]
    system.api.delete_execution(execution.id)
    assert not path.exists()
    with pytest.raises(ExecutionNotFound):
        execution.load("status")


def test_the_source_is_kept_exactly_as_it_was(workspace: Path, system: System) -> None:
    path = write_flow(workspace, "changing", "print('old')")
    old = path.read_text()
    execution = system.flow("changing").start()
    write_flow(workspace, "changing", "raise SystemError('new')")
    assert execution.wait().status is Status.ENDED_SUCCESS
    assert system.api.execution_source(execution.id) == old


def test_a_flow_without_kernelspec_runs_in_cloudo(workspace: Path, system: System) -> None:
    write_flow(workspace, "plain", "this.set_output('ok', ok)", parameters="ok = False", kernel=None)
    write_flow(workspace, "python", "this.set_output('ok', True)", kernel="python3")
    assert system.flow("plain").run(ok=True).outputs == {"ok": True}
    assert system.flow("python").run().outputs == {"ok": True}


def test_a_kernel_that_is_not_installed_is_an_error_that_names_it(workspace: Path, system: System) -> None:
    write_flow(workspace, "foreign", "1", kernel="no-such-kernel")
    with pytest.raises(FlowBroken, match="'no-such-kernel' is not installed"):
        system.flow("foreign").start()


@pytest.mark.parametrize("inputs", [{"x": 1, "not a name": 2, "this": 3}, {"name": "a'\n\"; import os"}])
def test_a_flow_without_parameters_takes_any_inputs(run: Run, inputs: dict[str, object]) -> None:
    execution = run("got = dict(this.get('input_value'))\nthis.set_output('got', got)\n", inputs=dict(inputs))
    if "this" in inputs:
        assert execution.record.error.name == "AttributeError"  # the author's own input of that name wins
    else:
        assert execution.outputs == {"got": inputs}


def test_requests_that_make_no_sense_are_refused(system: System) -> None:
    for request in (
        StartExecution(),
        StartExecution(flow_name="plain", script="1"),
        StartExecution(script="{not json"),
        StartExecution(script="%%%", script_encoding="base64"),
        StartExecution(script="1", scheduled_at="2030-01-01T00:00:00Z", delay_seconds=1),
    ):
        with pytest.raises(MalformedRequest):
            system.api.start_execution(request)


def test_what_nobody_reads_does_not_stop_a_run(run: Run) -> None:
    execution = run("import os\nos.close(0)\nos.chdir('/')\nprint('fine')\nthis.set_output('done', 1)")
    assert execution.outputs == {"done": 1}
