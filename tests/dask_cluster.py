"""A Dask cluster for tests, as its own programs: a scheduler on a fixed port, and Dask workers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

import psutil

from tests.server import free_port, until

#: The folder that it starts in is no place of modules: zygotes are started again when one changes.
_DASK = ("-P", "-m", "dask")
#: A program without Cloudo cannot import it.
_WITHOUT_CLOUDO = "import sys; sys.modules['cloudo_kernel'] = None; from dask.__main__ import main; main()"


class DaskCluster:
    """Starts the processes, and starts them again when they have ended, as systemd would."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, workers: int = 1, threads: int = 2) -> None:
        """Each Dask worker has `environment`. Those of Cloudo's variables that this process has are left out."""
        self._folder = folder
        self._environment = environment
        self._threads = threads
        self._port = free_port()
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes] | None] = [None] * workers
        self._others: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self._port}"

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self._folder.glob("dask-*.log")))

    def __enter__(self) -> DaskCluster:
        self.start_what_is_missing()
        until(lambda: "Scheduler at:" in self.log, seconds=60, what=lambda: self.log)
        until(lambda: self.log.count("Registered to:") == len(self.workers), seconds=60, what=lambda: self.log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill all processes."""
        for process in (*self._others, *self.workers, self.scheduler):
            if process is not None:
                process.kill()
                process.wait()

    def start_what_is_missing(self) -> None:
        """Start the scheduler and the Dask workers that do not run."""
        if self.scheduler is None or self.scheduler.poll() is not None:
            self.scheduler = self._start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", str(self._port))
        for number, worker in enumerate(self.workers):
            if worker is None or worker.poll() is not None:
                self.workers[number] = self._start_worker(f"worker-{number}", self._environment)

    def add_worker(self, name: str, environment: Mapping[str, str], *, has_cloudo: bool = True) -> None:
        """Start one more Dask worker, with another environment."""
        self._others.append(self._start_worker(name, environment, has_cloudo=has_cloudo))

    @staticmethod
    def running(processes: Iterable[subprocess.Popen[bytes] | None]) -> list[psutil.Process]:
        """Return those of the processes that run."""
        return [psutil.Process(one.pid) for one in processes if one is not None and one.poll() is None]

    def _start_worker(
        self, name: str, environment: Mapping[str, str], *, has_cloudo: bool = True
    ) -> subprocess.Popen[bytes]:
        words = ("worker", self.address, "--host", "127.0.0.1", "--nthreads", str(self._threads), "--no-nanny")
        program = _DASK if has_cloudo else ("-P", "-c", _WITHOUT_CLOUDO)
        local = ("--name", name, "--local-directory", str(self._folder))
        return self._start(name, *words, *local, environment=environment, program=program)

    def _start(
        self, name: str, *words: str, environment: Mapping[str, str] | None = None, program: tuple[str, ...] = _DASK
    ) -> subprocess.Popen[bytes]:
        own = {key: value for key, value in os.environ.items() if not key.startswith("CLOUDO_")}
        with (self._folder / f"dask-{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *program, *words, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=own | dict(environment or {}),
                cwd=self._folder,
            )
