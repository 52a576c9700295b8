"""Waits for the end of an execution on the event loop. The event feed wakes it, so no thread is blocked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from cloudo_kernel.models import Execution
from cloudo_kernel.models.event_types import EXECUTION_DELETED, EXECUTION_ENDED

if TYPE_CHECKING:
    from cloudo_extension.backend.backend import Backend


async def until_ended(
    backend: Backend, read: Callable[[str], Execution], execution_id: str, seconds: float
) -> Execution:
    """Return `read(execution_id)` once the execution has ended, `seconds` have passed or the server stops."""
    feed = await backend.feed()
    with feed.subscribe(execution_id) as news:
        try:
            async with asyncio.timeout(seconds):
                execution = await backend.call(read, execution_id)
                while not execution.is_ended and not news.is_closed:
                    event = await news.next()
                    if event is None or event.type in (EXECUTION_ENDED, EXECUTION_DELETED):
                        news.catch_up()
                        execution = await backend.call(read, execution_id)
                return execution
        except TimeoutError:
            return await backend.call(read, execution_id)
