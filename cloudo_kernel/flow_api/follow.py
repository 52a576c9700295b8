"""Follows an execution from change to change, for whoever shows it while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from cloudo_kernel.api import Api
from cloudo_kernel.models import Execution

_LONG_POLL = timedelta(seconds=20)


def follow(api: Api, execution_id: str) -> Iterator[Execution]:
    """Yield the execution's record now and after each change, up to and with its end."""
    # From here on: what happens between the first look and the first poll must not be missed.
    after = int(api.events(limit=1).next or 0)
    while True:
        record = api.execution(execution_id)
        yield record
        if record.is_ended:
            return
        page = api.events(after=after, timeout=_LONG_POLL, subject_id=execution_id, limit=500)
        after = int(page.next or after)
