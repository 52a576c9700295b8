"""Runs executions as processes on this machine: one runner for each, in its own session."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection

from cloudo_kernel.models import EngineTier
from cloudo_kernel.processes import channel
from cloudo_kernel.processes.loop import Failures, Loop
from cloudo_kernel.processes.provisioner import is_kernel_forkable
from cloudo_kernel.processes.zygotes import shared_zygotes
from cloudo_kernel.runner.run import GRACE_SECONDS
from cloudo_kernel.store import Claim, Outcome
from cloudo_kernel.worker.executor import ExecutorContext, OnEnd
from cloudo_kernel.worker.outcomes import timed_out
from cloudo_kernel.worker.run_supervisor import RunSupervisor
from cloudo_kernel.worker.runner_pool import RunnerPool
from cloudo_kernel.worker.runner_process import RunnerProcess
from cloudo_kernel.worker.socket_dirs import SocketDirs

_log = logging.getLogger(__name__)

#: Maximum number of warm runners for a run that has not begun; if they all die, it gets a cold one.
_WARM_ATTEMPTS = 3
#: Maximum time that one start waits for zygotes, over all its attempts; a cold start takes about as long.
_WARM_SECONDS = 15.0


class LocalExecutor:
    """An `Executor` that runs executions in local processes."""

    def __init__(self, context: ExecutorContext) -> None:
        self._context = context
        self._sockets = SocketDirs()
        self._pool = RunnerPool(shared_zygotes(), self._sockets)
        self._runs: dict[str, _Run] = {}
        self._failures = Failures("The supervision of a run")
        self._on_end: OnEnd = lambda *, is_reported: None  # noqa: ARG005 -- replaced by `start`
        self._lock = threading.Lock()

    def start(self, on_end: OnEnd) -> None:
        """See `Executor.start`."""
        self._on_end = on_end
        if self._sockets.has_room:
            self._pool.start()

    @property
    def loops(self) -> tuple[Loop, ...]:
        """See `Executor.loops`."""
        return (self._pool.loop,)

    @property
    def ready(self) -> int:
        """The number of processes that wait for a run."""
        return self._pool.ready

    def submit(self, claim: Claim) -> None:
        """See `Executor.submit`."""
        context = self._context
        supervisor = RunSupervisor(
            context.store,
            context.catalog,
            claim,
            context.slots,
            reserved_for=context.reserved_for,
            linger_seconds=context.linger_seconds,
        )
        run = _Run(supervisor)
        with self._lock:
            self._runs[claim.id] = run
        try:
            threading.Thread(target=self._attend, args=(run,), name=f"cloudo-run-{claim.id}", daemon=True).start()
        except BaseException:
            self._forget(run)
            raise

    def stop(self, execution_id: str, outcome: Outcome) -> None:
        """See `Executor.stop`."""
        with self._lock:
            run = self._runs.get(execution_id)
        if run is not None:
            run.stop(outcome)

    def kill(self, execution_id: str) -> None:
        """Kill the processes of a run, if it runs here; called when the store says that it is over."""
        with self._lock:
            run = self._runs.get(execution_id)
        if run is not None:
            run.kill()

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

    def end(self) -> None:
        """See `Executor.end`."""
        self.close()
        self._pool.close()
        self._sockets.close()

    def _attend(self, run: _Run) -> None:
        exit_code, is_reported = 1, False
        try:
            try:
                exit_code = self._run(run)
            except Exception as error:  # noqa: BLE001 -- the run has to end on any error
                self._failures.note(error)
                run.supervisor.note_obstacle(error)
            else:
                self._failures.clear()
            is_reported = run.supervisor.finish(exit_code)
        except Exception:  # noqa: BLE001 -- its slot has to become free on any error
            _log.exception("The end of a run cannot be reported", extra={"execution_id": run.supervisor.claim.id})
        finally:
            self._forget(run)
            self._on_end(is_reported=is_reported)

    def _forget(self, run: _Run) -> None:
        with self._lock:
            if self._runs.get(run.supervisor.claim.id) is run:
                del self._runs[run.supervisor.claim.id]
        run.is_over.set()

    def _run(self, run: _Run) -> int:
        """Run it in a warm runner, retrying if that dies before a cell begins, or else in a cold one."""
        claim = run.supervisor.claim
        is_wanted = claim.engine is EngineTier.KERNEL and claim.kernel == "cloudo"
        is_warm = is_wanted and is_kernel_forkable() and self._sockets.has_room
        end = time.monotonic() + _WARM_SECONDS
        for _ in range(_WARM_ATTEMPTS if is_warm else 0):
            runner = self._pool.take(wait_seconds=max(0.0, end - time.monotonic()))
            exit_code = run.attend(runner)
            if runner.zygote is None or run.is_killed or not run.supervisor.begin_anew():
                return exit_code
            if run.supervisor.is_declined:
                break
            _log.warning("A warm runner died before its run had begun", extra={"execution_id": claim.id})
        return run.attend(RunnerProcess.cold(self._sockets))


class _Run:
    """One run and its runner."""

    def __init__(self, supervisor: RunSupervisor) -> None:
        self.supervisor = supervisor
        supervisor.end_processes = self.kill
        self.is_over = threading.Event()
        self._runner: RunnerProcess | None = None
        #: Whether it was killed: its result no longer counts.
        self.is_killed = False
        self._timers: list[threading.Timer] = []
        self._lock = threading.Lock()

    def attend(self, runner: RunnerProcess) -> int:
        """Answer the runner and its kernel until both are gone; return the runner's exit code."""
        with self._lock:
            self._runner = runner
            if self.is_killed:
                runner.kill()
            elif self.supervisor.is_decided:
                runner.ask_to_stop()
        kernel = threading.Thread(
            target=self._attend_kernel, args=(runner.kernel_end,), name="cloudo-run-kernel", daemon=True
        )
        try:
            kernel.start()
            limit = self.supervisor.claim.timeout_seconds
            if limit is not None:
                self._later(limit, lambda: self.stop(timed_out(timedelta(seconds=limit))))
            channel.answer(runner.runner_end, self.supervisor.runner_verb, flush=self.supervisor.flush_progress)
            # A warm runner that has reported and hung up is killed below, to save the last milliseconds of its exit.
            return 0 if self.supervisor.has_found and runner.zygote is not None else runner.wait()
        finally:
            self._detach(runner, kernel)

    def _detach(self, runner: RunnerProcess, kernel: threading.Thread) -> None:
        for timer in self._timers:
            timer.cancel()
        runner.cut()
        self.supervisor.end_kernel_group()
        if kernel.ident is not None:
            kernel.join(timeout=1)  # a process that the notebook left behind may hold the channel open
        self.supervisor.complaints = runner.complaints()
        with self._lock:
            self._runner = None
        runner.close()

    def _attend_kernel(self, end: Connection) -> None:
        try:
            channel.answer(end, self.supervisor.kernel_verb, flush=self.supervisor.flush_log)
        finally:
            self.supervisor.note_hang_up()

    def stop(self, outcome: Outcome) -> None:
        """Make the runner interrupt its kernel; kill both after the grace time."""
        if not self.supervisor.set_outcome(outcome):
            return
        with self._lock:
            if self._runner is not None:
                self._runner.ask_to_stop()
        # The runner itself kills its kernel after the grace time; this covers a runner that cannot.
        self._later(GRACE_SECONDS + 2, self.kill)

    def kill(self) -> None:
        """Kill the runner and its kernel."""
        with self._lock:
            self.is_killed = True
            if self._runner is not None:
                self._runner.kill()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), action)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)
