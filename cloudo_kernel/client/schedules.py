"""The verbs about schedules, over HTTP."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from cloudo_kernel.client.base import Base, json_body, part
from cloudo_kernel.models import (
    Backfill,
    ChangeSchedule,
    CreateSchedule,
    Execution,
    Occurrence,
    Page,
    PreviewSchedule,
    Schedule,
    SchedulePreview,
)


class ScheduleVerbs(Base):
    """Create, read, list, preview, change, pause, resume, trigger, backfill and delete schedules."""

    def create_schedule(self, request: CreateSchedule) -> Schedule:
        """See `Api.create_schedule`."""
        return self._record(Schedule, self._send("POST", "schedule", **_body(request)))

    def schedules(
        self, *, flow_name: str | None = None, q: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[Schedule]:
        """See `Api.schedules`."""
        return self._get(Page[Schedule], "schedule", flow_name=flow_name, q=q, limit=limit, cursor=cursor)

    def schedule(self, schedule_id: str) -> Schedule:
        """See `Api.schedule`."""
        return self._get(Schedule, _path(schedule_id))

    def preview_schedule(self, request: PreviewSchedule) -> SchedulePreview:
        """See `Api.preview_schedule`."""
        return self._record(SchedulePreview, self._send("POST", "schedule/preview", **_body(request)))

    def change_schedule(self, schedule_id: str, request: ChangeSchedule) -> Schedule:
        """See `Api.change_schedule`."""
        return self._record(Schedule, self._send("PATCH", _path(schedule_id), **_body(request)))

    def pause_schedule(self, schedule_id: str) -> Schedule:
        """See `Api.pause_schedule`."""
        return self._record(Schedule, self._send("POST", _path(schedule_id, "pause")))

    def resume_schedule(self, schedule_id: str) -> Schedule:
        """See `Api.resume_schedule`."""
        return self._record(Schedule, self._send("POST", _path(schedule_id, "resume")))

    def trigger_schedule(self, schedule_id: str) -> Execution:
        """See `Api.trigger_schedule`."""
        return self._record(Execution, self._send("POST", _path(schedule_id, "trigger")))

    def backfill_schedule(self, schedule_id: str, request: Backfill) -> tuple[Occurrence, ...]:
        """See `Api.backfill_schedule`."""
        reply = self._send("POST", _path(schedule_id, "backfill"), **_body(request))
        return self._record(Page[Occurrence], reply).items

    def occurrences(self, schedule_id: str, *, limit: int = 100, cursor: str | None = None) -> Page[Occurrence]:
        """See `Api.occurrences`."""
        return self._get(Page[Occurrence], _path(schedule_id, "occurrence"), limit=limit, cursor=cursor)

    def delete_schedule(self, schedule_id: str) -> None:
        """See `Api.delete_schedule`."""
        self._send("DELETE", _path(schedule_id))


def _body(request: BaseModel) -> dict[str, Any]:
    return json_body(request.model_dump(mode="json", exclude_unset=True))


def _path(schedule_id: str, *parts: str) -> str:
    return "/".join(("schedule", part(schedule_id), *parts))
