"""The documents say what is so: their examples run, as they stand.

A fenced block is run when the words after its language say so:

- `bash run`, `python run`, `console run`: in their order, in one shell for the whole document, in a workspace with a
  server. In a console block `$ ` begins a command, and the other lines are what it prints; `…` stands for anything.
- `json reply`: what the block before it printed is JSON with at least this in it.
- `python cell=NAME` (with `parameters`, with `ends=STATUS`) and `json metadata=NAME`: together they are the flow NAME.
- `python script=NAME`: the flow NAME, a script.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloudo_kernel import models
from cloudo_kernel.models import StartExecution, Status
from tests.documents import NAMES, blocks
from tests.flows import write_flow, write_script
from tests.server import WITHOUT_LAB, RunningServer, Servers

MARK = "\x1e"


@dataclass
class Step:
    """A command of a document, and what it is said to print."""

    line: int
    command: str
    prints: str | None = None
    reply: Any = None


@dataclass
class Flow:
    """A flow that a document shows."""

    cells: list[str] = field(default_factory=list)
    parameters: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    script: str | None = None
    ends: Status = Status.ENDED_SUCCESS


def steps(name: str) -> list[Step]:
    found: list[Step] = []
    for block in blocks(name):
        if block.language == "json" and "reply" in block.words:
            found[-1].reply = json.loads(block.text)
        elif "run" not in block.words:
            continue
        elif block.language == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, _, prints = part.partition("\n")
                found.append(Step(block.line, command, prints))
        elif block.language == "python":
            found.append(Step(block.line, f"python - <<'PYTHON'\n{block.text}PYTHON"))
        else:
            assert block.language == "bash", f"{name}:{block.line}: a block of {block.language} cannot run"
            found.append(Step(block.line, block.text))
    return found


def documented_flows() -> dict[str, Flow]:
    found: dict[str, Flow] = {}
    for block in (block for name in NAMES for block in blocks(name)):
        if (flow_name := block.value("cell")) is not None:
            flow = found.setdefault(flow_name, Flow())
            if "parameters" in block.words:
                flow.parameters = block.text
            else:
                flow.cells.append(block.text)
            flow.ends = Status(block.value("ends") or flow.ends)
        if (flow_name := block.value("script")) is not None:
            found.setdefault(flow_name, Flow()).script = block.text
        if (flow_name := block.value("metadata")) is not None:
            found.setdefault(flow_name, Flow()).metadata = json.loads(block.text)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose workspace has the flows that the documents show."""
    workspace = tmp_path_factory.mktemp("workspace")
    for name, flow in documented_flows().items():
        if flow.script is None:
            write_flow(workspace, name, *flow.cells, parameters=flow.parameters, metadata=flow.metadata)
        else:
            write_script(workspace, name, flow.script)
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        yield servers.start(workspace)


@pytest.mark.parametrize("name", [name for name in NAMES if steps(name)])
def test_examples_run_as_they_stand(name: str, server: RunningServer) -> None:
    if missing := [tool for tool in ("bash", "curl", "jq") if shutil.which(tool) is None]:
        assert "CI" not in os.environ
        pytest.skip(f"The examples need {', '.join(missing)}.")
    todo = steps(name)
    script = "set -eu\n" + "".join(f"printf '\\n{MARK}'\n{step.command}\n" for step in todo)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CLOUDO_", "JPY_"))} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CLOUDO_URL": server.url,
        "CLOUDO_TOKEN": server.token,
        "JUPYTER_RUNTIME_DIR": str(server.runtime),
        "PYTHONWARNINGS": "error",
        "COLUMNS": "200",
    }
    where: dict[str, Any] = {"cwd": server.workspace, "env": environment}
    done = subprocess.run(["bash", "-c", script], **where, capture_output=True, text=True, check=False)
    printed = done.stdout.split(MARK)[1:]
    assert done.returncode == 0, f"{name}: {todo[len(printed) - 1]}\n{printed[-1]}\n{done.stderr}"
    for step, output in zip(todo, printed, strict=True):
        if step.reply is not None:
            assert holds(json.loads(output), step.reply), f"{name}:{step.line} replied {output}"
        if step.prints is not None:
            pattern = ".*".join(map(re.escape, re.split(r"\s*…\s*", " ".join(step.prints.split()))))
            assert re.fullmatch(pattern, " ".join(output.split())), f"{name}:{step.line} printed {output}"


def holds(found: Any, said: Any) -> bool:
    """Tell whether all that is said is found; more may be found."""
    if said == "…":
        return isinstance(found, str)
    if isinstance(said, dict):
        return isinstance(found, dict) and all(key in found and holds(found[key], said[key]) for key in said)
    if isinstance(said, list):
        return isinstance(found, list) and len(found) >= len(said) and all(map(holds, found, said))
    return bool(found == said)


def test_the_flows_shown_run_and_end_as_they_say(server: RunningServer) -> None:
    flows = documented_flows()
    written = "\n".join(source for flow in flows.values() for source in (*flow.cells, flow.script or ""))
    with server.client() as client:
        first = [name for name in flows if f'"{name}"' not in written]  # the others are their children
        started = [client.start_execution(StartExecution(flow_name=name)).id for name in first]
        ended = [client.wait(execution_id) for execution_id in started]
        for execution in ended:
            assert execution.status is flows[str(execution.flow_name)].ends, execution
        pages = [client.executions(models.ExecutionFilter(parent_id=one.id)) for one in ended]
    children = [child for page in pages for child in page.items]
    assert {child.flow_name for child in children} >= flows.keys() - set(first)
    for child in children:
        assert child.status is flows.get(str(child.flow_name), Flow()).ends, child
