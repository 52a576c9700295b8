"""The calls about schedules behind the flow author's objects: their protocol, and its implementation for a run."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel

from cloudo_kernel.flow_api.caller import Caller
from cloudo_kernel.models import (
    Backfill,
    ChangeSchedule,
    CreateSchedule,
    Execution,
    Health,
    JsonObject,
    Occurrence,
    Page,
    PreviewSchedule,
    Schedule,
    SchedulePreview,
)


class ScheduleCalls(Protocol):
    """The verbs of `Api` about schedules, which work inside and outside of a run. `Api` documents them."""

    def create_schedule(self, request: CreateSchedule) -> Schedule:
        """See `Api.create_schedule`."""

    def schedules(
        self, *, flow_name: str | None = None, q: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[Schedule]:
        """See `Api.schedules`."""

    def schedule(self, schedule_id: str) -> Schedule:
        """See `Api.schedule`."""

    def preview_schedule(self, request: PreviewSchedule) -> SchedulePreview:
        """See `Api.preview_schedule`."""

    def change_schedule(self, schedule_id: str, request: ChangeSchedule) -> Schedule:
        """See `Api.change_schedule`."""

    def pause_schedule(self, schedule_id: str) -> Schedule:
        """See `Api.pause_schedule`."""

    def resume_schedule(self, schedule_id: str) -> Schedule:
        """See `Api.resume_schedule`."""

    def trigger_schedule(self, schedule_id: str) -> Execution:
        """See `Api.trigger_schedule`. Inside a run, the execution is not a child either."""

    def backfill_schedule(self, schedule_id: str, request: Backfill) -> tuple[Occurrence, ...]:
        """See `Api.backfill_schedule`. Inside a run, the executions are not children either."""

    def delete_schedule(self, schedule_id: str) -> None:
        """See `Api.delete_schedule`."""

    def occurrences(self, schedule_id: str, *, limit: int = 100, cursor: str | None = None) -> Page[Occurrence]:
        """See `Api.occurrences`."""

    def health(self) -> Health:
        """See `Api.health`."""


class RunScheduleCalls:
    """`ScheduleCalls` from inside a run."""

    _channel: Caller

    def create_schedule(self, request: CreateSchedule) -> Schedule:
        """See `Api.create_schedule`."""
        return Schedule.model_validate(self._channel.call("create_schedule", request=_json(request)))

    def schedules(
        self, *, flow_name: str | None = None, q: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[Schedule]:
        """See `Api.schedules`."""
        page = self._channel.call("schedules", flow_name=flow_name, q=q, limit=limit, cursor=cursor)
        return Page[Schedule].model_validate(page)

    def schedule(self, schedule_id: str) -> Schedule:
        """See `Api.schedule`."""
        return Schedule.model_validate(self._channel.call("schedule", schedule_id=schedule_id))

    def preview_schedule(self, request: PreviewSchedule) -> SchedulePreview:
        """See `Api.preview_schedule`."""
        return SchedulePreview.model_validate(self._channel.call("preview_schedule", request=_json(request)))

    def change_schedule(self, schedule_id: str, request: ChangeSchedule) -> Schedule:
        """See `Api.change_schedule`."""
        changed = self._channel.call("change_schedule", schedule_id=schedule_id, request=_json(request))
        return Schedule.model_validate(changed)

    def pause_schedule(self, schedule_id: str) -> Schedule:
        """See `Api.pause_schedule`."""
        return Schedule.model_validate(self._channel.call("pause_schedule", schedule_id=schedule_id))

    def resume_schedule(self, schedule_id: str) -> Schedule:
        """See `Api.resume_schedule`."""
        return Schedule.model_validate(self._channel.call("resume_schedule", schedule_id=schedule_id))

    def trigger_schedule(self, schedule_id: str) -> Execution:
        """Start an execution of the schedule now. It is not a child of this one."""
        return Execution.model_validate(self._channel.call("trigger_schedule", schedule_id=schedule_id))

    def backfill_schedule(self, schedule_id: str, request: Backfill) -> tuple[Occurrence, ...]:
        """Run past times of the schedule. The executions are not children of this one."""
        page = self._channel.call("backfill_schedule", schedule_id=schedule_id, request=_json(request))
        return Page[Occurrence].model_validate(page).items

    def delete_schedule(self, schedule_id: str) -> None:
        """See `Api.delete_schedule`."""
        self._channel.call("delete_schedule", schedule_id=schedule_id)

    def occurrences(self, schedule_id: str, *, limit: int = 100, cursor: str | None = None) -> Page[Occurrence]:
        """See `Api.occurrences`."""
        page = self._channel.call("occurrences", schedule_id=schedule_id, limit=limit, cursor=cursor)
        return Page[Occurrence].model_validate(page)

    def health(self) -> Health:
        """See `Api.health`."""
        return Health.model_validate(self._channel.call("health"))


def _json(request: BaseModel) -> JsonObject:
    return request.model_dump(mode="json", exclude_unset=True)
