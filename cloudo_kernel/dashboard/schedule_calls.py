"""What the page may ask about schedules."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from cloudo_kernel.api import PAGE_LIMIT, Api
from cloudo_kernel.dashboard import rows, schedule_rows
from cloudo_kernel.dashboard.attempts import parsed, tried
from cloudo_kernel.errors import FlowExists, MalformedRequest
from cloudo_kernel.forms import form
from cloudo_kernel.models import (
    Backfill,
    ChangeSchedule,
    ExecutionFilter,
    FlowSource,
    JsonObject,
    Occasion,
    Occurrence,
    PreviewSchedule,
    Schedule,
    Status,
    follow_ups,
)

#: The verbs; see `calls.VERBS`.
VERBS: Final = frozenset(
    {
        "schedules",
        "schedule_rows",
        "schedule",
        "histories",
        "occurrences",
        "preview_schedule",
        "preview_answers",
        "change_schedule",
        "pause_schedules",
        "resume_schedules",
        "trigger_schedules",
        "backfill",
        "delete_schedules",
        "customise",
    }
)
#: So many occurrences are in the picture of a schedule.
_PICTURED: Final = 20


class ScheduleCalls:
    """Answers the page about schedules with what `api` says."""

    _api: Api

    def schedules(self, *, q: str = "", limit: int = 100, cursor: str | None = None) -> JsonObject:
        """Return a page of schedules, newest first; `histories` has what became of their times."""
        page = self._api.schedules(q=q or None, limit=min(limit, PAGE_LIMIT), cursor=cursor)
        now = _now()
        return {"rows": [schedule_rows.schedule_row(one, now=now) for one in page.items], "next": page.next}

    def schedule_rows(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Return the rows of these schedules; each gives its row or its error."""
        return [tried(lambda one: self._row(self._api.schedule(one)), one) for one in ids]

    def schedule(self, *, schedule_id: str) -> JsonObject:
        """Return one schedule in full."""
        return schedule_rows.schedule_whole(self._api.schedule(schedule_id), now=_now())

    def histories(self, *, items: Sequence[JsonObject]) -> list[JsonObject]:
        """Return the last occurrences of schedules `{id, timezone}`, oldest first; each gives its list or its error."""

        def last(item: JsonObject) -> list[JsonObject]:
            rows_of_page: list[JsonObject] = self._occurrences(item["id"], item["timezone"], limit=_PICTURED)["rows"]
            return rows_of_page[::-1]

        return [tried(last, item) for item in items]

    def occurrences(self, *, schedule_id: str, limit: int = 25, cursor: str | None = None) -> JsonObject:
        """Return a page of occurrences, newest first."""
        zone_name = self._api.schedule(schedule_id).timezone
        return self._occurrences(schedule_id, zone_name, limit=min(limit, PAGE_LIMIT), cursor=cursor)

    def preview_schedule(self, *, request: JsonObject) -> JsonObject:
        """Return the next times of a trigger, and what is unusual about it."""
        wanted = parsed(PreviewSchedule, request)
        return schedule_rows.preview_row(self._api.preview_schedule(wanted), wanted.trigger, now=_now())

    def preview_answers(self, *, about: JsonObject, answers: JsonObject) -> JsonObject | None:
        """Return the same for the answers in the form of an input request; null while none of them is a time."""
        request = form.preview_request(about, answers)
        return None if request is None else self.preview_schedule(request=request)

    def change_schedule(self, *, schedule_id: str, request: JsonObject) -> JsonObject:
        """Change a schedule in place, and return it in full; what is to follow comes as the lines of its field."""
        request = {**request, **{name: _following(name, request[name]) for name in Occasion if name in request}}
        changed = self._api.change_schedule(schedule_id, parsed(ChangeSchedule, request))
        return schedule_rows.schedule_whole(changed, now=_now())

    def pause_schedules(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Pause schedules; each gives its row or its error."""
        return [tried(lambda one: self._row(self._api.pause_schedule(one)), one) for one in ids]

    def resume_schedules(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Let paused schedules go on; each gives its row or its error."""
        return [tried(lambda one: self._row(self._api.resume_schedule(one)), one) for one in ids]

    def trigger_schedules(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Start an execution of each now; each gives the row of the execution or its error."""
        return [tried(lambda one: rows.execution_row(self._api.trigger_schedule(one)), one) for one in ids]

    def backfill(self, *, schedule_id: str, start: str, end: str, dry_run: bool) -> JsonObject:
        """Run the past times of a span, or only tell which they are; local times are those of the schedule."""
        zone_name = self._api.schedule(schedule_id).timezone
        span = parsed(Backfill, {"start": start, "end": end, "dry_run": dry_run})
        return schedule_rows.backfill_row(self._api.backfill_schedule(schedule_id, span), zone_name, now=_now())

    def delete_schedules(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Delete schedules; each gives null or its error."""
        return [tried(self._api.delete_schedule, one) for one in ids]

    def customise(self, *, flow_name: str) -> JsonObject:
        """Copy a flow of the library into the workspace, unless it is there, and tell where it is."""
        flow = self._api.flow(flow_name)
        is_new = False
        if flow.source is FlowSource.LIBRARY:
            with suppress(FlowExists):  # somebody was quicker: theirs is opened
                self._api.create_flow(flow_name, copy_of=flow_name)
                is_new = True
            flow = self._api.flow(flow_name)
        return {"name": flow.name, "path": flow.path, "is_new": is_new}

    def _row(self, schedule: Schedule) -> JsonObject:
        return schedule_rows.schedule_row(schedule, now=_now())

    def _occurrences(self, schedule_id: str, zone_name: str, *, limit: int, cursor: str | None = None) -> JsonObject:
        page = self._api.occurrences(schedule_id, limit=limit, cursor=cursor)
        statuses, now = self._statuses(schedule_id, page.items), _now()
        found = [schedule_rows.occurrence_row(one, zone_name, statuses, now=now) for one in page.items]
        return {"rows": found, "next": page.next}

    def _statuses(self, schedule_id: str, occurrences: Sequence[Occurrence]) -> dict[str, Status]:
        """Return how the executions of these occurrences are, as far as they are still kept."""
        ids = [one.execution_id for one in occurrences if one.execution_id is not None]
        if not ids:
            return {}
        # One list in the place of as many calls: ids grow with time, and a cursor is the id that comes next above.
        cursor = str(UUID(int=UUID(max(ids)).int + 1))
        page = self._api.executions(
            ExecutionFilter(schedule_id=schedule_id), limit=min(4 * len(ids), PAGE_LIMIT), cursor=cursor
        )
        return {one.id: one.status for one in page.items}


def _following(name: str, text: str) -> Any:
    try:
        return follow_ups.parse(text)
    except ValueError as error:
        raise MalformedRequest(str(error), field=name) from error


def _now() -> datetime:
    return datetime.now(UTC)
