"""The command `cloudo run`: real processes, real workspaces, real kernels."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from typing import Any

import pytest

from cloudo_kernel.models import Status
from tests.acceptance.shell import ENDLESS, Shell, end_of, living
from tests.flows import write_flow
from tests.server import until
from tests.workers import end_worker, start_worker

pytestmark = pytest.mark.timeout(180)


def test_run_gives_the_inputs_their_types(played: tuple[Shell, dict[str, Any]]) -> None:
    _, record = played
    assert record["input_value"] == {"n": 3, "names": ["from", "file"], "zip_code": "01234"}
    assert record["output_value"] == {"zip": "01234", "inputs": [3, ["from", "file"]]}
    assert (record["status"], record["trigger"], record["name"], record["tags"]) == (
        *("ENDED_SUCCESS", "cli"),
        *("Named", ["a"]),
    )


def test_run_tells_message_outputs_and_notebook(played: tuple[Shell, Any]) -> None:
    shell, _ = played
    piped = subprocess.PIPE
    process = shell.start("run", "reports/täglich", "-i", "-", stdin=piped, stdout=piped, stderr=piped)
    out, err = process.communicate('{"n": 2}', timeout=90)
    assert (process.returncode, err) == (0, "")
    first, message, *outputs, notebook = out.splitlines()
    assert re.fullmatch(r"reports/täglich: success after [\d.]+ s  \([0-9a-f]{8}\)", first)
    assert message == "all is well"
    assert outputs == ["Outputs:", "  zip     0", '  inputs  [2, ["x"]]']
    assert (shell.workspace / notebook.removeprefix("Notebook: ")).is_file()


def test_a_failing_run_tells_error_cell_and_notebook_and_ends_with_1(served: Shell) -> None:
    write_flow(served.workspace, "failing", "x = 1", "1 / 0", parameters="y = 1")
    done = served.run("run", "failing")
    assert (done.returncode, done.stdout) == (1, "")
    cell = int(next(iter(re.findall(r"ZeroDivisionError in cell (\d+) of the executed notebook", done.stderr))))
    assert "----> 1 1 / 0" in done.stderr
    path = served.workspace / done.stderr.splitlines()[-1].removeprefix("Notebook: ")
    assert "".join(json.loads(path.read_text())["cells"][cell - 1]["source"]) == "1 / 0"


def test_follow_prints_the_log_and_the_cells_as_they_come(shell: Shell) -> None:
    waits = "import time, pathlib\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    write_flow(shell.workspace, "slow", "this.log('watch me', level='warning')", waits, "print('third')")
    process = shell.start("run", "slow", "--follow")
    try:
        until(lambda: "warning  watch me" in shell.out and "1/3 cells · import time" in shell.out, seconds=60)
        assert process.poll() is None
    finally:
        (shell.workspace / "flows" / "go").touch()
        code = end_of(process)
    assert (code, shell.err) == (0, "")
    assert "slow: success" in shell.out.splitlines()[-2]


def test_on_a_terminal_a_bar_shows_the_cells(served: Shell) -> None:
    write_flow(served.workspace, "quick", "1", "import time; time.sleep(1)")
    ours, theirs = pty.openpty()
    environment = served.environment | {"TERM": "xterm", "COLUMNS": "120"}
    process = served.start("run", "quick", "--json", stderr=theirs, env=environment)
    os.close(theirs)
    shown = read_all(ours)
    assert end_of(process) == 0
    assert "1/2 cells · import time" in shown
    assert json.loads(served.out)["status"] == "ENDED_SUCCESS"


def read_all(descriptor: int) -> str:
    """Read from a terminal until the other side has gone."""
    parts = []
    try:
        while part := os.read(descriptor, 4096):
            parts.append(part)
    except OSError:  # EIO: Linux's way to say so
        pass
    os.close(descriptor)
    return b"".join(parts).decode()


def test_ctrl_c_cancels_the_execution_and_ends_with_130(shell: Shell) -> None:
    write_flow(shell.workspace, "endless", ENDLESS)
    process = shell.start("run", "endless")
    shell.until_status(Status.RUNNING)
    process.send_signal(signal.SIGINT)
    assert end_of(process) == 130
    assert "endless: cancelled" in shell.err
    assert "Traceback" not in shell.err
    assert shell.json("executions")[0]["status"] == "ENDED_CANCELLED"
    until(lambda: not living(shell))


def test_a_second_ctrl_c_quits_at_once_and_the_execution_ends_nevertheless(shell: Shell) -> None:
    write_flow(
        shell.workspace, "deaf", "import time\nwhile True:\n    try: time.sleep(9)\n    except KeyboardInterrupt: pass"
    )
    process = shell.start("run", "deaf")
    shell.until_status(Status.RUNNING)
    process.send_signal(signal.SIGINT)
    until(lambda: "again quits" in shell.err)
    process.send_signal(signal.SIGINT)
    assert end_of(process, seconds=3) == 130
    assert shell.until_status(Status.ENDED_CANCELLED).status is Status.ENDED_CANCELLED
    until(lambda: not living(shell))


def test_detach_returns_at_once_and_the_execution_finishes(shell: Shell) -> None:
    waits = "import time, pathlib\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    write_flow(shell.workspace, "patient", waits)
    done = shell.run("run", "patient", "--detach", seconds=30)
    record = shell.until_status(Status.RUNNING)
    assert done.stdout == f"{record.id}\n"
    (shell.workspace / "flows" / "go").touch()
    assert shell.until_status(Status.ENDED_SUCCESS).id == record.id
    until(lambda: not living(shell))


def test_without_a_server_a_flow_that_requires_a_label_says_what_it_waits_for(shell: Shell) -> None:
    write_flow(shell.workspace, "training", "1", metadata={"requires": ["gpu"]})
    process = shell.start("run", "training")
    until(lambda: shell.err == "training: pending (waiting for a worker with: gpu)\n", seconds=60)
    worker = start_worker(shell.workspace, "--label", "gpu")
    try:
        assert process.wait(timeout=60) == 0
        assert shell.out.startswith("training: success")
    finally:
        end_worker(worker)
