"""Follows the changes of an execution, to show it while it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

from cloudo_kernel.api import Api
from cloudo_kernel.errors import Unavailable
from cloudo_kernel.models import Execution

_LONG_POLL = timedelta(seconds=20)
#: How long a server may be unreachable. A restart takes a few seconds.
_ABSENCE_SECONDS = 60.0


def follow(api: Api, execution_id: str) -> Iterator[Execution]:
    """Yield the execution's record now and after each change, until it has ended."""
    # Read the position first, so that no change between the first read and the first poll is missed.
    after = int(api.events(limit=1).next or 0)
    while True:
        record = api.execution(execution_id)
        yield record
        if record.is_ended:
            return
        after = _after_next(api, execution_id, after)


def _after_next(api: Api, execution_id: str, after: int) -> int:
    """Wait for the next events and return the last one's id. The wait survives a restart of the server."""
    give_up = time.monotonic() + _ABSENCE_SECONDS
    while True:
        try:
            page = api.events(after=after, timeout=_LONG_POLL, subject_id=execution_id, limit=500)
            return int(page.next or after)
        except Unavailable:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)
