"""Runs executions as processes of this machine: a runner for each, in a session of its own."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import IO

from cloudo_kernel import channel
from cloudo_kernel.catalog import Catalog
from cloudo_kernel.executors.host import RunHost, timed_out
from cloudo_kernel.lifeline import Lifeline
from cloudo_kernel.runner import GRACE_SECONDS
from cloudo_kernel.store import Claim, Outcome, Store

_log = logging.getLogger(__name__)

#: So much of what a runner wrote to its standard error is kept for the case that it dies without a report.
_COMPLAINTS_BYTES = 4_000


class LocalExecutor:
    """An `Executor` of processes."""

    def __init__(self, store: Store, catalog: Catalog, *, reserved_for: str | None = None) -> None:
        self._store = store
        self._catalog = catalog
        self._reserved_for = reserved_for
        self._runs: dict[str, _Run] = {}
        self._lock = threading.Lock()

    def submit(self, claim: Claim) -> None:
        """See `Executor.submit`."""
        host = RunHost(self._store, self._catalog, claim, reserved_for=self._reserved_for)
        run = _Run(host)
        with self._lock:
            self._runs[claim.id] = run
        threading.Thread(target=self._attend, args=(run,), name=f"cloudo-run-{claim.id}", daemon=True).start()

    def stop(self, execution_id: str, outcome: Outcome) -> None:
        """See `Executor.stop`."""
        with self._lock:
            run = self._runs.get(execution_id)
        if run is not None:
            run.stop(outcome)

    def pause(self, execution_id: str) -> None:
        """See `Executor.pause`."""
        with self._lock:
            run = self._runs.get(execution_id)
        if run is not None:
            run.host.ask_to_pause()

    def running(self) -> tuple[str, ...]:
        """See `Executor.running`."""
        with self._lock:
            return tuple(self._runs)

    def close(self, *, kill: bool = False) -> None:
        """See `Executor.close`."""
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            if kill:
                run.kill()
        for run in runs:
            run.is_over.wait()

    def _attend(self, run: _Run) -> None:
        exit_code = 1
        try:
            exit_code = run.attend()
        except OSError:
            _log.exception("A run could not be started", extra={"execution_id": run.host.claim.id})
        finally:
            run.host.finish(exit_code)
            with self._lock:
                del self._runs[run.host.claim.id]
            run.is_over.set()


class _Run:
    """The processes of one run."""

    def __init__(self, host: RunHost) -> None:
        self.host = host
        self.is_over = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = Lifeline()
        self._timers: list[threading.Timer] = []
        self._lock = threading.Lock()

    def attend(self) -> int:
        """Start the runner, answer it and its kernel until both have gone, and return the runner's exit code."""
        with tempfile.TemporaryFile() as complaints:
            exit_code = self._attend(complaints)
            complaints.seek(max(0, complaints.tell() - _COMPLAINTS_BYTES))
            self.host.complaints = complaints.read().decode(errors="replace").strip()
        return exit_code

    def _attend(self, complaints: IO[bytes]) -> int:
        runner_end, runner_descriptor = channel.pair()
        kernel_end, kernel_descriptor = channel.pair()
        inherited = (runner_descriptor, kernel_descriptor, self._lifeline.descriptor)
        try:
            with self._lock:
                process = self._process = subprocess.Popen(
                    [sys.executable, "-m", "cloudo_kernel.runner", *map(str, inherited)],
                    pass_fds=inherited,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    stderr=complaints,
                )
            self._lifeline.tie(process.pid)
        finally:
            os.close(runner_descriptor)
            os.close(kernel_descriptor)
        kernel = threading.Thread(
            target=channel.answer,
            args=(kernel_end, self.host.kernel_verb),
            kwargs={"idle": self.host.flush_log},
            name="cloudo-run-kernel",
            daemon=True,
        )
        kernel.start()
        limit = self.host.claim.timeout_seconds
        if limit is not None:
            self._later(limit, lambda: self.stop(timed_out(timedelta(seconds=limit))))
        channel.answer(runner_end, self.host.runner_verb, idle=self.host.flush_progress)
        exit_code = process.wait()
        for timer in self._timers:
            timer.cancel()
        self._lifeline.cut()  # whatever the notebook left in the runner's group ends here
        kernel.join(timeout=1)  # a process that it left outside may hold the channel open
        kernel_end.close()
        runner_end.close()
        return exit_code

    def stop(self, outcome: Outcome) -> None:
        """Have the runner interrupt its kernel; after the grace time kill both."""
        if not self.host.impose(outcome):
            return
        with self._lock:
            process = self._process
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGUSR1)
        # The runner kills its kernel after the grace time; this is for a runner that cannot.
        self._later(GRACE_SECONDS + 2, self.kill)

    def kill(self) -> None:
        """Kill the runner's group; its end of the kernel's lifeline goes with it, and so does the kernel."""
        with self._lock:
            process = self._process
        if process is not None and process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)
