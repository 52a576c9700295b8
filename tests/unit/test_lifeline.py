"""What hangs on a lifeline dies with whoever holds it, however early that is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cloudo_kernel.processes.lifeline import Lifeline, tied
from cloudo_kernel.worker.runner_process import RunnerProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only processes of ours are tied")


def start(command: list[str], lifeline: Lifeline) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        tied(command, lifeline.descriptor),
        pass_fds=(lifeline.descriptor,),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def test_a_program_that_is_tied_is_itself_and_dies_with_its_group() -> None:
    lifeline = Lifeline()
    with start(["sh", "-c", "sleep 99 & echo $$; wait"], lifeline) as program:
        lifeline.hand_over()
        assert program.stdout is not None
        assert int(program.stdout.readline()) == program.pid
        assert program.poll() is None
        lifeline.cut()
        assert program.stdout.read() == b"", "its child holds the pipe no more"
        assert program.wait(timeout=10) == -signal.SIGKILL


def test_a_program_whose_parent_is_gone_before_it_begins_never_begins(tmp_path: Path) -> None:
    lifeline = Lifeline()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    # The shell stands for a machine that is so busy that the parent is killed first.
    command = tied(["touch", str(tmp_path / "begun")], lifeline.descriptor)
    late = subprocess.Popen(
        ["sh", "-c", f'read _ < {gate}; exec "$@"', "sh", *command],
        pass_fds=(lifeline.descriptor,),
        start_new_session=True,
    )
    lifeline.cut()
    gate.write_text("go\n")
    assert late.wait(timeout=10) == -signal.SIGKILL
    assert not (tmp_path / "begun").exists()


def test_a_runner_that_is_killed_before_it_leads_a_group_never_begins(tmp_path: Path) -> None:
    """A server that stops while a zygote is slow waited forever for the run that nothing had killed."""
    gate, folder = tmp_path / "gate", tmp_path / "sockets"
    os.mkfifo(gate)
    folder.mkdir()

    def start(descriptors: Mapping[str, int]) -> subprocess.Popen[bytes]:
        command = tied(["touch", str(tmp_path / "begun")], descriptors["lifeline"])
        return subprocess.Popen(
            ["sh", "-c", f'read _ < {gate}; exec setsid "$@"', "sh", *command], pass_fds=(descriptors["lifeline"],)
        )

    runner = RunnerProcess(start, folder)
    runner.kill()
    gate.write_text("go\n")
    assert runner.wait() == -signal.SIGKILL
    assert not (tmp_path / "begun").exists()
    runner.close()
