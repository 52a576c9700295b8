"""Trees of executions: how deep they are, who waits for whom, and what follows an end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.flow_api import System
from cloudo_kernel.models import Status
from cloudo_kernel.settings import MAX_DEPTH
from tests.flows import write_flow, write_script
from tests.server import until


def test_recursion_ends_at_the_limit(workspace: Path, system: System) -> None:
    write_script(workspace, "recursive", "def handler(system, this):\n    this.flow('recursive')\n")
    system.api.save_setting(MAX_DEPTH, 2)
    try:
        top = system.flow("recursive").start().wait(60)
    finally:
        system.api.delete_setting(MAX_DEPTH)
    assert top.status is Status.ENDED_ERROR
    runs = system.executions(flow_name="recursive")
    assert len(runs) == 3
    assert runs[0].get("error").name == "TooDeep"
    assert "more than 2 ancestors" in runs[0].get("error").value


def test_executions_that_would_wait_for_each_other_are_told(workspace: Path, system: System) -> None:
    write_script(
        workspace,
        "waits for its parent",
        "def handler(system, this):\n    system.execution(this.get('parent_id')).wait()\n",
    )
    write_script(workspace, "above", "def handler(system, this):\n    this.flow('waits for its parent')\n")
    above = system.flow("above").start().wait(60)
    [below] = system.executions(parent_id=above.id)
    assert above.status is Status.ENDED_ERROR
    assert below.get("error").name == "DependencyCycle"
    assert f"above ({above.id})" in below.get("error").value
    assert f"waits for its parent ({below.id})" in below.get("error").value
    write_script(
        workspace,
        "does not wait",
        "def handler(system, this):\n    this.set_output('child', this.flow('waits for its parent', wait=False).id)\n",
    )
    child = system.flow("does not wait").run().outputs["child"]
    assert system.execution(child).wait(60).status is Status.ENDED_SUCCESS


def test_a_flow_is_started_when_another_one_ends_in_error(workspace: Path, system: System) -> None:
    told = "this.set_output('told', dict(this.get('input_value'), error=error))\nraise ValueError('in turn')"
    write_flow(workspace, "on error", told, parameters="error: dict | None = None", metadata={"on_error": "on error"})
    write_flow(workspace, "fragile", "1 / 0", metadata={"on_error": "on error", "retries": 1})
    write_flow(workspace, "says so", "this.error('enough')", metadata={"on_error": "on error"})
    write_flow(workspace, "sound", "1", metadata={"on_error": "on error"})
    write_flow(workspace, "names nobody", "1 / 0", metadata={"on_error": "nobody"})
    failed = [system.flow(name).start().wait(60) for name in ("fragile", "says so", "sound", "names nobody")]
    until(lambda: len([one for one in system.executions(flow_name="on error") if one.record.is_ended]) == 2, seconds=30)
    until(lambda: failed[3].load("log"), seconds=10)
    after = {one.load("input_value")["flow_name"]: one for one in system.executions(flow_name="on error")}
    assert after.keys() == {"fragile", "says so"}
    fragile = after["fragile"].outputs["told"]
    assert (fragile["execution_id"], fragile["message"]) == (failed[0].id, "ZeroDivisionError: division by zero")
    assert fragile["error"] == {"name": "ZeroDivisionError", "value": "division by zero", "cell": 2}
    assert after["says so"].outputs["told"] | {"execution_id": ""} == {
        "execution_id": "",
        "flow_name": "says so",
        "occasion": "on_error",
        "error": None,
        "message": "enough",
    }
    assert after["fragile"].get("parent_id", "trigger", "status") == (None, "flow", Status.ENDED_ERROR)
    assert "'nobody' (on_error) could not be started: There is no flow 'nobody'." in failed[3].get("log")[0].text
    time.sleep(0.5)  # what should not come has had its time
    assert len(system.executions(flow_name="on error")) == 2


def test_what_only_a_flow_can_say_of_its_children_is_refused_elsewhere(workspace: Path, system: System) -> None:
    write_script(workspace, "echo", "def handler(system, this):\n    this.save(output_value=this.get('input_value'))\n")
    execution = system.flow("echo").run(a=1)
    for call in (
        execution.clone,
        execution.run_async,
        lambda: execution.save(name="x"),
        lambda: system.flow("echo").get("script"),
        system.get_own_client,
        system.get_env_name,
    ):
        with pytest.raises(MalformedRequest, match="works only inside of a running flow"):
            call()
    assert execution.run().get("name") == "echo"
    assert execution.set(name="y").get("name") == "y"
    assert execution.load("name") == "echo"
