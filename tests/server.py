"""Starts real Jupyter servers for tests, each in folders of its own."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudo_kernel.client import Client
from cloudo_kernel.models import Origin
from tests.forker import Forked, forker_of

#: Other extensions take seconds to load and are not needed where no page of theirs is opened.
WITHOUT_LAB = dict.fromkeys(("jupyterlab", "notebook", "notebook_shim", "jupyter_lsp", "voila.server_extension"), False)

#: Whose they are: ours, Jupyter's, and those of pytest, which switch off some of what ipykernel does.
_NOT_THE_SERVERS = ("CLOUDO_", "JPY_", "JUPYTER", "PYTEST_")

#: jsonschema imports that module to check IRIs, and building its grammar takes a third of a server's start.
_SERVER = "import sys; sys.modules['rfc3987_syntax'] = None; from jupyter_server.serverapp import main; main()"

#: Whether servers can be forked from a process that has imported what they need.
CAN_FORK = sys.platform == "linux"

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class RunningServer:
    """A Jupyter server with the extension, as a process."""

    #: With a trailing slash.
    url: str
    token: str
    workspace: Path
    process: subprocess.Popen[bytes] | Forked
    log: Path
    #: Where the server keeps what is about this run of it; cookies are made from a secret there.
    runtime: Path

    @property
    def api(self) -> str:
        """Return the address of REST's root."""
        return f"{self.url}cloudo/api/1"

    def client(self, *, token: str | None = None, trigger: Origin = Origin.API) -> Client:
        """Return a new client; whoever asks closes it."""
        return Client(self.url, token=token or self.token, trigger=trigger)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server as a user would, and wait until it is gone."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"The server did not stop:\n{self.log.read_text()}") from None


#: Starts a server: `serve(workspace=None, *options, config=…, extensions=…, token=…, port=…)`.
Serve = Callable[..., RunningServer]


def start_server(
    workspace: Path,
    home: Path,
    *options: str,
    config: Mapping[str, Any] | None = None,
    extensions: Mapping[str, bool] | None = None,
    token: str | None = None,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
    base_url: str = "/",
    is_forked: bool = False,
) -> RunningServer:
    """Start a server and wait until it answers.

    `home` gets Jupyter's own folders; a second server with the same `home` sees the first one's. `config` is Jupyter
    configuration, `extensions` says which server extensions are loaded besides those that enable themselves.
    With `is_forked` it is forked from a process that has imported what it needs, and starts in a tenth of the time.
    """
    token, port = token or secrets.token_hex(8), port or free_port()
    folders = {name: home / name.lower() for name in ("CONFIG", "DATA", "RUNTIME")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    # pandas and matplotlib take seconds to import, and most tests need neither.
    settings: dict[str, dict[str, Any]] = {
        "ServerApp": {"jpserver_extensions": dict(extensions or {})},
        "Cloudo": {"preload": []},
    }
    for name, given in (config or {}).items():
        settings[name] = {**settings.get(name, {}), **given}
    (folders["CONFIG"] / "jupyter_server_config.json").write_text(json.dumps(settings))
    variables = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_THE_SERVERS)}
    variables |= {f"JUPYTER_{name}_DIR": str(folder) for name, folder in folders.items()}
    variables |= {"IPYTHONDIR": str(home / "ipython"), "PYTHONPATH": str(Path(__file__).parents[1])}
    variables |= environment or {}
    words = [
        *("--no-browser", "--allow-root", f"--ServerApp.root_dir={workspace}"),
        *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.base_url={base_url}"),
        *(f"--IdentityProvider.token={token}", *options),
    ]
    log = home / f"server-{port}.log"
    process: Forked | subprocess.Popen[bytes]
    if is_forked:
        process = forker_of("tests.forked_server").start(words, cwd=workspace, environment=variables, out=log, err=log)
    else:
        with log.open("wb") as output:
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            process = subprocess.Popen(
                [sys.executable, "-c", _SERVER, *words],
                **streams,
                env=variables,
                cwd=workspace,
                preexec_fn=_end_with_the_tests,  # noqa: PLW1509 -- it takes no lock
            )
    server = RunningServer(f"http://127.0.0.1:{port}{base_url}", token, workspace, process, log, folders["RUNTIME"])
    try:
        until(lambda: _answers(server), seconds=60, what=lambda: f"The server does not answer:\n{log.read_text()}")
    except BaseException:
        server.stop(signal.SIGKILL)
        raise
    return server


def _end_with_the_tests() -> None:
    """Ask Linux to stop the server when the test run is killed."""
    if _LIBC is not None:
        _LIBC.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class Servers:
    """Starts servers, each with a new home and, unless one is named, a new workspace; stops all of them at the end."""

    def __init__(self, folders: pytest.TempPathFactory, **defaults: Any) -> None:
        self._folders = folders
        self._defaults = defaults
        self._started: list[RunningServer] = []

    def start(self, workspace: Path | None = None, *options: str, **given: Any) -> RunningServer:
        """Start one; what is given goes to `start_server`. It is forked unless Python itself reads its environment."""
        folder, given = workspace or self._folders.mktemp("workspace"), {**self._defaults, **given}
        is_other_python = any(name.startswith("PYTHON") for name in given.get("environment", ()))
        given.setdefault("is_forked", CAN_FORK and not is_other_python)
        given.setdefault("extensions", {"jupyter_lsp": False})  # it starts Node twice, to look for language servers
        server = start_server(folder, self._folders.mktemp("home"), *options, **given)
        self._started.append(server)
        return server

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.ExitStack() as stack:  # each is stopped even if another one does not stop
            for server in self._started:
                stack.callback(server.stop)


def free_port() -> int:
    """Return a port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(
    is_true: Callable[[], object], *, seconds: float = 60, what: Callable[[], str] = lambda: "It never came."
) -> None:
    """Ask again and again until something is true; fail with `what` when it is not in time.

    The pauses grow with the wait: many questions look at all processes, or ask the server that is waited for.
    """
    begin = time.monotonic()
    while not is_true():
        waited = time.monotonic() - begin
        assert waited < seconds, what()
        time.sleep(min(0.02 + waited / 20, 0.2))


def _answers(server: RunningServer) -> bool:
    if server.process.poll() is not None:
        raise AssertionError(f"The server ended:\n{server.log.read_text()}")
    try:
        with urllib.request.urlopen(f"{server.api}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except urllib.error.HTTPError as error:
        with error:  # a store that cannot be used is an answer, too, and so is a server without the extension
            return error.code == 404 or bool(json.load(error)["reason"] != "the store is being opened")
    except OSError:
        return False


def run_processes(workspace: Path) -> list[psutil.Process]:
    """Return the processes of runs of workers that were started with `CLOUDO_TEST_WORKSPACE`, and what they started.

    Workers, zygotes and the runners that stand by, with their kernels, are not among them.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_ours = process.environ().get("CLOUDO_TEST_WORKSPACE") == str(workspace)
            if is_ours and not _is_of_the_house(process):
                found.append(process)
    return found


def _is_of_the_house(process: psutil.Process) -> bool:
    names = {process.name(), process.parent().name() if process.name() == "cloudo-kernel" else ""}
    return bool(names & {"cloudo-zygote", "cloudo-standby"}) or "worker" in " ".join(process.cmdline()[:4])
