"""The verbs about events, over HTTP, and waits that follow events."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from functools import partial
from typing import TypeVar

from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.client.base import POLL_SECONDS, Base, Deadline
from cloudo_kernel.models import Event, Health, Page, User

T = TypeVar("T")


class EventVerbs(Base):
    """Read events, the current user and the health of the server."""

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
            poll = {"timeout_seconds": min(POLL_SECONDS, deadline.left), "limit": limit}
            page = self._get(Page[Event], "event", after=after, subject_id=subject_id, **poll)
            if page.items or deadline.is_over:
                return page
            after = int(page.next or 0)

    def user(self) -> User:
        """See `Api.user`."""
        return self._get(User, "user/me")

    def health(self) -> Health:
        """See `Api.health`."""
        reply = self._request("GET", "health")
        return self._record(Health, reply if reply.status_code == 503 else self._checked(reply))

    def _until(
        self,
        subject_id: str,
        read: Callable[[], T],
        is_over: Callable[[T], bool],
        *,
        deadline: Deadline,
        ends: Collection[str],
    ) -> T:
        """Call `read` until its record `is_over` or the deadline has passed; return the last record.

        `ends` are the types of the events after which the record may be over. A restart of the server does not end
        the wait.
        """
        record = self._outlasting(read, deadline)
        if is_over(record):
            return record
        # Get the position before the record, so that no end is missed in between.
        position = int(self._outlasting(partial(self.events, subject_id=subject_id), deadline).next or 0)
        record = self._outlasting(read, deadline)
        while not is_over(record) and not deadline.is_over:
            silence = timedelta(seconds=min(deadline.left, POLL_SECONDS))
            poll = partial(self.events, after=position, timeout=silence, subject_id=subject_id, limit=PAGE_LIMIT)
            page = self._outlasting(poll, deadline)
            position = int(page.next or position)
            if not page.items or any(event.type in ends for event in page.items):
                record = self._outlasting(read, deadline)
        return record
