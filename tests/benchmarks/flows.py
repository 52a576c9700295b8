"""Measures what a flow says and asks: `python -m tests.benchmarks.flows`.

Times are taken within the flow, and put out by it. The children of a parent are compared with as many executions that
were started over REST, in the same run.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from cloudo_kernel.client import Client
from cloudo_kernel.models import BulkAction, BulkRequest, ExecutionFilter, StartExecution, Status
from tests.benchmarks.timing import TRIVIAL, figure, head, play, ratio, row, serving, timed
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, until

#: Calls an action many times and puts the times out, in milliseconds.
_TIMES = """
import time
def times(action, count):
    found = []
    for _ in range(count):
        begun = time.perf_counter()
        action()
        found.append((time.perf_counter() - begun) * 1000)
    return found
"""
_REPLAYED = """
import os, pathlib, time
begun = time.perf_counter()
for number in range({calls}): this.set_output("number", number)
took = (time.perf_counter() - begun) * 1000
first = not pathlib.Path("died").exists()
pathlib.Path("died").touch()
if first: os.kill(os.getpid(), 9)
pathlib.Path("died").unlink()
this.success(str(took))
"""


def write(workspace: Path, *, children: int, calls: int) -> None:
    """Write the flows."""
    write_flow(workspace, "trivial", *TRIVIAL)
    # Its first execution takes its one slot, so that others are there and do not run.
    write_flow(workspace, "full", "import time", "time.sleep(3600)", metadata={"max_running": 1})
    verbs = {
        "this.log": "lambda: this.log('x')",
        "this.set_output": "lambda: this.set_output('x', 1)",
        "this.load": "lambda: this.load('status')",
        "this.flow(run=False)": "lambda: this.flow('trivial', run=False)",
        "this.flow(wait=False), of a full flow": "lambda: this.flow('full', wait=False)",
        "this.flow(wait=False)": "lambda: this.flow('trivial', wait=False)",
    }
    asked = "\n".join(f"this.set_output({name!r}, times({action}, 100))" for name, action in verbs.items())
    for is_durable in (False, True):
        name = "verbs of a durable flow" if is_durable else "verbs"
        write_flow(workspace, name, _TIMES, asked, metadata={"durable": is_durable})
    took = "(now - child.load('ended_at').timestamp()) * 1000"
    waking = f"import time\nchild = this.flow('trivial')\nnow = time.time()\nthis.set_output('took', {took})"
    write_flow(workspace, "waking", waking)
    started = f"several = [this.flow('trivial', wait=False) for _ in range({children})]"
    write_flow(workspace, "parent", f"{started}\nthis.wait_for(*several)")
    write_flow(workspace, "replayed", _REPLAYED.format(calls=calls), metadata={"durable": True})


def outputs(api: Client, flow_name: str) -> dict[str, Any]:
    """Run a flow and return what it put out."""
    return play(api, flow_name).output_value


def fill(api: Client) -> None:
    """Take the one slot of the flow that is full."""
    first = api.start_execution(StartExecution(flow_name="full"))
    until(lambda: api.execution(first.id).progress.done > 0, seconds=60)


def settle(api: Client) -> None:
    """Wait until the children of measured starts have ended; those that were not to run are cancelled, newest first."""
    unended = (Status.PENDING, Status.RUNNING, Status.WAITING)
    while kept := api.executions(ExecutionFilter(status=unended, flow_name="full"), limit=500).items:
        api.bulk_executions(BulkRequest(action=BulkAction.CANCEL, ids=tuple(one.id for one in kept)))
        until(lambda: not api.executions(ExecutionFilter(status=(Status.RUNNING,), flow_name="full"), limit=1).items)
    until(lambda: not api.executions(ExecutionFilter(status=unended), limit=1).items, seconds=600)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.flows", description=__doc__)
    parser.add_argument("--children", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=1000, help="recorded calls of the flow that is replayed")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    head()
    with serving(extensions=WITHOUT_LAB) as (server, api):
        write(server.workspace, children=given.children, calls=given.calls)
        play(api, "trivial")
        for flow_name in ("verbs", "verbs of a durable flow"):
            fill(api)
            found = outputs(api, flow_name)
            settle(api)
            for verb in (one for one in found if one.startswith("this.")):
                times = found[verb]
                figure(f"{flow_name}: `{verb}`", f"{statistics.median(times):.2f}", f"most {max(times):.1f}, of 100")
        row("from the child's end to its parent", [outputs(api, "waking")["took"] for _ in range(given.rounds)])
        row(
            "a replay", [float(play(api, "replayed").message or 0) for _ in range(given.rounds)], f"{given.calls} calls"
        )
        settle(api)

        def started() -> None:
            records = [api.start_execution(StartExecution(flow_name="trivial")) for _ in range(given.children)]
            for record in records:
                api.wait(record.id)

        alone, parent = timed(started), timed(lambda: play(api, "parent"))
        figure(f"{given.children} executions over REST", f"{alone / 1000:.1f} s")
        figure(f"a parent and {given.children} children", f"{parent / 1000:.1f} s", ratio([parent], [alone]))


if __name__ == "__main__":
    main()
