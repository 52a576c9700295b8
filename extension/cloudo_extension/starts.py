"""Starts of executions, gathered: those that come while others are being written are written together next.

One call of a thread and one commit serve all of a group; a call for each would cost as much as the start itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudo_kernel.models import StartExecution

if TYPE_CHECKING:
    from cloudo_kernel.service import Service
    from cloudo_kernel.store import IdempotencyKey, Inserted, NewExecution, Store

#: A request takes several rounds of the event loop from its connection to here.
_QUIET_ROUNDS = 10
#: When so many wait, it waits for no more.
_MOST = 100


@dataclass(frozen=True)
class Start:
    """One caller's request."""

    service: Service
    request: StartExecution
    idempotency_key: str | None


class Starts:
    """Gathers starts. Lives on the server's event loop."""

    def __init__(self, store: Store, call: Callable[..., Awaitable[list[Inserted | Exception]]]) -> None:
        self._store = store
        self._call = call
        self._waiting: list[tuple[Start, asyncio.Future[Inserted]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, start: Start) -> Inserted:
        """Return once the execution is safe on disk. Raises what `Api.start_execution` raises."""
        future: asyncio.Future[Inserted] = asyncio.get_running_loop().create_future()
        self._waiting.append((start, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())
        return await future

    async def _write(self) -> None:
        while self._waiting:
            await self._gather()
            group, self._waiting = self._waiting, []
            outcomes: Sequence[Inserted | Exception]
            try:
                outcomes = await self._call(_start_all, self._store, [start for start, _ in group])
            except Exception as error:  # noqa: BLE001 -- each of those who wait is told
                outcomes = [error] * len(group)
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if future.done():  # the caller was cancelled
                    continue
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    async def _gather(self) -> None:
        """Let the event loop go round until no further start comes of it.

        Few large groups are written faster than many small ones: while a thread writes, it and the event loop
        take the interpreter's lock from each other at every statement (measured: half as many starts a second).
        """
        seen = quiet_rounds = 0
        while quiet_rounds < _QUIET_ROUNDS and seen < _MOST:
            quiet_rounds = quiet_rounds + 1 if len(self._waiting) == seen else 0
            seen = len(self._waiting)
            await asyncio.sleep(0)


def _start_all(store: Store, starts: Sequence[Start]) -> list[Inserted | Exception]:
    """Start each; one that may not be started does not keep the others from it. Raises `Unavailable` for all."""
    prepared = [_prepared(start) for start in starts]
    fitting = [one for one in prepared if not isinstance(one, Exception)]
    inserted = iter(store.executions.insert_all(fitting) if fitting else ())
    return [one if isinstance(one, Exception) else next(inserted) for one in prepared]


def _prepared(start: Start) -> tuple[NewExecution, IdempotencyKey | None] | Exception:
    try:
        return start.service.prepare_start(start.request, idempotency_key=start.idempotency_key)
    except Exception as error:  # noqa: BLE001 -- it is raised where the caller waits
        return error
