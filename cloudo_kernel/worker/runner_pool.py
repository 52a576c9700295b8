"""Keeps runners ready for runs: forked, with their kernels connected."""

from __future__ import annotations

import logging
import threading
import time

from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.processes.zygotes import Zygote, Zygotes
from cloudo_kernel.worker.runner_process import RunnerProcess
from cloudo_kernel.worker.socket_dirs import SocketDirs

_log = logging.getLogger(__name__)

#: Runners in the pool: while one is used, the next gets ready.
_SIZE = 2
#: Zygotes that may die during one start before it becomes a cold start.
_ATTEMPTS = 3
#: Poll interval for changes of the environment.
_POLL_INTERVAL_SECONDS = 5.0


class RunnerPool:
    """A pool of runners without a run, filled on its own thread."""

    def __init__(self, zygotes: Zygotes, sockets: SocketDirs) -> None:
        self._zygotes = zygotes
        self._sockets = sockets
        self._ready: list[RunnerProcess] = []
        self._lock = threading.Lock()
        self.loop = Loop("runner-pool", self._fill)

    def start(self) -> None:
        """Start filling the pool."""
        self._zygotes.listen(self.loop.wake)
        self.loop.start()

    def take(self, *, wait_seconds: float) -> RunnerProcess:
        """Return a runner for the current environment: from the pool, freshly forked, or cold. Raises `OSError`.

        Zygotes that warm up, die or do not answer are waited for up to `wait_seconds` in all.
        """
        end = time.monotonic() + wait_seconds
        for _ in range(_ATTEMPTS):
            zygote = self._zygotes.get(wait_seconds=max(0.0, end - time.monotonic()))
            if zygote is None:
                break
            left = max(0.0, end - time.monotonic())
            try:
                return self._pick(zygote) or RunnerProcess.warm(zygote, self._sockets, wait_seconds=left)
            except TimeoutError:
                _log.warning("The zygote does not answer; a runner is started cold.", exc_info=True)
                break
            except OSError as error:  # the zygote died, or was replaced in the meantime
                _log.info("A runner could not be forked", extra={"reason": str(error)})
        return RunnerProcess.cold(self._sockets)

    @property
    def ready(self) -> int:
        """The number of runners in the pool."""
        return len(self._ready)

    def close(self) -> None:
        """Stop filling the pool, and close its runners."""
        self.loop.stop()
        self._drop(None)

    def _pick(self, zygote: Zygote) -> RunnerProcess | None:
        """Return a usable runner of the pool, or None."""
        with self._lock:
            while self._ready:
                runner = self._ready.pop(0)
                if runner.is_fit and runner.zygote is zygote:
                    self.loop.wake()
                    return runner
                runner.close()
        return None

    def _fill(self) -> float:
        zygote = self._zygotes.get()
        self._drop(zygote)
        while zygote is not None and zygote.is_ready and len(self._ready) < _SIZE and not self.loop.is_stopping:
            runner = RunnerProcess.warm(zygote, self._sockets)
            with self._lock:
                self._ready.append(runner)
        return _POLL_INTERVAL_SECONDS

    def _drop(self, zygote: Zygote | None) -> None:
        """Close runners that died or belong to another zygote."""
        with self._lock:
            stale = [one for one in self._ready if one.zygote is not zygote or not one.is_fit]
            self._ready = [one for one in self._ready if one not in stale]
        for runner in stale:
            runner.close()
