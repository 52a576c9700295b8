"""Background threads: each repeats one step until it is stopped, whatever the step raises."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from cloudo_kernel.errors import CloudoError

_log = logging.getLogger(__name__)

#: The delay after the first failure in a row, and the maximum as it doubles. Far below a worker's lease.
_FIRST_RETRY_SECONDS = 0.25
_MAX_RETRY_SECONDS = 2.0
#: A loop without a turn for this many of its intervals is stuck; shorter intervals count as `_MIN_INTERVAL_SECONDS`.
_STUCK_INTERVALS = 6
_MIN_INTERVAL_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class LoopState:
    """What a loop reports about itself, in text that is safe to show to anyone."""

    name: str
    #: Whether its thread runs.
    is_alive: bool
    #: Since its last turn ended, or since its start.
    idle_seconds: float
    #: Without a turn for longer than this, it is stuck.
    stuck_after_seconds: float
    #: The kind of error of its last turn, or the one that ended the loop; None if the last turn worked.
    error: str | None

    @property
    def is_stuck(self) -> bool:
        """Whether it lives, but has had no turn for too long: its step hangs."""
        return self.is_alive and self.idle_seconds > self.stuck_after_seconds


def stuck_after(interval: float) -> float:
    """Return the seconds without a turn after which a loop or job with this interval, in seconds, is stuck."""
    return _STUCK_INTERVALS * max(_MIN_INTERVAL_SECONDS, interval)


class Repeated(Protocol):
    """A `Loop`, or a job of a timer: it repeats a step in the background, and reports its state."""

    name: str
    on_death: Callable[[str], None]

    @property
    def state(self) -> LoopState | None:
        """The state; None before its start and after its stop."""


class Failures:
    """Logs when a repeated action begins to fail and when it works again, and nothing in between."""

    def __init__(self, what: str) -> None:
        self._what = what
        #: The error of the last try; None if that worked.
        self.last: Exception | None = None
        self._kinds: set[type[Exception]] = set()
        self._is_logged = False

    @property
    def is_failing(self) -> bool:
        """Whether the last try failed."""
        return bool(self._kinds)

    def note(self, error: Exception) -> None:
        """Log an error, unless one of its type was logged since the last success or the store has logged it."""
        self.last = error
        is_new = type(error) not in self._kinds
        self._kinds.add(type(error))
        if is_new and not getattr(error, "is_logged", False):
            self._is_logged = True
            is_unexpected, text = not isinstance(error, CloudoError), str(error) or type(error).__name__
            _log.error("%s fails and is retried: %s", self._what, text, exc_info=is_unexpected)

    def clear(self) -> None:
        """Note a success."""
        self.last = None
        if self._kinds:
            self._kinds = set()
            if self._is_logged:
                self._is_logged = False
                _log.warning("%s works again.", self._what)


def _no_rest(_step_seconds: float, _wait_seconds: float) -> float:
    return 0.0


class Loop:
    """A thread that repeats `step`, and then waits for the seconds that `step` returned or until `wake`.

    An error of the step is logged once, and the step is retried after a delay that doubles up to two seconds.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float],
        *,
        rest: Callable[[float, float], float] = _no_rest,
    ) -> None:
        """Prepare the thread.

        `rest` returns the minimum seconds between the end of a step and the next one, however often `wake` is called.
        Its arguments are the seconds that the step took and the seconds that the step returned.
        """
        self.name = name
        #: Called on the thread itself when it ends without having been stopped.
        self.on_death: Callable[[str], None] = lambda _name: None
        self._fatal: BaseException | None = None
        self._step = step
        self._rest = rest
        self._failures = Failures(f"The loop {name}")
        self._wake = threading.Event()
        self._end_rest = threading.Event()
        self._is_stopping = threading.Event()
        self._interval = 0.0
        self._turned_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"cloudo-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread. Raises `RuntimeError` when the system has no thread left."""
        self._turned_at = time.monotonic()
        self._thread.start()

    def wake(self) -> None:
        """End the wait for the next step."""
        self._wake.set()

    def end_rest(self) -> None:
        """End the rest after the current step, but not the wait."""
        self._end_rest.set()

    def stop(self) -> None:
        """Let the current step end, and wait for the thread. A stuck step is not waited for."""
        is_stuck = (state := self.state) is not None and state.is_stuck
        self._is_stopping.set()
        self._wake.set()
        self._end_rest.set()
        is_other = self._thread.ident is not None and self._thread is not threading.current_thread()
        if is_other and not is_stuck:
            self._thread.join()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called; a long step checks it."""
        return self._is_stopping.is_set()

    def pause(self, seconds: float) -> bool:
        """Wait within a step; return whether `stop` was called."""
        return self._is_stopping.wait(seconds)

    @property
    def is_failing(self) -> bool:
        """Whether the last step raised."""
        return self._failures.is_failing

    @property
    def is_dead(self) -> bool:
        """Whether the thread ended, or is about to, without having been stopped."""
        is_over = self._thread.ident is not None and not self._thread.is_alive()
        return self._fatal is not None or (is_over and not self.is_stopping)

    @property
    def state(self) -> LoopState | None:
        """The state of the loop; None before its start and after `stop`."""
        if self._thread.ident is None or self.is_stopping:
            return None
        error = self._fatal or self._failures.last
        return LoopState(
            name=self.name,
            is_alive=not self.is_dead,
            idle_seconds=round(time.monotonic() - self._turned_at, 1),
            stuck_after_seconds=stuck_after(self._interval),
            error=None if error is None else getattr(error, "reason", None) or type(error).__name__,
        )

    def _run(self) -> None:
        delay = _FIRST_RETRY_SECONDS
        try:
            self._wake.clear()
            while not self.is_stopping:
                try:
                    self._turn()
                    delay = _FIRST_RETRY_SECONDS
                except Exception as error:  # noqa: BLE001 -- the worker needs the loop, so it must go on
                    self._failures.note(error)
                    self._turned_at = time.monotonic()
                    self._is_stopping.wait(delay)
                    delay = min(2 * delay, _MAX_RETRY_SECONDS)
        except BaseException as error:  # noqa: BLE001 -- it ends this thread, and nothing above could catch it
            self._fatal = error
            _log.critical("The loop %s has died.", self.name, exc_info=True)
            self.on_death(self.name)

    def _turn(self) -> None:
        began = time.monotonic()
        wait = self._step()
        ended = self._turned_at = time.monotonic()
        self._interval = wait
        self._failures.clear()
        if wait > 0:
            rest = self._rest(ended - began, wait)
            self._wake.wait(wait)
            if rest:
                self._end_rest.wait(max(0.0, ended + rest - time.monotonic()))
                self._end_rest.clear()
        self._wake.clear()


def states(loops: Iterable[Repeated]) -> tuple[LoopState, ...]:
    """Return the states of the loops and jobs that were started and not stopped."""
    return tuple(state for loop in loops if (state := loop.state) is not None)
