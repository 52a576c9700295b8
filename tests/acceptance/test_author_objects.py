"""What authors may write in several ways: real kernels, through a local connection."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cloudo_kernel as cloudo
from cloudo_kernel.flow_api import Execution, System
from cloudo_kernel.models import StartExecution, Status
from tests.flows import write_flow

Run = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    workspace: Path = tmp_path_factory.mktemp("authors")
    (workspace / "flows").mkdir()
    write_flow(workspace, "double", "this.set_output('double', 2 * n)", parameters="n: int = 1")
    write_flow(workspace, "bad", "raise ValueError('no')")
    system = cloudo.connect(str(workspace))
    yield system
    system.api.close()


@pytest.fixture
def run(system: System) -> Run:
    """Run source to its success, and return what it put out; `said(f)` is the error of a call, in words."""
    said = textwrap.dedent(
        """
        def said(call):
            try:
                return call()
            except Exception as error:
                return f"{type(error).__name__}: {error}"
        """
    )

    def run(source: str) -> dict[str, Any]:
        request = StartExecution(script=said + textwrap.dedent(source))
        execution = Execution(system.api, system.api.start_execution(request)).wait(60)
        assert execution.status is Status.ENDED_SUCCESS, execution.get("error")
        return execution.outputs

    return run


def test_what_was_set_is_saved(run: Run) -> None:
    outputs = run(
        """
        child = this.flow("double", run=False)
        child.set(name="mine", message="soon").set(tags=["a"]).save()
        seen = system.execution(child.id).get("name", "message", "tags")
        this.set(message="half way").save()
        this.set_output("seen", [*seen, this.load("message")])
        child.set(name="forgotten").load("name")
        this.set_output("nothing", [said(this.save), said(child.save)])
        """
    )
    assert outputs["seen"] == ["mine", "soon", ["a"], "half way"]
    assert outputs["nothing"] == [f"MalformedRequest: Nothing to save: {HOW}"] * 2


HOW = "give a field, such as save(message='half way')."


def test_what_is_no_name_is_told_so(run: Run) -> None:
    outputs = run(
        """
        calls = [lambda: this.set_output(5, 1), lambda: system.flow(None), lambda: system.execution(5)]
        calls += [lambda: system.setting(5), lambda: system.file(5)]
        calls += [lambda: this.flow("double", [1]), lambda: this.flow("double", init=5)]
        this.set_output("said", [said(call) for call in calls])
        """
    )
    assert outputs["said"] == [
        "MalformedRequest: An output's key is text, not 5.",
        "MalformedRequest: A flow's name is text, not None.",
        "MalformedRequest: An execution's id is text, not 5.",
        "MalformedRequest: A setting's name is text, not 5.",
        "MalformedRequest: A file's path is text, not 5.",
        "MalformedRequest: inputs is a dict, not a list.",
        "MalformedRequest: init is a dict, not a int.",
    ]


def test_a_wait_says_which_end_it_takes(run: Run) -> None:
    outputs = run(
        """
        import flow_api
        bad = this.flow("bad", wait=system.return_when.ALL_ENDED)
        this.set_output("bad", bad.get("status"))
        this.set_output("failed", said(lambda: bad.wait(return_when="ALL_SUCCEEDED")).split(":")[0])
        this.set_output("unknown", said(lambda: bad.wait(return_when="SOME")))
        this.set_output("same", flow_api.exceptions.DependencyFailedError is flow_api.DependencyFailedError)
        later = {n: this.flow("double", n=n, run=False) for n in (1, 2)}
        later[2].run_async(wait_for=later[1])
        later[1].run_async()
        this.set_output("both", [one.outputs["double"] for one in this.wait_for(later.values())])
        """
    )
    assert outputs["bad"] == "ENDED_ERROR"
    assert outputs["failed"] == "DependencyFailedError"
    assert outputs["unknown"] == (
        "MalformedRequest: return_when takes ALL_ENDED, ALL_SUCCEEDED, FIRST_ENDED, not 'SOME'."
    )
    assert (outputs["same"], outputs["both"]) == (True, [2, 4])


def test_times_to_wait_are_numbers_or_text_of_any_length(run: Run) -> None:
    outputs = run(
        """
        slow = this.script("import time; time.sleep(60)", wait=False)
        this.set_output("late", [
            said(lambda: this.wait_for(slow, timeout_seconds="0.1")),
            said(lambda: slow.wait("0.1").get("status").is_ended),
            said(lambda: system.message("Who?", request="Name").wait("0.1")),
            said(lambda: slow.wait("soon")),
            said(lambda: slow.wait(float("nan"))),
        ])
        slow.cancel()
        this.wait_for(slow, return_when="ALL_ENDED", timeout_seconds=1e15)
        """
    )
    assert outputs["late"] == [
        "DependencyTimeoutError: Not ended within 0.1 s: script.",
        False,
        "MessageResponseTimeoutError: input request expired: 'Who?' was not answered within 0.1 seconds.",
        "MalformedRequest: timeout_seconds takes a number of seconds, not 'soon'.",
        "MalformedRequest: timeout_seconds takes a finite number of seconds, not nan.",
    ]


def test_a_script_may_be_indented_as_a_whole(run: Run) -> None:
    outputs = run(
        """
        def start():
            return this.script('''
                def handler(system, this):
                    this.set_output("text", "a\\\\n  b")
                    return this.success("from within")
            ''')
        child = start()
        this.set_output("child", [child.get("message"), child.outputs["text"]])
        """
    )
    assert outputs["child"] == ["from within", "a\n  b"]


def test_several_fields_are_read_at_once(run: Run) -> None:
    outputs = run(
        """
        setting = system.setting("a.setting", value=1)
        file = system.file("a file", "text")
        this.set_output("fields", [
            setting.get("name", "value"), setting.load("value", "secret"), file.load("path", "content"),
            system.flow("double").get("name", "id"), said(lambda: system.flow("double").get()),
        ])
        this.set_output("below", [said(lambda: system.file("a file/b", "x")), said(system.file("a file/b").get)])
        this.set_output("found", [
            len(system.executions(status="RUNNING", limit=1)), said(lambda: system.executions(colour="red")),
            said(lambda: system.executions(status="nope")),
        ])
        """
    )
    assert outputs["fields"] == [
        ["a.setting", 1],
        [1, False],
        ["a file", "text"],
        ["double", "double"],
        "MalformedRequest: Name a field, such as get('name').",
    ]
    below = "'a file/b' cannot be the path of a file in the workspace: a part of it is a file."
    assert outputs["below"] == [f"PathInvalid: {below}", "NoSuchFile: There is no file 'a file/b' in the workspace."]
    number, unknown, wrong = outputs["found"]
    assert number == 1
    assert unknown.startswith("MalformedRequest: colour: ")
    assert wrong.startswith("MalformedRequest: status: ")


def test_nothing_can_be_logged_after_the_end(run: Run, system: System) -> None:
    source = (
        "try:\n    this.success('done')\nexcept BaseException:\n    pass\n"
        "try:\n    this.log('late')\nexcept Exception as error:\n    print(error)\nthis.load('status')"
    )
    execution = Execution(system.api, system.api.start_execution(StartExecution(script=source))).wait(60)
    assert (execution.status, execution.get("message"), execution.get("log")) == (Status.ENDED_SUCCESS, "done", ())
    assert "nothing can be logged after that" in system.api.execution_notebook(execution.id)
