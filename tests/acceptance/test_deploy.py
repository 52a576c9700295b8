"""The units of systemd and the Compose file in `docs/deploy/`: their commands run a server and a worker."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.flows import write_flow
from tests.postgresql import cluster
from tests.server import free_port, until

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs/deploy"
BIN = Path(sys.executable).parent
WAITS = "import pathlib, time\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.05)"

pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux only")]


class Machine:
    """Runs the commands of a deployment in a folder of the test, with a database of the test."""

    def __init__(self, root: Path, database: str, log: Path) -> None:
        self.root, self.port, self._log = root, free_port(), log
        write_flow(root, "quick", "this.set_output('n', 1)")
        write_flow(root, "waits", WAITS.format(str(root / "go")))
        home = {"HOME": str(log.parent), "JUPYTER_TOKEN": "sesame", "CLOUDO_DATABASE_URL": database}
        self._variables = {"PATH": f"{BIN}:{os.environ['PATH']}", "LANG": "C.UTF-8", **home}
        self._started: list[subprocess.Popen[bytes]] = []
        headers = {"Authorization": "token sesame"}
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/cloudo/api/1", headers=headers, timeout=60)

    def start(self, words: list[str]) -> subprocess.Popen[bytes]:
        """Start a command as it stands, but for the port of a server, and for root, who needs to say so."""
        if "up" in words:
            words = [*words, f"--port={self.port}", *(["--allow-root"] if os.geteuid() == 0 else [])]
        with self._log.open("ab") as log:
            started = subprocess.Popen(words, cwd=self.root, env=self._variables, stdout=log, stderr=log)
            self._started.append(started)
        return self._started[-1]

    def run(self, words: list[str]) -> subprocess.Popen[bytes]:
        """Run a command to its end."""
        process = self.start(words)
        assert process.wait(60) == 0, self.log
        return process

    def is_up(self) -> bool:
        """Tell whether the server answers, and knows one worker."""
        try:
            return len(self.http.get("/worker").raise_for_status().json()["items"]) == 1
        except (httpx.TransportError, httpx.HTTPStatusError):
            return False

    def play(self, flow_name: str) -> str:
        return str(self.http.post("/execution", json={"flow_name": flow_name}).raise_for_status().json()["id"])

    def status(self, execution_id: str) -> str:
        return str(self.http.get(f"/execution/{execution_id}").raise_for_status().json()["status"])

    @property
    def log(self) -> str:
        return self._log.read_text()

    def close(self) -> None:
        self.http.close()
        for process in self._started:
            process.kill()
            process.wait()


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Machine]:
    with cluster(tmp_path_factory, worker_id).database() as database:
        machine = Machine(tmp_path_factory.mktemp("srv"), database, tmp_path_factory.mktemp("home") / "log")
        yield machine
        machine.close()


def unit(name: str, folder: Path) -> Callable[..., list[str]]:
    """Return a function that finds a command of a unit, as systemd would run it on a machine of the test."""
    text = (DEPLOY / name).read_text().replace("/opt/cloudo/bin", str(BIN)).replace("/srv/cloudo", str(folder))
    read = configparser.ConfigParser(interpolation=None, strict=False)
    read.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way
    read.read_string(text)
    if verify := shutil.which("systemd-analyze"):
        copied = folder / name.replace("@", "@1")
        copied.write_text(text)
        found = subprocess.run([verify, "verify", str(copied)], capture_output=True, text=True, check=False)
        copied.unlink()
        assert (found.returncode, found.stderr) == (0, ""), found.stderr

    def command(key: str, *, pid: int = 0) -> list[str]:
        line = read["Service"][key].replace("%H", socket.gethostname()).replace("${MAINPID}", str(pid))
        return ["env", read["Service"]["Environment"], *shlex.split(line)]

    return command


def test_the_units_of_systemd_run_a_server_and_a_worker_that_ends_with_its_last_run(machine: Machine) -> None:
    server, worker = unit("cloudo.service", machine.root), unit("cloudo-worker@.service", machine.root)
    up, running = machine.start(server("ExecStart")), machine.start(worker("ExecStart"))
    until(machine.is_up, what=lambda: machine.log)
    execution_id = machine.play("waits")
    until(lambda: machine.status(execution_id) == "RUNNING")
    stop = machine.start(worker("ExecStop", pid=running.pid))
    until(lambda: machine.http.get("/worker").json()["items"][0]["draining"])
    (machine.root / "go").touch()
    assert (stop.wait(60), running.wait(60)) == (0, 0), machine.log
    assert machine.status(execution_id) == "ENDED_SUCCESS"
    up.send_signal(signal.SIGTERM)
    assert up.wait(60) == 0, machine.log
    assert "Traceback" not in machine.log


def test_the_compose_file_runs_a_server_and_a_worker(machine: Machine) -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    wanted = dict(re.findall(r"\$\{(\w+):\?([^}]+)\}", text))
    assert wanted.keys() == {"DATABASE_PASSWORD", "JUPYTER_TOKEN"}
    services: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+[^}]*\}", "secret", text))["services"]
    server, worker = services["server"], services["worker"]
    assert all(
        (ROOT / "docs/deploy" / one["build"]["context"] / one["build"]["dockerfile"]).is_file()
        for one in (server, worker)
    )
    for service in (server, worker):
        assert service["volumes"] == ["workspace:/work"]
        assert service["environment"]["CLOUDO_WORKSPACE"] == "/work"
        machine.start(["env", f"CLOUDO_WORKSPACE={machine.root}", *service["command"]])
    until(machine.is_up, what=lambda: machine.log)
    mark, *check = [word.replace("8888", str(machine.port)) for word in server["healthcheck"]["test"]]
    assert mark == "CMD"
    machine.run(check)
    execution_id = machine.play("quick")
    until(lambda: machine.status(execution_id) == "ENDED_SUCCESS")
