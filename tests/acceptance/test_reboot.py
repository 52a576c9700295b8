"""Everything ends while durable flows wait, each for something else; what comes up later goes on from there."""

from __future__ import annotations

import textwrap
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from cloudo_kernel.models import Execution, MessageState, StartExecution, Status
from cloudo_kernel.service import Service
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow
from tests.server import until
from tests.workers import end_worker, processes, start_worker

pytestmark = pytest.mark.timeout(180)

UNTIL_GO = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)\n"
HOLDS = f"with system.setting('the.lock'):\n    this.save(message='has it')\n{textwrap.indent(UNTIL_GO, '    ')}"
#: What each of them waits for, and what it puts out then.
WAITS = {
    "a child": "this.set_output('got', this.flow('child').outputs['answer'])",
    "two children": "both = [this.flow('child', wait=False) for _ in range(2)]\n"
    "this.set_output('got', [one.outputs['answer'] for one in this.wait_for(both)])",
    "the first of two": "both = [this.flow('child', wait=False), this.flow('endless', wait=False)]\n"
    "first = this.wait_for(both, return_when='FIRST_ENDED')\n"
    "both[1].cancel()\nthis.set_output('got', first.outputs['answer'])",
    "an answer": "this.set_output('got', system.message('Who?', request='Name', timeout_seconds=0).wait()"
    ".get('response')['response'])",
    "a moment": "this.sleep(6)\nthis.set_output('got', 42)",
    "a lock": "with system.setting('the.lock'): this.set_output('got', 42)",
    "a timeout": "from flow_api import MessageResponseTimeoutError\n"
    "try: system.message('Nobody?', request='Name', timeout_seconds=6).wait()\n"
    "except MessageResponseTimeoutError: this.set_output('got', 42)",
    "a step": "this.set_output('got', this.step(lambda: this.flow('child').outputs['answer']))",
}
GOT = {"two children": [42, 42], "an answer": "Ada"}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.create()
    write_flow(tmp_path, "child", f"{UNTIL_GO}this.set_output('answer', 42)", metadata={"retries": 9})
    write_flow(tmp_path, "endless", "import time\nwhile True: time.sleep(0.1)", metadata={"retries": 9})
    write_flow(tmp_path, "holds", HOLDS, metadata={"durable": True})
    for name, source in WAITS.items():
        write_flow(tmp_path, f"waits for {name}", f"this.log('begun')\n{source}", metadata={"durable": True})
    return workspace


@pytest.mark.parametrize(
    ("linger", "how"),
    [("0.2", "killed"), ("60", "killed"), ("60", "stopped")],
    ids=["let go", "at work", "in good order"],
)
def test_a_reboot_in_every_kind_of_wait_loses_and_doubles_nothing(
    api: Service, workspace: Workspace, linger: str, how: str
) -> None:
    reboot(api, workspace, linger, how)


@pytest.mark.db("postgresql")
def test_nor_does_one_with_the_store_in_postgresql(api: Service, workspace: Workspace) -> None:
    reboot(api, workspace, "0.2", "killed")


def reboot(api: Service, workspace: Workspace, linger: str, how: str) -> None:
    api.save_setting("client.execution.max_running", 20)
    first = start_worker(workspace.root, "--linger", linger)
    try:
        holder = start(api, "holds")
        until(lambda: api.execution(holder).message == "has it", seconds=60)
        waiting = {name: start(api, f"waits for {name}") for name in WAITS}
        until(lambda: all(status(api, one) is Status.WAITING for one in waiting.values()), seconds=60)
        if how == "stopped":
            first.terminate()
            first.wait(timeout=60)
        for process in processes(workspace.root):
            with suppress(psutil.NoSuchProcess):  # it dies with one that was killed before it
                process.kill()
    finally:
        end_worker(first)
    until(lambda: not processes(workspace.root))
    [asked] = [one for one in api.messages(unanswered=True).items if one.subject == "Who?"]
    assert asked.state is MessageState.OPEN
    api.answer_message(asked.id, {"response": "Ada"})
    (workspace.flows / "go").touch()
    second = start_worker(workspace.root, "--linger", linger)
    try:
        records = {name: ended(api, one) for name, one in waiting.items()}
    finally:
        end_worker(second)
    for name, record in records.items():
        assert record.status is Status.ENDED_SUCCESS, record
        assert record.output_value == {"got": GOT.get(name, 42)}, name
        assert [line.text for line in record.log or () if "cut off" not in line.text] == ["begun"]
    made = [one.parent_id for one in api.executions(limit=500).items if one.flow_name in ("child", "endless")]
    parents = ("a child", *["two children"] * 2, *["the first of two"] * 2, "a step")
    assert sorted(map(str, made)) == sorted(waiting[name] for name in parents)
    assert len(api.messages().items) == 2


def start(api: Service, flow_name: str) -> str:
    return api.start_execution(StartExecution(flow_name=flow_name)).id


def status(api: Service, execution_id: str) -> Status:
    return api.execution(execution_id).status


def ended(api: Service, execution_id: str) -> Execution:
    return api.wait(execution_id, timeout=timedelta(seconds=60))
