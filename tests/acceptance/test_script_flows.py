"""Flows that are scripts, in the style of the system that Cloudo follows; store, worker and kernels are real."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from cloudo_kernel.errors import FlowBroken
from cloudo_kernel.flow_api import Execution, System
from cloudo_kernel.models import StartExecution, Status
from tests.flows import write_flow, write_script

Run = Callable[..., Execution]


@pytest.fixture
def run(system: System) -> Run:
    """Run a script that comes with the request."""

    def run(source: str, **more: Any) -> Execution:
        request = StartExecution(script=textwrap.dedent(source), **more)
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


def test_a_parent_loops_over_a_list_and_gathers_outputs(script: Callable[[str, str], Path], system: System) -> None:
    script(
        "convert",
        """\
        import flow_api

        def handler(system: flow_api.System, this: flow_api.Execution):
            inputs = this.get('input_value') or {}
            if inputs['number'] < 0:
                return this.error('negative')
            this.set_output('half', inputs['number'] / 2)
            return this.success(message='converted')
        """,
    )
    script(
        "gather",
        """\
        import flow_api

        def handler(system: flow_api.System, this: flow_api.Execution):
            numbers = this.get('input_value')['numbers']
            children = []
            for number in numbers:
                child = this.flow('convert', number=number, name=f'convert {number}', wait=False)
                children.append(child)
            this.wait_for(*children, return_when=system.return_when.ALL_ENDED)
            for child in children:
                status, name = child.get('status', 'name')
                if status == 'ENDED_SUCCESS':
                    this.set_output('halves', child.get('output_value')['half'], append=True)
                else:
                    this.set_output('failed', name, append=True)
                    this.log('this one failed', name=name, why=child.get('message'))
            try:
                this.flow('convert', {'number': -5})
            except flow_api.DependencyFailedError as err:
                this.log(err)
            return this.success('all done')
        """,
    )
    execution = system.flow("gather").run(numbers=[2, -1, 5])
    assert execution.outputs == {"halves": [1.0, 2.5], "failed": ["convert -1"]}
    assert execution.get("message") == "all done"
    lines = [line.text for line in execution.load("log")]
    assert lines[0] == "this one failed name='convert -1' why='negative'"
    assert "ended in ENDED_ERROR: negative" in lines[1]


def test_a_recurring_loop_keeps_its_times(script: Callable[[str, str], Path], system: System) -> None:
    script(
        "tick",
        """\
        import time

        def handler(system, this):
            inputs = this.get('input_value')
            this.set_output('time', time.time())
            if inputs['iterations'] == 2:
                raise ValueError('the second one fails')
        """,
    )
    script(
        "recur",
        """\
        import time
        import flow_api

        def handler(system: flow_api.System, this: flow_api.Execution):
            inputs = this.get('input_value')
            flow_name = inputs['flow_name']
            interval = inputs['interval']
            max_iterations = inputs.get('max_iterations')
            start_ts = time.time()
            iterations = 0
            this.save(name=f'recurring {flow_name}')
            while max_iterations is None or iterations < max_iterations:
                iterations += 1
                run = this.flow(
                    flow_name,
                    inputs={'start': start_ts, 'iterations': iterations, 'max_iterations': max_iterations},
                    name=f'{flow_name} iteration #{iterations}',
                    run=False,
                )
                this.save(message=f'iteration {iterations}')
                if inputs.get('wait'):
                    try:
                        run.run()
                    except Exception as ex:
                        this.log(f'iteration {iterations} failed: {ex}')
                else:
                    run.run_async()
                if iterations != max_iterations:
                    this.sleep_until(start_ts + iterations * interval)
            this.set_output('start', start_ts)
            return this.success(f'reached {iterations} iterations')
        """,
    )
    for wait in (True, False):
        execution = system.flow("recur").run(flow_name="tick", interval=0.8, max_iterations=3, wait=wait)
        assert execution.get("name", "message") == ("recurring tick", "reached 3 iterations")
        ticks = sorted(system.executions(parent_id=execution.id), key=lambda one: one.get("name"))
        assert [one.get("name") for one in ticks] == [f"tick iteration #{number}" for number in (1, 2, 3)]
        assert [one.wait(30).status.removeprefix("ENDED_") for one in ticks] == ["SUCCESS", "ERROR", "SUCCESS"]
        assert ticks[2].load("created_at").timestamp() >= execution.outputs["start"] + 2 * 0.8
        logged = [line.text for line in execution.load("log")]
        assert [text.partition(" failed")[0] for text in logged] == (["iteration 2"] if wait else [])


def test_the_first_of_several_is_taken_and_the_others_are_cancelled(
    script: Callable[[str, str], Path], system: System
) -> None:
    script("worker", "def handler(system, this):\n    this.sleep(this.get('input_value')['seconds'])\n")
    script(
        "race",
        """\
        import flow_api

        def handler(system: flow_api.System, this: flow_api.Execution):
            runners = [
                this.flow('worker', seconds=seconds, name=f'runner {seconds}', run=False).run_async()
                for seconds in ('60', '0.2')
            ]
            winner = this.wait_for(*runners, return_when=system.return_when.FIRST_ENDED)
            this.set_output('winner', winner.get('name'))
            for runner in runners:
                if runner.get('id') != winner.get('id'):
                    runner.cancel()
                    runner.wait()
                    this.set_output('loser', runner.get('status'))
            again = winner.clone(inputs={'seconds': 0}).run()
            this.set_output('again', again.get('status'))
            inner = this.script('def handler(system, this):\\n    return this.success("from " + this.get("name"))',
                                name='inner')
            this.set_output('inner', inner.get('message'))
            return this.success()
        """,
    )
    execution = system.flow("race").run()
    assert execution.outputs == {
        "winner": "runner 0.2",
        "loser": "ENDED_CANCELLED",
        "again": "ENDED_SUCCESS",
        "inner": "from inner",
    }


def test_a_bare_except_catches_what_the_original_s_did(run: Run) -> None:
    execution = run(
        """\
        import flow_api

        def handler(system: flow_api.System, this: flow_api.Execution):
            for name, call in {
                'failed': lambda: this.script('1 / 0'),
                'missing': lambda: system.flow('no such flow'),
                'late': lambda: this.wait_for(this.script('this.sleep(60)', wait=False), timeout_seconds=0.1),
                'denied': lambda: this.save(user_name='root'),
            }.items():
                try:
                    call()
                except Exception as error:
                    this.set_output(name, [base.__name__ for base in type(error).__mro__])
            assert flow_api.DependencyFailedError and flow_api.PermissionDenied
            try:
                return this.success('all caught')
            except Exception:
                this.error('this is no error')
        """
    )
    assert execution.get("message") == "all caught"
    for output, name in {
        "failed": "DependencyFailedError",
        "missing": "ResourceNotFoundError",
        "late": "DependencyTimeoutError",
        "denied": "PermissionDenied",
    }.items():
        assert name in execution.outputs[output]
