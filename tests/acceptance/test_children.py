"""What a running flow can say to its children and about itself; store, worker and kernels are real."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cloudo_kernel.errors import IllegalTransition
from cloudo_kernel.flow_api import Execution, System
from cloudo_kernel.models import StartExecution, Status
from cloudo_kernel.settings import MAX_RUNNING, MAX_UNENDED_PER_ROOT
from tests.flows import write_flow, write_script
from tests.server import until

Run = Callable[..., Execution]


@pytest.fixture(scope="module")
def system(system: System, workspace: Path) -> System:
    write_flow(workspace, "double", "this.set_output('double', 2 * n)", parameters="n: int = 1")
    write_flow(workspace, "bad", "raise ValueError('no')")
    write_flow(workspace, "endless", "import time\nwhile True: time.sleep(0.1)")
    write_script(workspace, "echo", "def handler(system, this):\n    this.save(output_value=this.get('input_value'))\n")
    return system


@pytest.fixture
def start(system: System) -> Run:
    """Start the body of a handler as a script."""

    def start(body: str, **more: Any) -> Execution:
        source = f"import flow_api\n\ndef handler(system, this):\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"
        request = StartExecution(script=source, **more)
        return Execution(system.api, system.api.start_execution(request))

    return start


@pytest.fixture
def run(start: Run) -> Run:
    """Run the body of a handler to its end, and expect a success."""

    def run(body: str, **more: object) -> Execution:
        execution = start(body, **more).wait(60)
        assert execution.status is Status.ENDED_SUCCESS, execution.get("error")
        return execution

    return run


def test_fields_are_cached_until_they_are_loaded_and_set_until_they_are_saved(system: System, run: Run) -> None:
    execution = run(
        """
        child = this.flow('double', n=2, wait=False)
        assert child.get('status') == 'PENDING'
        this.wait_for(system.execution(child.get('id')))
        assert child.get('status') == 'PENDING'
        assert child.load('status', 'name') == ('ENDED_SUCCESS', 'double')
        assert child.get('status') == 'ENDED_SUCCESS'
        child.set(name='only here')
        assert child.get('name') == 'only here' and child.load('name') == 'double'
        child.save(name='known to all', tags=['a'])
        assert system.execution(child.id).get('name', 'tags') == ('known to all', ('a',))
        this.set(message='only here')
        assert this.get('message') == 'only here' and this.load('message') is None
        this.save(name='renamed', message='all of it', output_value={'a': [1]})
        this.set_output('a', 2, append=True)
        assert this.get('output_value') == {'a': [1, 2]} == this.load('output_value')
        """
    )
    assert execution.get("name", "message", "output_value") == ("renamed", "all of it", {"a": [1, 2]})
    assert system.executions(parent_id=execution.id)[0].get("name") == "known to all"


def test_the_log_is_also_read_among_the_outputs(run: Run) -> None:
    execution = run(
        """
        child = this.script("this.log('one', n=1)\\nthis.log('two', level='warning')\\nthis.set_output('a', 1)")
        lines = child.load('output_value')['logging']
        assert [(line['level'], line['text']) for line in lines] == [('info', 'one n=1'), ('warning', 'two')]
        assert child.get('output_value').get('logging') == lines
        this.set_output('child', child.get('output_value'))
        """
    )
    assert execution.outputs == {"child": {"a": 1}}
    assert execution.outputs["logging"] == []


def test_a_child_may_be_created_first_and_run_later(system: System, run: Run) -> None:
    execution = run(
        """
        held = this.flow('echo', {'a': 1}, run=False, init={'message': 'not yet', 'tags': ['x']}, name='mine', b=2)
        assert held.get('status', 'message', 'name') == ('PENDING', 'not yet', 'mine')
        other = this.flow('echo', a=0)
        assert other.load('status') == 'ENDED_SUCCESS' and held.load('status') == 'PENDING'
        held.save(input_value={'a': 3}, message='soon')
        assert held.run() is held
        assert held.get('output_value') == {'a': 3}
        assert held.run() is held  # it has run; nothing happens
        chained = this.flow('echo', run=False).run_async()
        assert chained.wait().get('status') == 'ENDED_SUCCESS'
        try:
            held.save(input_value={'a': 4})
        except flow_api.CloudoError as error:
            this.set_output('late', str(error))
        try:
            system.execution(other.id).save(parent_id='x')
        except flow_api.CloudoError as error:
            this.set_output('unknown', str(error))
        never = this.flow('echo', run=False, name='never')
        """
    )
    assert "has begun" in execution.outputs["late"]
    assert "'parent_id' is not a field that can be saved" in execution.outputs["unknown"]
    [never] = [child for child in system.executions(parent_id=execution.id) if child.get("name") == "never"]
    assert never.get("status", "message") == (Status.ENDED_CANCELLED, "its parent ended")
    mine = next(child for child in system.executions(parent_id=execution.id) if child.get("name") == "mine")
    assert mine.get("tags") == ("x",)


def test_what_was_put_into_a_child_is_there_when_it_begins(run: Run) -> None:
    execution = run(
        """
        source = "this.set_output('b', this.get('output_value')['a'] + 1)"
        child = this.script(source, init={'output_value': {'a': 1}, 'name': 'prepared'})
        this.set_output('child', child.get('output_value'))
        this.set_output('name', child.get('name'))
        """
    )
    assert execution.outputs == {"child": {"a": 1, "b": 2}, "name": "prepared"}


def test_children_run_one_after_the_other_where_they_are_told_to(system: System, run: Run) -> None:
    execution = run(
        """
        first, second, third = [this.flow('echo', n=n, run=False) for n in range(3)]
        third.run_async(wait_for=[first, second])
        second.run_async(wait_for=[first])
        assert second.load('status') == third.load('status') == 'PENDING'
        first.run_async()
        this.wait_for(first, second, third)
        bad = this.flow('bad', wait=False)
        after = this.flow('echo', run=False).run_async(wait_for=[bad])
        last = this.flow('echo', run=False).run_async(wait_for=[after])
        this.wait_for([bad, after, last], return_when='ALL_ENDED')
        this.set_output('after', after.get('error').name)
        this.set_output('last', last.get('status'))
        this.set_output('late', this.flow('echo', run=False).run_async(wait_for=[bad]).get('status'))
        this.set_output('detached', this.flow('echo', run=False, name='detached').run_async(
            wait_for=[this.flow('double', wait=False)]).id)
        """
    )
    ordered = [child for child in system.executions(parent_id=execution.id) if "n" in child.get("input_value")]
    spans = sorted(child.get("started_at", "ended_at") for child in ordered)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert execution.outputs["after"] == "DependencyFailedError"
    assert execution.outputs["last"] == execution.outputs["late"] == "ENDED_ERROR"
    detached = system.execution(execution.outputs["detached"]).wait(60)
    assert detached.status is Status.ENDED_SUCCESS


def test_a_clone_is_a_new_child_like_another(run: Run) -> None:
    execution = run(
        """
        child = this.flow('double', n=4, name='four')
        clone = child.clone()
        assert clone.id != child.id and clone.get('status', 'name', 'input_value') == ('PENDING', 'four', {'n': 4})
        assert clone.run().get('output_value') == {'double': 8}
        assert child.clone(inputs={'n': 5}).run_async().wait().get('output_value') == {'double': 10}
        script = this.script('this.set_output("a", this.get("input_value"))', b=1)
        assert script.clone().run().get('output_value') == {'a': {'b': 1}}
        """
    )
    assert execution.get("status") is Status.ENDED_SUCCESS


def test_a_parent_waits_as_it_says(run: Run) -> None:
    execution = run(
        """
        quick, slow = this.flow('double', wait=False), this.flow('endless', wait=False)
        assert this.wait_for(quick, slow, return_when=system.return_when.FIRST_ENDED) is quick
        try:
            this.wait_for(quick, slow, timeout_seconds=0.2)
        except flow_api.DependencyTimeoutError as error:
            this.set_output('timeout', str(error))
        assert slow.wait(0.1).get('status') in ('PENDING', 'RUNNING')
        assert slow.pause().resume().cancel() is slow
        assert this.wait_for(quick, slow, return_when='ALL_ENDED') == (quick, slow)
        for wait in (lambda: this.wait_for(quick, slow), slow.run, lambda: this.flow('bad')):
            try:
                wait()
                raise AssertionError('it failed')
            except flow_api.DependencyFailedError as error:
                this.set_output('failures', str(error), append=True)
        """
    )
    assert execution.outputs["timeout"] == "Not ended within 0.2 s: endless."
    assert [("endless" in text, "ValueError: no" in text) for text in execution.outputs["failures"]] == [
        (True, False),
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("this.flow('no such flow')", "FlowNotFound: There is no flow 'no such flow'."),
        ("this.flow(5)", "MalformedRequest: flow_name"),
        ("this.flow('double', n='x')", "InputsInvalid: The input 'n' takes an integer"),
        ("this.flow('double', m=object())", "MalformedRequest: inputs['m'] is a object, which is not JSON"),
        ("this.flow('double', init={'status': 'x'})", "MalformedRequest: 'status' is not a field that can be saved"),
        ("this.flow('double', init={'name': ''})", "MalformedRequest: name: "),
        ("this.set_output('a', {'b': [{1}, {2j}]})", "MalformedRequest: a['b'][1][0] is a complex, which is not JSON"),
        ("a = []; a.append(a); this.set_output('a', a)", "MalformedRequest: a[0][0]"),
        ("this.save(status='RUNNING')", "PermissionDenied: A flow can save its name, message and output_value"),
        ("this.save(name=5)", "MalformedRequest: name: "),
        ("this.get('nothing')", "MalformedRequest: An execution has no field 'nothing'; it has id, name"),
        ("this.end('somehow', '')", "MalformedRequest: An execution ends in success, error or cancelled"),
        ("this.log(1, level='loud')", "MalformedRequest: level is one of"),
        ("this.sleep('soon')", "MalformedRequest: seconds takes a number of seconds, not 'soon'"),
        ("this.sleep(float('nan'))", "MalformedRequest: seconds takes a finite number"),
        ("this.sleep_until('2030-01-01')", "MalformedRequest: when takes seconds since 1970, or a date and time"),
        ("this.sleep_until(1e300)", "MalformedRequest: when is after the year 9999"),
        ("this.wait_for('x')", "MalformedRequest: Pass executions, not 'x'"),
        ("this.wait_for(this, return_when='SOME')", "MalformedRequest: return_when takes ALL_ENDED"),
        ("this.wait_for(this)", "DependencyCycle: These executions would wait for each other forever: script ("),
        ("system.execution('x')", "ExecutionNotFound: There is no execution 'x'."),
        ("system.flow('double', by='title')", "MalformedRequest: by takes name or id"),
        ("system.flow('double').get('colour')", "MalformedRequest: A flow has no field 'colour'"),
        (
            "try:\n    this.success('so')\nexcept BaseException:\n    this.flow('double')",
            "Conflict: The execution",
        ),
    ],
)
def test_what_makes_no_sense_ends_in_an_error_that_says_so(start: Run, call: str, message: str) -> None:
    execution = start(call).wait(30)
    assert execution.status is Status.ENDED_ERROR
    assert f"{execution.record.error.name}: {execution.record.error.value}".startswith(message)


def test_half_a_character_does_not_stop_a_run(run: Run, start: Run) -> None:
    execution = run(r"this.log('a\ud800')" "\n" r"this.success('all \ud800 done')", timeout_seconds=20)
    assert execution.get("message") == "all ? done"
    assert execution.load("log")[0].text == "a?"
    failed = start(r"raise ValueError('no \ud800')", timeout_seconds=20).wait(30)
    assert failed.get("message") == "ValueError: no ?"


def test_sleeping_takes_its_time_and_no_slot(system: System, run: Run, start: Run) -> None:
    execution = run(
        """
        import time, datetime
        def took(call, *arguments):
            begun = time.time()
            call(*arguments)
            this.set_output('took', time.time() - begun, append=True)
        took(this.sleep, 0.3)
        took(this.sleep, '0.3')
        took(this.sleep_until, time.time() + 0.3)
        took(this.sleep_until, str(time.time() + 0.3))
        took(this.sleep_until, datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=0.3))
        took(this.sleep_until, (datetime.datetime.now().astimezone() + datetime.timedelta(seconds=0.3)).isoformat())
        took(this.sleep, -5)
        took(this.sleep_until, 0)
        """
    )
    *slept, past, long_past = execution.outputs["took"]
    assert min(slept) >= 0.29
    assert max(past, long_past) < min(slept)
    system.api.save_setting(MAX_RUNNING, 1)
    try:
        sleeper = start("this.sleep(60)")
        until(lambda: sleeper.load("status") is Status.WAITING, seconds=30)
        assert sleeper.get("message").startswith("sleeping until 20")
        run("pass")
        sleeper.cancel().wait(30)
    finally:
        system.api.delete_setting(MAX_RUNNING)


def test_a_step_is_called_and_its_result_is_as_json_carries_it(run: Run) -> None:
    execution = run("this.set_output('a', this.step(lambda a, b: {'sum': (a, b)}, 1, b=2))")
    assert execution.outputs == {"a": {"sum": [1, 2]}}


def test_the_system_tells_of_flows_and_of_itself(workspace: Path, run: Run) -> None:
    execution = run(
        """
        flow = system.flow('echo', by='id')
        this.set_output('script', system.flow(flow.get('id')).get('script'))
        this.set_output('flows', [flow.get('name') for flow in system.flows('doub')])
        user, client = system.get_own_user(), system.get_own_client()
        this.set_output('own', [user.get('name'), user.name, client.get('name'), system.get_env_name()])
        """
    )
    assert execution.outputs["script"] == (workspace / "flows" / "echo.py").read_text()
    assert execution.outputs["flows"] == ["double"]
    user = execution.get("user_name")
    assert execution.outputs["own"][:3] == [user, user, workspace.name]
    assert execution.outputs["own"][3]


def test_input_value_means_the_inputs_in_every_call_that_takes_them(system: System, run: Run) -> None:
    execution = run(
        """
        one = this.flow('echo', input_value={'a': 1}, b=2)
        this.set_output('flow', dict(one.get('output_value')))
        this.set_output('script', dict(this.script('this.set_output("a", a)', input_value={'a': 3}).outputs))
        this.set_output('clone', dict(one.clone(input_value={'a': 4}).run().outputs))
        this.set_output('retry', dict(one.retry(input_value={'a': 5}).wait().outputs))
        this.set_output('start', dict(system.flow('echo').run(input_value={'a': 6}, b=7).outputs))
        this.set_output('inside', dict(this.flow('echo', inputs={'input_value': {'a': 8}}).outputs))
        for wrong in ({'inputs': {}, 'input_value': {}}, {'input_value': 5}):
            for call in (lambda **given: this.flow('echo', **given), one.clone, one.retry, system.flow('echo').start):
                try:
                    call(**wrong)
                except flow_api.CloudoError as error:
                    this.log(error)
        """
    )
    assert execution.outputs == {
        "flow": {"a": 1, "b": 2},
        "script": {"a": 3},
        "clone": {"a": 4},
        "retry": {"a": 5},
        "start": {"a": 6, "b": 7},
        "inside": {"input_value": {"a": 8}},
    }
    said = [line.text for line in system.execution(execution.id).record.log or ()]
    assert (
        said
        == ["inputs and input_value mean the same: give one of them."] * 4 + ["input_value is a dict, not a int."] * 4
    )


def test_a_tree_has_only_so_many_executions_that_have_not_ended_and_ends_as_a_whole(system: System, run: Run) -> None:
    system.api.save_setting(MAX_UNENDED_PER_ROOT, 3)
    try:
        root = run(
            """
            this.script("this.flow('endless', wait=False)")  # ends, and leaves one below it
            for number in range(3):
                try:
                    this.flow('endless', wait=False)
                except flow_api.CloudoError as error:
                    this.log(number, error)
            """
        )
    finally:
        system.api.delete_setting(MAX_UNENDED_PER_ROOT)
    [line] = system.execution(root.id).record.log or ()
    assert line.text.startswith("2 3 executions below the same root have not ended, which is the limit.")
    assert "client.execution.max_unended_per_root" in line.text
    with pytest.raises(IllegalTransition):
        system.api.cancel_execution(root.id)
    system.execution(root.id).cancel(tree=True)
    until(lambda: all(one.record.is_ended for one in system.executions()), seconds=30)
    ends = [one.status for one in system.executions(flow_name="endless", limit=3)]
    assert ends == [Status.ENDED_CANCELLED] * 3
    with pytest.raises(IllegalTransition):
        system.api.cancel_execution(root.id, tree=True)
