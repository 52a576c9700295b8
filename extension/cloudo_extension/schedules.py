"""REST for schedules: make, list, preview, change, pause, resume, run, delete."""

from __future__ import annotations

from typing import ClassVar

from cloudo_extension.base import API, Handler
from cloudo_kernel.models import Backfill, ChangeSchedule, CreateSchedule, Occurrence, Page, PreviewSchedule


class Schedules(Handler):
    """`/schedule`."""

    query_of: ClassVar = {"GET": frozenset({"flow_name", "q", "limit", "cursor"})}

    async def get(self) -> None:
        """List schedules, newest first."""
        wanted = {"flow_name": self.query("flow_name"), "q": self.query("q")}
        await self.answer(self.api.schedules, **wanted, **self.page_of())

    async def post(self) -> None:
        """Make a schedule."""
        made = await self.engine.call(self.api.create_schedule, self.parse(CreateSchedule, self.body()))
        self.set_header("Location", self.at("schedule", made.id))
        self.set_status(201)
        await self.answer(lambda: made)


class Preview(Handler):
    """`/schedule/preview`."""

    async def post(self) -> None:
        """Tell when a trigger would start something; nothing is saved."""
        await self.answer(self.api.preview_schedule, self.parse(PreviewSchedule, self.body()))


class OneSchedule(Handler):
    """`/schedule/<id>`."""

    async def get(self, schedule_id: str) -> None:
        """Return one schedule with its next ten times."""
        await self.answer(self.api.schedule, schedule_id)

    async def patch(self, schedule_id: str) -> None:
        """Change the schedule in place."""
        await self.answer(self.api.change_schedule, schedule_id, self.parse(ChangeSchedule, self.body()))

    async def delete(self, schedule_id: str) -> None:
        """Delete the schedule; its executions stay."""
        await self.engine.call(self.api.delete_schedule, schedule_id)
        await self.finish_empty()


class Pause(Handler):
    """`/schedule/<id>/pause`."""

    async def post(self, schedule_id: str) -> None:
        """Let the schedule start nothing until it is resumed."""
        await self.answer(self.api.pause_schedule, schedule_id)


class Resume(Handler):
    """`/schedule/<id>/resume`."""

    async def post(self, schedule_id: str) -> None:
        """Let the schedule go on with its next time."""
        await self.answer(self.api.resume_schedule, schedule_id)


class TriggerNow(Handler):
    """`/schedule/<id>/trigger`."""

    async def post(self, schedule_id: str) -> None:
        """Start an execution of the schedule now."""
        started = await self.engine.call(self.api.trigger_schedule, schedule_id)
        self.set_header("Location", self.at("execution", started.id))
        self.set_status(201)
        await self.answer(lambda: started)


class RunPast(Handler):
    """`/schedule/<id>/backfill`."""

    async def post(self, schedule_id: str) -> None:
        """Run past times, in order."""
        wanted = self.parse(Backfill, self.body())
        await self.answer(lambda: Page[Occurrence](items=self.api.backfill_schedule(schedule_id, wanted)))


class Occurrences(Handler):
    """`/schedule/<id>/occurrence`."""

    query_of: ClassVar = {"GET": frozenset({"limit", "cursor"})}

    async def get(self, schedule_id: str) -> None:
        """List what became of the schedule's times, newest first."""
        await self.answer(self.api.occurrences, schedule_id, **self.page_of())


routes = [
    (rf"{API}/schedule", Schedules),
    (rf"{API}/schedule/preview", Preview),
    (rf"{API}/schedule/([^/]+)", OneSchedule),
    (rf"{API}/schedule/([^/]+)/pause", Pause),
    (rf"{API}/schedule/([^/]+)/resume", Resume),
    (rf"{API}/schedule/([^/]+)/trigger", TriggerNow),
    (rf"{API}/schedule/([^/]+)/backfill", RunPast),
    (rf"{API}/schedule/([^/]+)/occurrence", Occurrences),
]
