"""What the dashboard says of schedules and their times; a server that was down for a while is too slow a door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudo_kernel.cli.schedule_report import past
from cloudo_kernel.dashboard.schedule_rows import occurrence_row, schedule_row
from cloudo_kernel.models import Occurrence, OccurrenceOutcome, Schedule, ScheduleTrigger, Status

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def schedule(**given: Any) -> Schedule:
    plain = {"id": "1", "name": "n", "flow_name": "f", "trigger": ScheduleTrigger(daily_at="08:30")}
    about = {"timezone": "Europe/Vienna", "start": NOW, "user_name": "ada", "created_at": NOW}
    return Schedule(**{**plain, **about, **given})


@pytest.mark.parametrize(
    ("outcome", "lateness", "status", "kind"),
    [
        (OccurrenceOutcome.STARTED, 0.1, Status.ENDED_SUCCESS, "well"),
        (OccurrenceOutcome.STARTED, 5.1, Status.ENDED_SUCCESS, "late"),
        (OccurrenceOutcome.STARTED, 5.1, Status.ENDED_ERROR, "failed"),
        (OccurrenceOutcome.STARTED, 5.1, Status.RUNNING, "running"),
        (OccurrenceOutcome.STARTED, 0.1, None, "well"),
        (OccurrenceOutcome.SKIPPED, None, None, "skipped"),
        (OccurrenceOutcome.MISSED, None, None, "missed"),
        (OccurrenceOutcome.COALESCED, None, None, "coalesced"),
    ],
)
def test_each_time_has_its_mark(outcome: Any, lateness: Any, status: Any, kind: str) -> None:
    occurrence = Occurrence(due=NOW, outcome=outcome, execution_id="e", lateness_seconds=lateness)
    row = occurrence_row(occurrence, "Europe/Vienna", {"e": status} if status else {}, now=NOW)
    assert (row["kind"], row["text"]) == (kind, "Mon 23 Nov 13:00")


def test_a_run_of_missed_times_is_one_row_that_says_so() -> None:
    until = NOW + timedelta(days=29)
    occurrence = Occurrence(due=NOW, until=until, count=2_505_601, outcome=OccurrenceOutcome.MISSED, iteration=1)
    row = occurrence_row(occurrence, "Europe/Vienna", {}, now=NOW)
    assert row["text"] == "Mon 23 Nov 13:00 to Tue 22 Dec 13:00 (2,505,601 times)"
    due, outcome, *_ = past(occurrence)
    assert " to " in due
    assert "missed" in outcome
    assert "(2,505,601 times)" in outcome


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({"next_run": NOW}, "ACTIVE"),
        ({"next_run": NOW, "broken": "There is no flow 'f'."}, "BROKEN"),
        ({"enabled": False, "pause_reason": "3 executions in a row ended in error"}, "PAUSED"),
        ({}, "FINISHED"),
        ({"trigger": ScheduleTrigger(every_seconds=60)}, "WAITING"),
        ({"trigger": ScheduleTrigger(every_seconds=60), "max_iterations": 2, "iterations": 2}, "FINISHED"),
        ({"trigger": ScheduleTrigger(every_seconds=60), "end_at": NOW - timedelta(1)}, "FINISHED"),
        ({"trigger": ScheduleTrigger(every_seconds=60, wait=False)}, "FINISHED"),
    ],
)
def test_a_schedule_without_a_next_time_waits_or_has_finished(given: dict[str, Any], state: str) -> None:
    row = schedule_row(schedule(**given), now=NOW)
    assert row["state"] == state
    assert row["reason"] == (given.get("broken") or given.get("pause_reason"))
