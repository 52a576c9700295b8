"""REST for workers and the queue."""

from __future__ import annotations

from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import PageQuery, operation, routes_of
from cloudo_kernel.models import Page, QueueState, Worker


class Workers(Handler):
    """`/worker`."""

    @operation("workers", reply=Page[Worker], query=(PageQuery,))
    async def get(self) -> None:
        """List the workers with a live lease."""
        await self.answer_page(self.api.workers, "id")


class Queue(Handler):
    """`/queue`."""

    @operation("queue", reply=QueueState)
    async def get(self) -> None:
        """Return the number of pending executions, and whether the queue is paused."""
        await self.answer(self.api.queue)


class Pause(Handler):
    """`/queue/pause`."""

    @operation("pause_queue", reply=QueueState)
    async def post(self) -> None:
        """Pause the queue until it is resumed."""
        await self.answer(self.api.pause_queue)


class Resume(Handler):
    """`/queue/resume`."""

    @operation("resume_queue", reply=QueueState)
    async def post(self) -> None:
        """Resume the queue."""
        await self.answer(self.api.resume_queue)


routes = routes_of(Workers, Queue, Pause, Resume)
