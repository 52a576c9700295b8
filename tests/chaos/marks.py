"""The side effects: flows that note in a file that they began and ended, and the reading of that file."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.flows import write_flow

_MARK = """
import os

def mark(word):
    line = f"{this.get('id')} {this.get('attempt')} {word} {os.getpid()} {os.getppid()}\\n"
    file = os.open(LOG, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(file, line.encode())  # one write: lines of several processes do not mix
    os.close(file)

mark("begin")
"""
#: A process in the kernel's group; it has to die with it.
_SUBPROCESS = "import subprocess\nsubprocess.Popen(['sleep', '300'])"
_WORK = """
import time
for number in range(20):
    this.log(number)
    this.set_output("number", number)
    time.sleep(0.05)
"""


@dataclass(frozen=True)
class Mark:
    """One line of the log of side effects."""

    execution_id: str
    attempt: int
    word: str
    kernel: int
    runner: int


def write_flows(workspace: Path) -> dict[str, tuple[str, ...]]:
    """Write the flows, and return their names: `light` ones of one cell, and `real` ones."""
    log = f"LOG = {str(_file(workspace))!r}"
    ended = "mark('end')"
    sleep = "import time\ntime.sleep(0.3)"
    write_flow(workspace, "light", "\n".join((log, _MARK, sleep, ended)))
    write_flow(workspace, "working", log + _MARK, _SUBPROCESS, _WORK, ended)
    write_flow(
        workspace, "computing", log + _MARK, "import pandas as pd", "pd.DataFrame({'a': range(99)}).sum()", ended
    )
    children = "this.wait_for(*[this.flow('light', wait=False) for _ in range(2)], return_when='ALL_ENDED')"
    write_flow(workspace, "parent", log + _MARK, children, ended)
    return {"light": ("light",), "real": ("working", "computing", "parent")}


def read(workspace: Path) -> dict[str, list[Mark]]:
    """Return the marks of each execution, in their order."""
    path = _file(workspace)
    found: dict[str, list[Mark]] = defaultdict(list)
    for line in path.read_text().splitlines() if path.exists() else ():
        execution_id, attempt, word, kernel, runner = line.split()
        found[execution_id].append(Mark(execution_id, int(attempt), word, int(kernel), int(runner)))
    return found


def _file(workspace: Path) -> Path:
    """Return the path of the marks, outside of the workspace, whose disk may be full."""
    return workspace.with_name("marks")


def living(workspace: Path) -> list[Mark]:
    """Return the beginnings whose kernel is still there."""
    begun = [mark for marks in read(workspace).values() for mark in marks[-1:] if mark.word == "begin"]
    return [mark for mark in begun if psutil.pid_exists(mark.kernel)]
