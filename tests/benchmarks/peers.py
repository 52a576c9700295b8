"""The peers: papermill in a process that stays, and jupyter-scheduler in a server and an environment of its own."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
import venv
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from tests.server import free_port, until

_PAPERMILL = """
import sys
import papermill
for line in sys.stdin:
    source, target = line.split()
    papermill.execute_notebook(source, target, kernel_name="python3", progress_bar=False)
    print("done", flush=True)
"""


class Papermill:
    """`papermill.execute_notebook` in a process that has imported it already."""

    def __init__(self) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([sys.executable, "-c", _PAPERMILL], text=True, **pipes)

    def run(self, source: Path, target: Path) -> None:
        """Execute one notebook; the paths have no spaces."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{source} {target}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def __enter__(self) -> Papermill:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()


class Scheduler:
    """A Jupyter server with jupyter-scheduler, jobs made by its REST."""

    def __init__(self, environment: Path, folder: Path) -> None:
        """Install it below `environment` unless it is there, and start a server in `folder`."""
        python = _installed(environment)
        (folder / "data").mkdir(parents=True)  # it does not make it for its database
        self.folder = folder
        port, token = free_port(), secrets.token_hex(8)
        folders = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        words: list[str | Path] = [
            *(python, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--ServerApp.root_dir={folder}"),
            *(f"--ServerApp.port={port}", f"--IdentityProvider.token={token}"),
        ]
        path = f"{environment / 'bin'}:/usr/bin:/bin"
        self._log = (folder / "server.log").open("wb")
        self._process = subprocess.Popen(
            words, cwd=folder, stdout=self._log, stderr=self._log, env={"HOME": str(folder), "PATH": path, **folders}
        )
        headers = {"Authorization": f"token {token}"}
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}/scheduler", headers=headers, timeout=60)
        until(self._answers, seconds=60, what=self._complaints)
        self._environment = self._http.get("/runtime_environments").json()[0]["name"]

    def start(self, notebook: str) -> str:
        """Create a job of a notebook in the folder; return its id."""
        job = {
            "name": "benchmark",
            "input_uri": notebook,
            "output_formats": ["ipynb"],
            "runtime_environment_name": self._environment,
        }
        reply = self._http.post("/jobs", json=job)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["job_id"])

    def wait(self, job_id: str, *, every: float = 0.02) -> float:
        """Ask every so many seconds until the job is completed; return when that was, as a time in seconds."""
        while (job := self._http.get(f"/jobs/{job_id}").json())["status"] != "COMPLETED":
            assert job["status"] != "FAILED", job  # before its process is there, a job is called STOPPED
            time.sleep(every)
        return float(job["end_time"]) / 1000

    def __enter__(self) -> Scheduler:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()
        self._process.terminate()
        self._process.wait(timeout=30)
        self._log.close()

    def _complaints(self) -> str:
        return (self.folder / "server.log").read_text()[:5000]

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._complaints()
        try:
            return self._http.get("/runtime_environments").status_code == 200
        except (httpx.HTTPError, json.JSONDecodeError):
            return False


def _installed(environment: Path) -> Path:
    python = environment / "bin" / "python"
    if not (environment / ".complete").exists():
        venv.create(environment, with_pip=True, clear=True)
        words: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "jupyter-scheduler", "ipykernel"]
        subprocess.run(words, check=True)
        (environment / ".complete").touch()
    return python
