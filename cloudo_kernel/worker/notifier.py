"""Sends the notifications of ended executions on its own threads, so that a slow receiver delays nothing else."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

from cloudo_kernel.processes.loop import Loop
from cloudo_kernel.settings import NOTIFICATION_DELAYS, NOTIFICATION_TIMEOUT_SECONDS
from cloudo_kernel.store import DueFollowUp, Store

_log = logging.getLogger(__name__)

#: Maximum number of calls at once.
_MAX_AT_ONCE = 8
#: Poll interval, in case the clock was moved or another process has given a call back.
_POLL_INTERVAL_SECONDS = 5.0
#: Delay before a retry of a call whose result could not be recorded.
_AFTER_SECONDS = 60.0
#: Every commit wakes the loop: hundreds a second must not keep it busy.
_BACKOFF_SECONDS = 0.1
#: Seconds that a stopping worker waits for calls in progress; unfinished ones are made again.
_STOP_SECONDS = 3.0


class SendNotification(Protocol):
    """Makes a call, and records its result."""

    def __call__(self, due: DueFollowUp, *, timeout_seconds: float, delay_seconds: float | None) -> None:
        """Make a due call. If it fails, it is retried after `delay_seconds`; None means never."""


class Notifier:
    """The notifier of one worker. Any number of them may run: the store gives each call to one."""

    def __init__(
        self,
        store: Store,
        send_notification: SendNotification,
        *,
        worker_id: str,
        reserved_for: str | None,
        delays: Sequence[float] = NOTIFICATION_DELAYS,
        timeout_seconds: float = NOTIFICATION_TIMEOUT_SECONDS,
    ) -> None:
        """Retry a failed call after each of the `delays`, in seconds, then give up."""
        self._store = store
        self._send_notification = send_notification
        self._worker_id = worker_id
        self._reserved_for = reserved_for
        self._delays = tuple(delays)
        self._timeout_seconds = timeout_seconds
        self.loop = Loop("notifier", self._look, rest=lambda _step_seconds, _wait_seconds: _BACKOFF_SECONDS)
        self._remove_listener: Callable[[], None] = lambda: None
        self._calls: set[threading.Thread] = set()
        #: Ids of calls whose result could not be recorded.
        self._lost: list[str] = []

    def start(self) -> None:
        """Start looking for due calls."""
        self._remove_listener = self._store.tail.add_listener(self.loop.wake)
        self.loop.start()

    def stop(self) -> None:
        """Start no more calls. Calls that do not end soon are made again by the next worker."""
        self.loop.stop()
        self._remove_listener()
        end = time.monotonic() + _STOP_SECONDS
        for call in tuple(self._calls):
            call.join(max(0.0, end - time.monotonic()))

    def _look(self) -> float:
        """Start due calls up to the limit; return the seconds until the next look."""
        self._calls = {call for call in self._calls if call.is_alive()}
        if lost := tuple(self._lost):
            self._store.follow_ups.put_back(lost, self._worker_id, delay_seconds=_AFTER_SECONDS)
            del self._lost[: len(lost)]
        room = _MAX_AT_ONCE - len(self._calls)
        due_at = self._store.follow_ups.next_notification(reserved_for=self._reserved_for)
        if due_at is None or not room:  # the end of a call wakes the loop
            return _POLL_INTERVAL_SECONDS
        left = (due_at - self._store.now) / timedelta(seconds=1)
        if left > 0:
            return min(_POLL_INTERVAL_SECONDS, left)
        for due in self._store.follow_ups.claim_notifications(
            self._worker_id, most=room, reserved_for=self._reserved_for
        ):
            call = threading.Thread(target=self._call, args=[due], name="cloudo-call", daemon=True)
            try:
                call.start()
            except RuntimeError:  # no thread left: the next look puts it back
                self._lost.append(due.id)
                raise
            self._calls.add(call)
        return _BACKOFF_SECONDS

    def _call(self, due: DueFollowUp) -> None:
        delay = self._delays[due.attempts - 1] if due.attempts <= len(self._delays) else None
        try:
            self._send_notification(due, timeout_seconds=self._timeout_seconds, delay_seconds=delay)
        except Exception:  # noqa: BLE001 -- other calls have to continue after any error
            _log.exception("A notification could not be sent or recorded", extra={"execution_id": due.execution.id})
            self._lost.append(due.id)
        finally:
            self.loop.wake()
