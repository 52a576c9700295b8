"""Refused webhook calls, counted by caller and name, and recorded in batches.

A wrong key costs no commit of its own, and callers cannot tell whether a webhook of the name exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cloudo_extension.backend.rate_limit import RateLimiter, network
from cloudo_kernel.errors import CloudoError, TooManyCalls

if TYPE_CHECKING:
    from cloudo_kernel.service.webhook_calls import Note
    from cloudo_kernel.webhooks.request import WebhookCall

#: Failures a minute of one caller at one name. Further ones get 429.
_MAX_FAILURES = 20
#: Maximum recorded calls of one webhook a minute that started nothing.
_MAX_NOTES_A_MINUTE = 60
_MAX_NOTES = 1000
_BATCH_SECONDS = 0.5


class Refusals:
    """Counts and collects refused calls. Lives on the server's event loop."""

    def __init__(self, record: Callable[[Sequence[Note]], None]) -> None:
        """`record` is called with each batch."""
        self._record = record
        self._failures = RateLimiter()
        self._noted = RateLimiter()
        self._notes: list[Note] = []
        self._timer: asyncio.TimerHandle | None = None

    def count(self, name: str, address: str) -> int | None:
        """Count a failure. Return the seconds to wait if its caller has too many, else None."""
        try:
            self._failures.check(name, network(address), _MAX_FAILURES)
        except TooManyCalls as error:
            return error.retry_after_seconds
        return None

    def note(self, call: WebhookCall, reason: CloudoError | str, status_code: int) -> None:
        """Queue a call that started nothing for recording. Drops calls beyond the limits."""
        from cloudo_kernel.service.webhook_calls import Note

        if len(self._notes) >= _MAX_NOTES:
            return
        try:
            self._noted.check(call.webhook_name, "", _MAX_NOTES_A_MINUTE)
        except TooManyCalls:
            return
        bare = replace(call, path="", query=(), headers={}, url="", body=b"")
        self._notes.append(Note(bare, datetime.now(UTC), status_code, reason))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_BATCH_SECONDS, self.flush)

    def flush(self) -> None:
        """Record the queued calls."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        notes, self._notes = self._notes, []
        if notes:
            self._record(notes)
