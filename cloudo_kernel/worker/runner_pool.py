"""Runners that stand by: forked, their kernels connected, waiting for something to run."""

from __future__ import annotations

import logging
import threading

from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.processes.zygotes import Zygote, Zygotes
from cloudo_kernel.worker.runner_process import RunnerProcess
from cloudo_kernel.worker.socket_dirs import SocketDirs

_log = logging.getLogger(__name__)

#: How many; one is used while the next gets ready.
_SIZE = 2
#: A start that finds none waits so long for a zygote that is warming up; a cold start takes about as long.
_WAIT_SECONDS = 15.0
#: So many zygotes may die under one start before it is a cold one.
_ATTEMPTS = 3
#: How often it is looked whether the environment has changed since.
_POLL_INTERVAL_SECONDS = 5.0


class RunnerPool:
    """A few runners, kept ready on a thread of its own."""

    def __init__(self, zygotes: Zygotes, sockets: SocketDirs) -> None:
        self._zygotes = zygotes
        self._sockets = sockets
        self._ready: list[RunnerProcess] = []
        self._lock = threading.Lock()
        self.loop = Loop("standby", self._keep)

    def start(self) -> None:
        """Begin to make them."""
        self._zygotes.listen(self.loop.wake)
        self.loop.start()

    def take(self) -> RunnerProcess:
        """Return a runner of today's environment: one that stands by, a fresh fork, or a cold one. Raises `OSError`."""
        for _ in range(_ATTEMPTS):
            zygote = self._zygotes.get(wait_seconds=_WAIT_SECONDS)
            if zygote is None:
                break
            try:
                return self._pick(zygote) or RunnerProcess.warm(zygote, self._sockets)
            except TimeoutError:
                _log.warning("The zygote does not answer; a runner is started cold.", exc_info=True)
                break
            except OSError as error:  # it died, or was replaced meanwhile
                _log.info("A runner could not be forked", extra={"reason": str(error)})
        return RunnerProcess.cold(self._sockets)

    def close(self) -> None:
        """End those that stand by."""
        self.loop.stop()
        self._drop(None)

    def _pick(self, zygote: Zygote) -> RunnerProcess | None:
        """Return one that stands by, if there is one that can be used."""
        with self._lock:
            while self._ready:
                runner = self._ready.pop(0)
                if runner.is_fit and runner.zygote is zygote:
                    self.loop.wake()
                    return runner
                runner.close()
        return None

    def _keep(self) -> float:
        zygote = self._zygotes.get()
        self._drop(zygote)
        while zygote is not None and zygote.is_ready and len(self._ready) < _SIZE and not self.loop.is_stopping:
            runner = RunnerProcess.warm(zygote, self._sockets)
            with self._lock:
                self._ready.append(runner)
        return _POLL_INTERVAL_SECONDS

    def _drop(self, zygote: Zygote | None) -> None:
        """Close those that died, or are not of this zygote."""
        with self._lock:
            stale = [one for one in self._ready if one.zygote is not zygote or not one.is_fit]
            self._ready = [one for one in self._ready if one not in stale]
        for runner in stale:
            runner.close()
