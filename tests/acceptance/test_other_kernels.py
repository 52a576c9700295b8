"""Kernels of other makers, and machines on which sockets are hard to place."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest

from cloudo_kernel.client import Client
from cloudo_kernel.models import Execution, StartExecution, Status
from cloudo_kernel.processes import channel
from cloudo_kernel.runner.kernel_connection import KernelConnection
from cloudo_kernel.worker import socket_dirs
from tests.flows import notebook
from tests.server import WITHOUT_LAB, Servers

MINUTE = timedelta(minutes=1)
#: `DeadKernelError` comes after this time where nobody notices that a kernel has died.
PATIENCE_SECONDS = 60
#: The length of a path behind which the name of a socket does not fit.
LONG = 88


def write_spec(folder: Path, name: str, *command: str, language: str = "python") -> None:
    """Write a kernelspec below a folder of `JUPYTER_PATH`."""
    spec = folder / "kernels" / name / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [sys.executable, *command, "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": name, "language": language}))


def long_folder(parent: Path) -> Path:
    """Make a folder for temporary files in which the names of sockets are too long."""
    folder = parent / ("x" * (LONG - len(str(parent)) - 1))
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    specs, long = tmp_path_factory.mktemp("specs"), tmp_path_factory.mktemp("long")
    write_spec(specs, "tcp", "-m", "tests.tcp_kernel")
    write_spec(specs, "dying", "-c", "import sys; print('no licence', file=sys.stderr); sys.exit(3)")
    temporary = long_folder(long)
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        environment = {"JUPYTER_PATH": str(specs), "TMPDIR": str(temporary)}
        client = servers.start(environment=environment).client()
        yield client
        client.close()


def run(api: Client, source: str, *, kernel: str = "cloudo", metadata: dict[str, Any] | None = None) -> Execution:
    script = notebook(source, kernel=kernel, metadata=metadata)
    return api.wait(api.start_execution(StartExecution(script=script)).id, timeout=MINUTE)


def shown(api: Client, execution: Execution) -> str:
    """Return the text of the only output of a run that succeeded."""
    assert execution.status is Status.ENDED_SUCCESS, execution.error
    [cell] = nbformat.reads(api.execution_notebook(execution.id), as_version=4).cells
    [output] = cell.outputs
    return str(output.data["text/plain"])


@pytest.mark.parametrize("kernel", ["xpython", "tcp", "python3"])
def test_a_kernel_runs_whatever_addresses_it_binds(api: Client, kernel: str) -> None:
    assert shown(api, run(api, "6 * 7", kernel=kernel)) == "42"


def test_a_kernel_that_dies_at_its_start_says_why_and_at_once(api: Client) -> None:
    for _ in range(2):
        began = time.monotonic()
        execution = run(api, "1", kernel="dying")
        assert execution.message == "The kernel exited with code 3."
        assert execution.error is not None
        assert (execution.error.name, execution.error.traceback) == ("KernelDied", ("no licence",))
        assert time.monotonic() - began < PATIENCE_SECONDS / 2


@pytest.mark.parametrize("engine", ["kernel", "cold"])
def test_the_folder_for_temporary_files_may_have_a_long_path(api: Client, engine: str) -> None:
    source = "import os, psutil, tempfile\nlen(tempfile.gettempdir()), psutil.Process().name() == 'cloudo-kernel'"
    assert shown(api, run(api, source, metadata={"engine": engine})) == f"({LONG}, {engine == 'kernel'})"


def test_sockets_are_where_they_fit_and_nobody_else_can_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = tmp_path.parents[-2]  # such as /tmp
    monkeypatch.setattr(tempfile, "tempdir", str(long_folder(tmp_path)))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setattr(socket_dirs, "_SHORT_FOLDERS", (str(tmp_path / "missing"), str(short)))
    made = socket_dirs.SocketDirs()
    try:
        folder = made.folder()
        assert made.has_room
        assert folder.parents[1] == short
        assert [one.stat().st_mode & 0o777 for one in (folder, folder.parent)] == [0o700, 0o700]
    finally:
        made.close()


def test_where_sockets_fit_nowhere_kernels_have_tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(long_folder(tmp_path)))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setattr(socket_dirs, "_SHORT_FOLDERS", ())
    made = socket_dirs.SocketDirs()
    end, descriptor = channel.pair()
    kernel = KernelConnection(descriptor, made.folder())
    try:
        assert not made.has_room
        kernel.start("python3", str(tmp_path))
        assert kernel.client.transport == "tcp"
        assert kernel.language_info["name"] == "python"
    finally:
        kernel.close()
        kernel.client.stop_channels()
        end.close()
        made.close()


def test_another_kernel_runs_a_notebook_as_it_is(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    write_spec(tmp_path, "bash", "-m", "bash_kernel", language="bash")
    script = notebook(
        *("echo $((6 * 7)); pwd", 'echo "is $word of ${#word}"', "ls /nowhere-at-all; false"),
        parameters="word=none",
        kernel="bash",
        metadata={"protect_inputs": ["word"]},
    )
    request = StartExecution(script=script, inputs={"word": "open sesame"})
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        server = servers.start(environment={"JUPYTER_PATH": str(tmp_path)})
        with server.client() as api:
            ended = api.wait(api.start_execution(request).id, timeout=MINUTE)
            made = nbformat.reads(api.execution_notebook(ended.id), as_version=4)
    assert made.metadata.language_info.name == "bash"
    text = "".join(one.get("text", "") for cell in made.cells for one in cell.get("outputs", ()))
    assert text.startswith(f"42\n{server.workspace}\nis ••• of 11\n")
    assert "sesame" not in json.dumps(made)
    assert ended.progress.done >= 1
