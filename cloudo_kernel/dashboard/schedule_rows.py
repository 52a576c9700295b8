"""Schedules and their occurrences as the page shows them: times in words, in the zone of the schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from cloudo_kernel.dashboard.rows import NAME, cut, value_rows
from cloudo_kernel.models import (
    JsonObject,
    Occasion,
    Occurrence,
    OccurrenceOutcome,
    Schedule,
    SchedulePreview,
    ScheduleTrigger,
    Status,
    follow_ups,
    rfc3339,
)
from cloudo_kernel.scheduling import humanize, zones

#: An occurrence that started later than this counts as late.
LATE_SECONDS: Final = 5.0
#: Of one that runs the next time is not known before it ends.
_STATES: Final = {
    "active": "ACTIVE",
    "running": "WAITING",
    "paused": "PAUSED",
    "broken": "BROKEN",
    "finished": "FINISHED",
}
#: What the form of a schedule shows as it is.
_OPTIONS: Final = {
    "timezone",
    "inputs",
    "overlap",
    "catch_up",
    "catch_up_window_seconds",
    "jitter_seconds",
    "pause_on_error_count",
    "pin_source",
    "max_iterations",
}


def schedule_row(schedule: Schedule, *, now: datetime) -> JsonObject:
    """Return what a list shows of a schedule, and the head of its own view."""
    row = schedule.model_dump(
        mode="json",
        include={"id", "flow_name", "timezone", "next_run", "user_name", "iterations", "max_iterations", "enabled"},
    )
    return row | {
        "name": cut(schedule.name, NAME),
        "when": cut(schedule.trigger.rule.describe(schedule.timezone), NAME),
        "next_text": schedule.next_run and _spoken(schedule.next_run, schedule, now),
        "state": _STATES[schedule.state_at(now)],
        "reason": _reason(schedule),
    }


def schedule_whole(schedule: Schedule, *, now: datetime) -> JsonObject:
    """Return all that the view of one schedule shows, but for its occurrences; `local` is for the form."""
    zone = zones.shown_zone(schedule.timezone)

    def local(moment: datetime | None) -> str | None:
        return None if moment is None else moment.astimezone(zone).replace(tzinfo=None, microsecond=0).isoformat()

    return {
        "row": schedule_row(schedule, now=now),
        "trigger": schedule.trigger.model_dump(mode="json"),
        "options": schedule.model_dump(mode="json", include=_OPTIONS),
        "inputs": value_rows(schedule.inputs),
        "follows": {
            name.value: {
                "said": None if then is None else follow_ups.describe(then),
                "written": follow_ups.to_text(then),
            }
            for name in Occasion
            for then in [getattr(schedule, name)]
        },
        "local": {
            "now": local(now),
            "at": local(schedule.trigger.at),
            "start": local(schedule.start),
            "end_at": local(schedule.end_at),
        },
        "start": rfc3339(schedule.start),
        "end_text": schedule.end_at and _spoken(schedule.end_at, schedule, now),
        "start_text": _spoken(schedule.start, schedule, now),
        "created_at": rfc3339(schedule.created_at),
        "next_runs": [{"utc": rfc3339(run), "text": _spoken(run, schedule, now)} for run in schedule.next_runs],
    }


def occurrence_row(
    occurrence: Occurrence, zone_name: str, statuses: Mapping[str, Status], *, now: datetime
) -> JsonObject:
    """Return one occurrence; `statuses` are those of the executions that are still kept."""
    status, zone = statuses.get(occurrence.execution_id or ""), zones.shown_zone(zone_name)
    text = humanize.spoken(occurrence.due, zone, now=now)
    if occurrence.until is not None:
        text += f" to {humanize.spoken(occurrence.until, zone, now=now)} ({occurrence.count:,} times)"
    shown = {"until", "count", "outcome", "execution_id", "iteration", "lateness_seconds"}
    return occurrence.model_dump(mode="json", include=shown) | {
        "due": rfc3339(occurrence.due),
        "text": text,
        "reason": occurrence.reason and cut(occurrence.reason, NAME),
        "status": status,
        "kind": _kind(occurrence, status),
    }


def backfill_row(occurrences: Sequence[Occurrence], zone_name: str, *, now: datetime) -> JsonObject:
    """Return what the page says of past times that are run, or would be."""
    zone = zones.shown_zone(zone_name)
    return {
        "times": [humanize.spoken(one.due, zone, now=now) for one in occurrences],
        "ids": [one.execution_id for one in occurrences],
    }


def preview_row(preview: SchedulePreview, trigger: ScheduleTrigger, *, now: datetime) -> JsonObject:
    """Return what a form says of the times that it would make."""
    said = trigger.rule.coming([time.utc for time in preview.times], preview.timezone, now=now)
    if not preview.times:
        said = f"{preview.description}: there is no time left."
    elif not trigger.counts_from_end:
        said = f"{preview.description}, {said}"
    return {"said": said, "notes": list(preview.notes), "needs_confirmation": preview.needs_confirmation}


def _spoken(moment: datetime, schedule: Schedule, now: datetime) -> str:
    return humanize.spoken(moment, zones.shown_zone(schedule.timezone), now=now)


def _reason(schedule: Schedule) -> str | None:
    reason = schedule.broken if schedule.enabled else schedule.pause_reason
    return reason and cut(reason, NAME)


def _kind(occurrence: Occurrence, status: Status | None) -> str:
    """Say which mark stands for it in the picture; one whose execution is no longer kept counts by its start."""
    if occurrence.outcome is not OccurrenceOutcome.STARTED:
        return occurrence.outcome.lower()
    if status in (Status.ENDED_ERROR, Status.ENDED_CANCELLED):
        return "failed"
    if status is not None and not status.is_ended:
        return "running"
    return "late" if (occurrence.lateness_seconds or 0) > LATE_SECONDS else "well"
