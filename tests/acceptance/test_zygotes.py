"""Zygotes, and what is forked from them; without a server."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import start_new_kernel

from cloudo_kernel.processes.lifeline import Lifeline
from cloudo_kernel.processes.zygotes import Zygotes, _start_process, shared_zygotes
from cloudo_kernel.worker.runner_process import RunnerProcess
from cloudo_kernel.worker.socket_dirs import SocketDirs
from tests.server import until


@pytest.fixture
def sockets() -> Iterator[SocketDirs]:
    sockets = SocketDirs()
    yield sockets
    sockets.close()


def test_a_worn_zygote_is_followed_by_another_one_and_ends_with_its_last_child(
    monkeypatch: pytest.MonkeyPatch, sockets: SocketDirs
) -> None:
    monkeypatch.setattr("cloudo_kernel.processes.zygotes._FORKS", 1)
    zygotes = Zygotes(())
    try:
        first = zygotes.get(wait_seconds=30)
        assert first is not None
        runner = RunnerProcess.warm(first, sockets)
        assert zygotes.get() is first  # its successor warms up meanwhile
        until(lambda: zygotes.get() is not first)
        assert runner.is_alive
        runner.close()
        until(lambda: first.is_dead)
        assert zygotes.get(wait_seconds=30) is not None
    finally:
        zygotes.close()


def test_a_runner_that_stands_by_ends_at_once_when_it_is_told_to(sockets: SocketDirs) -> None:
    zygotes = Zygotes(())
    try:
        zygote = zygotes.get(wait_seconds=30)
        assert zygote is not None
        runner = RunnerProcess.warm(zygote, sockets)
        assert runner.runner_end.poll(30)  # it asks for its assignment
        kernels = psutil.Process(zygote.pid).children(recursive=True)
        runner.ask_to_stop()
        until(lambda: not runner.is_alive, seconds=4)
        assert runner.complaints() == ""
        until(lambda: not any(one.is_running() for one in kernels), seconds=10)
        runner.close()
    finally:
        zygotes.close()


def test_a_kernel_knows_what_changed_in_the_environment_since_its_zygote_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zygotes = shared_zygotes(())
    assert zygotes.get(wait_seconds=60) is not None
    monkeypatch.setenv("CLOUDO_TEST_LATER", "later")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    kernels, client = start_new_kernel(kernel_name="cloudo", cwd=str(tmp_path), startup_timeout=60)
    try:
        printed: list[str] = []
        client.execute_interactive(
            "import os, tempfile; print(os.environ.get('CLOUDO_TEST_LATER'), tempfile.gettempdir())",
            timeout=60,
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
        )
        assert "".join(printed).split() == ["later", str(tmp_path)]
    finally:
        client.stop_channels()
        kernels.shutdown_kernel()


def test_a_zygote_whose_owner_dies_with_messages_unread_ends_without_a_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    lifeline = Lifeline()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = _start_process((), theirs.fileno(), lifeline.descriptor)
    lifeline.hand_over()
    try:
        assert select.select([ours], [], [], 60)[0]  # it is ready
        ours.close()
        assert process.wait(30) == 0
    finally:
        lifeline.cut()
        process.kill()
        process.wait()
    assert capfd.readouterr().err == ""
