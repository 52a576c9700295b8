"""Things to do, gathered: those that come while others are being done are done together next.

One call of a thread and one commit serve all of a group; a call for each would cost as much as the thing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

#: A request takes several rounds of the event loop from its connection to here.
_QUIET_ROUNDS = 10
#: When so many wait, it waits for no more.
_MAX_BATCH = 100


class Batcher(Generic[Item, Outcome]):
    """Gathers items for one function. Lives on the server's event loop."""

    def __init__(
        self,
        call: Callable[..., Awaitable[list[Outcome | Exception]]],
        act: Callable[[Sequence[Item]], list[Outcome | Exception]],
    ) -> None:
        """`act` is called by `call`, on a thread; it returns what becomes of each item, or raises for all."""
        self._call = call
        self._act = act
        self._waiting: list[tuple[Item, asyncio.Future[Outcome]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Outcome:
        """Return what becomes of the item. Raises what that is."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())
        return await future

    async def _write(self) -> None:
        while self._waiting:
            await self._gather()
            group, self._waiting = self._waiting, []
            outcomes: Sequence[Outcome | Exception]
            try:
                outcomes = await self._call(self._act, [item for item, _ in group])
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
        """Let the event loop go round until no further item comes of it.

        Few large groups are written faster than many small ones: while a thread writes, it and the event loop
        take the interpreter's lock from each other at every statement (measured: half as many starts a second).
        """
        seen = quiet_rounds = 0
        while quiet_rounds < _QUIET_ROUNDS and seen < _MAX_BATCH:
            quiet_rounds = quiet_rounds + 1 if len(self._waiting) == seen else 0
            seen = len(self._waiting)
            await asyncio.sleep(0)
