"""What the kernel `cloudo` completes and explains while an author types, asked as JupyterLab asks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

import cloudo_kernel as cloudo
from cloudo_kernel.flow_api import Execution
from cloudo_kernel.models import StartExecution

#: Run in a flow: answers of its own kernel to complete and inspect requests, by what was typed.
ASK = """
import inspect
kernel = get_ipython().kernel
async def answer(reply):
    return await reply if inspect.isawaitable(reply) else reply
for typed in {complete!r}:
    reply = await answer(kernel.do_complete(typed, len(typed)))
    kinds = reply["metadata"]["_jupyter_types_experimental"]
    this.set_output(typed, {{kind["text"]: kind["signature"] for kind in kinds}})
for typed in {inspect!r}:
    reply = await answer(kernel.do_inspect(typed, len(typed)))
    this.set_output("?" + typed, reply["data"]["text/plain"])
"""


#: The beginning of a handler as the original's scripts have it.
HANDLER = "import flow_api\ndef handler(system: flow_api.System, this: flow_api.Execution):\n    "
MEMBERS = (
    "this.lo",
    "system.fl",
    "this.flow('x').clo",
    "system.message('x').wa",
    "system.setting('x').acq",
    "flow_api.Dep",
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the kernel of a run answers."""
    workspace = tmp_path_factory.mktemp("completion")
    (workspace / "flows").mkdir()
    system = cloudo.connect(str(workspace))
    source = ASK.format(
        complete=[
            *("this.", "this.wa", "system.", "system.return_when.", "this.flow('x', wait=False).", "thi", "syst"),
            *(HANDLER + member for member in MEMBERS),
        ],
        inspect=["this.flow(", "this.set_output", "system.flow(", "this", "system"],
    )
    execution = Execution(system.api, system.api.start_execution(StartExecution(script=source))).wait(60)
    system.api.close()
    assert execution.get("error") is None
    return execution.outputs


@pytest.fixture(scope="module")
def kernel() -> Iterator[BlockingKernelClient]:
    """A kernel as JupyterLab opens it."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CLOUDO_"))}
    manager, client = start_new_kernel(kernel_name="cloudo", env=variables, cwd=str(Path(__file__).parent))
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_the_members_of_this_are_completed_with_their_signatures(told: dict[str, dict[str, str]]) -> None:
    members = told["this."]
    assert {"flow", "get", "load", "log", "save", "set", "set_output", "sleep_until", "success"} <= members.keys()
    assert not [name for name in members if name.startswith("_")]
    assert set(told["this.wa"]) == {"wait", "wait_for"}
    assert "return_when" in told["this.wa"]["wait_for"]
    assert set(told["thi"]) == {"this"}


def test_the_members_of_system_and_of_a_child_are_completed(told: dict[str, dict[str, str]]) -> None:
    assert {"execution", "executions", "flow", "flows", "get_own_user", "return_when"} <= told["system."].keys()
    assert {"ALL_ENDED", "ALL_SUCCEEDED", "FIRST_ENDED"} <= told["system.return_when."].keys()
    child = told["this.flow('x', wait=False)."]
    assert {"run", "run_async", "wait", "clone", "cancel", "get", "load", "outputs"} <= child.keys()
    assert "success" not in child
    assert set(told["syst"]) == {"system"}


def test_within_a_handler_its_arguments_are_completed_before_it_was_ever_run(told: dict[str, dict[str, str]]) -> None:
    assert [set(told[HANDLER + member]) for member in MEMBERS] == [
        {"load", "log"},
        {"flow", "flows"},
        {"clone"},
        {"wait"},
        {"acquire"},
        {"DependencyFailedError", "DependencyTimeoutError"},
    ]


def test_a_call_is_explained_while_it_is_typed(told: dict[str, str]) -> None:
    flow = told["?this.flow("]
    for words in ("flow_name", "inputs", "run", "wait", "init", "Run a flow as a child", "DependencyFailedError"):
        assert words in flow
    assert "Save one output" in told["?this.set_output"]
    assert "Return a flow" in told["?system.flow("]
    assert "The running execution" in told["?this"]
    assert "Access to flows, executions" in told["?system"]


def test_a_notebook_opened_by_hand_completes_and_explains_system(kernel: BlockingKernelClient) -> None:
    reply = kernel.complete("system.fl", reply=True, timeout=60)["content"]
    assert reply["matches"] == ["flow", "flows"]
    shown = kernel.inspect("system.flow(", reply=True, timeout=60)["content"]
    assert shown["found"]
    assert "Return a flow" in json.dumps(shown["data"])
    kernel.execute("%reset -f", reply=True, timeout=60)
    assert kernel.complete("system.exe", reply=True, timeout=60)["content"]["matches"] == ["execution", "executions"]
