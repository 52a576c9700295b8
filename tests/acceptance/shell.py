"""A shell for tests of the command line: real processes in a real workspace."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from cloudo_kernel.cli import main
from cloudo_kernel.models import StartExecution, Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.forker import Forked, forker_of
from tests.server import until

#: Commands that run for long.
NOT_FORKED = {"up", "worker"}
ENDLESS = "import time\nwhile True: time.sleep(0.05)"


class Shell:
    """A shell in a workspace, which sees no server but those started from it."""

    def __init__(self, home: Path, *, library: Path | None = None) -> None:
        self.home = home
        self.workspace = home / "ws é"
        Workspace(self.workspace).create()
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("CLOUDO_", "JPY_", "JUPYTER"))
        }
        self.environment = {
            **kept,
            **{f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")},
            "IPYTHONDIR": str(home / "ipython"),
            "CLOUDO_LIBRARY": str(library or home / "no-library"),
        }

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """Start a command; its output goes into files, so that what lives longer is not waited for."""
        where = {"cwd": self.workspace, "env": self.environment, "stdin": subprocess.DEVNULL}
        command = [sys.executable, "-m", "cloudo_kernel", *words]
        with (self.home / "out").open("w") as out, (self.home / "err").open("w") as err:
            return subprocess.Popen(command, text=True, **{**where, "stdout": out, "stderr": err, **more})

    def run(self, *words: str, seconds: float = 90, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process: subprocess.Popen[str] | Forked
        is_same_python = self.environment.get("PYTHONPATH") == os.environ.get("PYTHONPATH")
        if is_same_python and more.keys() <= {"cwd"} and not NOT_FORKED.intersection(words):
            (self.home / "err").write_text("")
            process = forker_of("tests.acceptance.forked_commands").start(
                words,
                cwd=more.get("cwd", self.workspace),
                environment=self.environment,
                out=self.home / "out",
                err=self.home / "err",
            )
        else:
            process = self.start(*words, **more)
        code = end_of(process, seconds=seconds)
        return subprocess.CompletedProcess(words, code, self.out, self.err)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in this process: for what is told before a workspace is opened, a tenth of the time."""
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.workspace),
            patch.dict(os.environ, self.environment, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(words)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    def json(self, *words: str) -> Any:
        """Run a command with --json, and return what it printed."""
        done = self.run(*words, "--json")
        assert done.stderr == "", done
        return json.loads(done.stdout)

    def until_status(self, *wanted: Status, seconds: float = 60) -> Any:
        """Wait until the newest execution is in one of the states; return its record."""
        with_store = Store.open(Workspace(self.workspace).database_url)
        service = Service(with_store, Catalog(Workspace(self.workspace), library=()), user_name="test")
        newest: list[Any] = []

        def is_there() -> bool:
            newest[:] = service.executions(limit=1).items
            return bool(newest) and newest[0].status in wanted

        try:
            until(is_there, seconds=seconds, what=lambda: f"{newest}\n{self.out}\n{self.err}")
            # A run that has its first progress has a kernel.
            until(lambda: wanted != (Status.RUNNING,) or service.executions(limit=1).items[0].progress.cell)
        finally:
            with_store.close()
        return newest[0]

    @property
    def out(self) -> str:
        return (self.home / "out").read_text()

    @property
    def err(self) -> str:
        return (self.home / "err").read_text()


def end_of(process: subprocess.Popen[str] | Forked, *, seconds: float = 60) -> int:
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def living(shell: Shell) -> list[str]:
    """Return the commands of the processes that still work for the shell's workspace."""
    found = []
    for process in psutil.process_iter(["environ", "cmdline"]):
        if (process.info["environ"] or {}).get("IPYTHONDIR") == shell.environment["IPYTHONDIR"]:
            found.append(" ".join(process.info["cmdline"] or ()))
    return found


def pending(shell: Shell, script: str, **more: Any) -> Any:
    """Put something into the queue, where no worker runs it."""
    workspace = Workspace(shell.workspace)
    store = Store.open(workspace.database_url)
    try:
        service = Service(store, Catalog(workspace, library=()), user_name="test")
        return service.start_execution(StartExecution(script=script, **more))
    finally:
        store.close()


class Up:
    """A running `cloudo up`."""

    def __init__(self, shell: Shell, *words: str, **more: Any) -> None:
        """Start it and wait until it is ready."""
        self._shown = shell.home / "up"
        with self._shown.open("w") as shown:
            command = ("up", *words, "--no-browser", "--allow-root")
            self.process = shell.start(*command, **{"stdout": shown, "stderr": subprocess.STDOUT, **more})
        until(
            lambda: self.process.poll() is not None or "Ctrl-C stops it" in self.shown,
            seconds=90,
            what=lambda: self.shown,
        )
        assert self.process.poll() is None, self.shown
        self.dashboard, self.lab = re.findall(r"https?://\S+", self.shown)
        (redirect,) = (shell.home / "runtime").glob("jpserver-*-open.html")
        self.opens = re.findall(r"https?://[^\s?\"]+", redirect.read_text())[0]

    @property
    def shown(self) -> str:
        return self._shown.read_text()

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return end_of(self.process)


def opened_by(shell: Shell, *words: str, told: str) -> str:
    """Return the address that a command opens in the browser, whose arguments must not give the token away."""
    browser = shell.home / "browser"
    browser.write_text(f"#!/bin/sh\necho \"$@\" > '{shell.home}/opened'\n")
    browser.chmod(0o755)
    shell.environment |= {"BROWSER": str(browser)}
    done = shell.run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert told in done.stdout
    file = (shell.home / "opened").read_text().strip()
    assert "token" not in file
    page = Path(urllib.request.url2pathname(file.removeprefix("file://")))
    assert page.stat().st_mode & 0o077 == 0
    return page.read_text().partition("url=")[2].partition('"')[0]
