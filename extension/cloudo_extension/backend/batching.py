"""Batches work: items that arrive while one batch is processed form the next batch.

One thread call and one commit serve a whole batch; a call for each item would cost as much as the item itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from cloudo_kernel.models import StartExecution

if TYPE_CHECKING:
    from cloudo_kernel.service import Service
    from cloudo_kernel.store import IdempotencyKey, Inserted, NewExecution, Store
    from cloudo_kernel.workspace.catalog import Catalog

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

#: Event loop rounds without a new item that complete a batch. A request takes several from its connection to here.
_QUIET_ROUNDS = 10
#: Number of waiting items at which a batch is processed at once.
_MAX_BATCH = 100


class Batcher(Generic[Item, Outcome]):
    """Batches items for one function. Lives on the server's event loop."""

    def __init__(
        self,
        call: Callable[..., Awaitable[list[Outcome | Exception]]],
        act: Callable[[Sequence[Item]], list[Outcome | Exception]],
    ) -> None:
        """Run `act` on a thread with `call`. It returns the outcome of each item, or raises for all."""
        self._call = call
        self._act = act
        self._waiting: list[tuple[Item, asyncio.Future[Outcome]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Outcome:
        """Add an item and return its outcome. Raises the item's error."""
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
            except Exception as error:  # noqa: BLE001 -- raised in every waiting caller
                outcomes = [error] * len(group)
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if future.done():  # the caller was cancelled
                    continue
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    async def _gather(self) -> None:
        """Let the event loop run until no new item arrives.

        Few large batches are written faster than many small ones: while a thread writes, it and the event loop
        take the interpreter's lock from each other at every statement (measured: half as many starts a second).
        """
        seen = quiet_rounds = 0
        while quiet_rounds < _QUIET_ROUNDS and seen < _MAX_BATCH:
            quiet_rounds = quiet_rounds + 1 if len(self._waiting) == seen else 0
            seen = len(self._waiting)
            await asyncio.sleep(0)


@dataclass(frozen=True)
class Start:
    """A request to start an execution."""

    service: Service
    request: StartExecution
    idempotency_key: str | None


def start_all(store: Store, catalog: Catalog, starts: Sequence[Start]) -> list[Inserted | Exception]:
    """Start each, and return its outcome or its error. Raises `Unavailable` for all."""
    with catalog.at_one_moment():
        prepared = [_prepared(start) for start in starts]
    fitting = [one for one in prepared if isinstance(one, tuple)]
    inserted = iter(store.executions.insert_all(fitting) if fitting else ())
    return [next(inserted) if isinstance(one, tuple) else one for one in prepared]


def _prepared(start: Start) -> tuple[NewExecution, IdempotencyKey | None] | Inserted | Exception:
    from cloudo_kernel.service.starts import NO_LONGER
    from cloudo_kernel.store import Inserted

    service, request, key = start.service, start.request, start.idempotency_key
    try:
        try:
            return service.prepare_start(request, idempotency_key=key)
        except NO_LONGER as error:
            return Inserted(service.first_start(request, key, error), is_new=False)
    except Exception as error:  # noqa: BLE001 -- raised in the waiting caller
        return error
