"""REST for schedules: create, list, preview, change, pause, resume, run, delete."""

from __future__ import annotations

from pydantic import Field

from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import PageQuery, Query, operation, routes_of
from cloudo_kernel.models import (
    Backfill,
    ChangeSchedule,
    CreateSchedule,
    Execution,
    Occurrence,
    Page,
    PreviewSchedule,
    Schedule,
    ScheduleOrder,
    SchedulePreview,
)

_DAILY = {"trigger": {"daily_at": "08:30"}, "timezone": "Europe/Vienna"}


class ScheduleQuery(Query):
    """Filters of the list of schedules."""

    flow_name: str | None = None
    q: str | None = Field(default=None, description="Search in name and flow name.")


class ScheduleOrderQuery(PageQuery):
    """The requested page of schedules, and their order."""

    order: ScheduleOrder = Field(
        default=ScheduleOrder.NEWEST, description="Which come first. `next` lists those that have a next time."
    )


class Schedules(Handler):
    """`/schedule`."""

    @operation("schedules", reply=Page[Schedule], query=(ScheduleQuery, ScheduleOrderQuery))
    async def get(self) -> None:
        """List schedules in order."""
        await self.answer(self.api.schedules, **self.asked(ScheduleQuery).model_dump(), **self.page(ScheduleOrderQuery))

    @operation(
        "create_schedule",
        reply=Schedule,
        status=201,
        body=CreateSchedule,
        example={"flow_name": "examples/greeting", "inputs": {"name": "Ada"}, **_DAILY},
    )
    async def post(self) -> None:
        """Create a schedule."""
        await self.answer_created("schedule", self.api.create_schedule, await self.sent(CreateSchedule))


class Preview(Handler):
    """`/schedule/preview`."""

    @operation("preview_schedule", reply=SchedulePreview, body=PreviewSchedule, example=_DAILY)
    async def post(self) -> None:
        """Return the due times of a trigger without saving it."""
        await self.answer(self.api.preview_schedule, await self.sent(PreviewSchedule))


class OneSchedule(Handler):
    """`/schedule/<id>`."""

    @operation("schedule", reply=Schedule)
    async def get(self, schedule_id: str) -> None:
        """Return one schedule with its next ten due times."""
        await self.answer(self.api.schedule, schedule_id)

    @operation(
        "change_schedule", reply=Schedule, is_conditional=True, body=ChangeSchedule, example={"overlap": "queue"}
    )
    async def patch(self, schedule_id: str) -> None:
        """Change the schedule."""
        await self.answer(
            self.unless_changed(self.api.schedule, self.api.change_schedule),
            schedule_id,
            await self.sent(ChangeSchedule),
        )

    @operation("delete_schedule", status=204, is_conditional=True)
    async def delete(self, schedule_id: str) -> None:
        """Delete the schedule. Its executions remain."""
        await self.backend.call(self.unless_changed(self.api.schedule, self.api.delete_schedule), schedule_id)
        await self.finish_empty()


class Pause(Handler):
    """`/schedule/<id>/pause`."""

    @operation("pause_schedule", reply=Schedule)
    async def post(self, schedule_id: str) -> None:
        """Pause the schedule until it is resumed."""
        await self.answer(self.api.pause_schedule, schedule_id)


class Resume(Handler):
    """`/schedule/<id>/resume`."""

    @operation("resume_schedule", reply=Schedule)
    async def post(self, schedule_id: str) -> None:
        """Resume the schedule at its next due time."""
        await self.answer(self.api.resume_schedule, schedule_id)


class TriggerNow(Handler):
    """`/schedule/<id>/trigger`."""

    @operation("trigger_schedule", reply=Execution, status=201)
    async def post(self, schedule_id: str) -> None:
        """Start an execution of the schedule now."""
        await self.answer_created("execution", self.api.trigger_schedule, schedule_id)


class RunPast(Handler):
    """`/schedule/<id>/backfill`."""

    @operation(
        "backfill_schedule",
        reply=Page[Occurrence],
        body=Backfill,
        example={"start": "2026-11-01T00:00:00", "end": "2026-11-03T00:00:00"},
    )
    async def post(self, schedule_id: str) -> None:
        """Run past due times, in order."""
        wanted = await self.sent(Backfill)
        await self.answer(lambda: Page[Occurrence](items=self.api.backfill_schedule(schedule_id, wanted)))


class Occurrences(Handler):
    """`/schedule/<id>/occurrence`."""

    @operation("occurrences", reply=Page[Occurrence], query=(PageQuery,))
    async def get(self, schedule_id: str) -> None:
        """List the schedule's occurrences, newest first."""
        await self.answer(self.api.occurrences, schedule_id, **self.page())


routes = routes_of(Schedules, Preview, OneSchedule, Pause, Resume, TriggerNow, RunPast, Occurrences)
