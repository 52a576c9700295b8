"""Durable flows for tests, and what is asked about their executions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import psutil

from cloudo_kernel.models import Execution, Status
from cloudo_kernel.service import Service
from tests.server import until

Start = Callable[..., str]
#: Begins a flow whose kernel dies at `die_once()`, in its first attempt.
MORTAL = (
    "import os, pathlib\n"
    "is_first = not pathlib.Path('died').exists()\n"
    "def die_once():\n"
    "    pathlib.Path('died').touch()\n"
    "    if is_first: os.kill(os.getpid(), 9)\n"
)
#: It has the flow's own folder as its folder, as all flows have.
CHILD = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)\nthis.set_output('answer', 42)"
PARENT = (
    "import pathlib\n"
    "with pathlib.Path('runs').open('a') as runs: runs.write('x')\n"
    "this.log('before')\n"
    "this.set_output('pid', __import__('os').getpid())",
    "child = this.flow('child')\n"
    "this.log('after', answer=child.outputs['answer'])\n"
    "this.set_output('answer', child.outputs['answer'])",
)


def ended(api: Service, execution_id: str) -> Execution:
    return api.wait(execution_id, timeout=timedelta(seconds=60))


def until_let_go(api: Service, execution_id: str) -> None:
    """Wait until the execution waits and its kernel has ended."""
    until(lambda: api.execution(execution_id).status is Status.WAITING, what=lambda: str(api.execution(execution_id)))
    pid = api.execution(execution_id).output_value["pid"]
    until(lambda: not psutil.pid_exists(pid))
    assert api.execution(execution_id).status is Status.WAITING


def texts(api: Service, execution_id: str) -> list[str]:
    return [line.text for line in api.execution(execution_id).log or ()]
