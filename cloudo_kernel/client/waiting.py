"""Waits over HTTP. A restart of the server does not end them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.client.http import Connection, part
from cloudo_kernel.errors import Unavailable
from cloudo_kernel.models import Event, Execution, Message, Page
from cloudo_kernel.models.event_types import MESSAGE_ANSWERED, MESSAGE_DELETED, MESSAGE_EXPIRED, MESSAGE_WITHDRAWN

T = TypeVar("T")

#: The duration of one long poll; the server's limit is 60.
_POLL_SECONDS = 50
#: How long a wait retries an unreachable server; a restart takes a few seconds.
_ABSENCE_SECONDS = 60.0
_RECONNECT_SECONDS = 0.5
#: Types of the events after which a message no longer takes an answer.
_MESSAGE_ENDS: Final = (MESSAGE_ANSWERED, MESSAGE_EXPIRED, MESSAGE_WITHDRAWN, MESSAGE_DELETED)
#: Poll interval after a message's expiry: the server's clock decides, and this one may be ahead of it.
_EXPIRY_POLL_SECONDS = 1.0


class Deadline:
    """A deadline by the monotonic clock, `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @classmethod
    def of(cls, timeout: timedelta | None) -> Deadline:
        """Return the deadline after `timeout`; None means never."""
        return cls(math.inf if timeout is None else timeout.total_seconds())

    @property
    def left(self) -> float:
        """Seconds until the deadline, 0 after it."""
        return max(0.0, self._end - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self.left == 0


class Waiting(Connection):
    """The verbs that wait."""

    def wait(self, execution_id: str, *, timeout: timedelta | None = None) -> Execution:
        """See `Api.wait`. A restart of the server does not end the wait."""
        deadline, path = Deadline.of(timeout), f"execution/{part(execution_id)}"
        while True:
            seconds = min(deadline.left, _POLL_SECONDS)
            execution = _outlasting(partial(self._get, Execution, path, wait=seconds), deadline)
            if execution.is_ended or deadline.is_over:
                return execution

    def wait_message(self, message_id: str, *, timeout: timedelta | None = None) -> Message:
        """See `Api.wait_message`. A restart of the server does not end the wait."""
        deadline = Deadline.of(timeout)
        read = partial(self._get, Message, f"message/{part(message_id)}")
        message = _outlasting(read, deadline)
        while message.is_open and not deadline.is_over:
            left = deadline.left
            if message.expires_at is not None:
                expiry = (message.expires_at - datetime.now(UTC)).total_seconds()
                left = min(left, max(_EXPIRY_POLL_SECONDS, expiry))
            message = self._closed(message_id, read, Deadline(left))
        return message

    def events(
        self,
        *,
        after: int | None = None,
        limit: int = 100,
        timeout: timedelta = timedelta(0),
        subject_id: str | None = None,
    ) -> Page[Event]:
        """See `Api.events`."""
        deadline = Deadline.of(timeout)
        while True:
            poll = {"timeout_seconds": min(_POLL_SECONDS, deadline.left), "limit": limit}
            page = self._get(Page[Event], "event", after=after, subject_id=subject_id, **poll)
            if page.items or deadline.is_over:
                return page
            after = int(page.next or 0)

    def _closed(self, message_id: str, read: Callable[[], Message], deadline: Deadline) -> Message:
        """Call `read` until the message is closed or the deadline has passed; return the last record."""
        # Get the position before the record, so that no end is missed in between.
        position = int(_outlasting(partial(self.events, subject_id=message_id), deadline).next or 0)
        message = _outlasting(read, deadline)
        while message.is_open and not deadline.is_over:
            silence = timedelta(seconds=min(deadline.left, _POLL_SECONDS))
            poll = partial(self.events, after=position, timeout=silence, subject_id=message_id, limit=PAGE_LIMIT)
            page = _outlasting(poll, deadline)
            position = int(page.next or position)
            if not page.items or any(event.type in _MESSAGE_ENDS for event in page.items):
                message = _outlasting(read, deadline)
        return message


def _outlasting(ask: Callable[[], T], deadline: Deadline) -> T:
    """Call `ask`, and retry while the server is unreachable: a restart takes a few seconds."""
    patience = Deadline(_ABSENCE_SECONDS)
    while True:
        try:
            return ask()
        except Unavailable:
            if patience.is_over or deadline.is_over:
                raise
            time.sleep(_RECONNECT_SECONDS)
