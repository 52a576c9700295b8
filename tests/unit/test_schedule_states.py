"""The state of schedules, and stretches of missed times; a server that was down for a while is too slow a door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudo_kernel.cli.schedule_report import past
from cloudo_kernel.models import Occurrence, OccurrenceOutcome, Schedule, ScheduleTrigger

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def schedule(**given: Any) -> Schedule:
    plain = {"id": "1", "name": "n", "flow_name": "f", "trigger": ScheduleTrigger(daily_at="08:30")}
    about = {"timezone": "Europe/Vienna", "start": NOW, "user_name": "ada", "created_at": NOW}
    return Schedule(**{**plain, **about, **given})


def test_a_run_of_missed_times_is_one_row_that_says_so() -> None:
    until = NOW + timedelta(days=29)
    occurrence = Occurrence(due=NOW, until=until, count=2_505_601, outcome=OccurrenceOutcome.MISSED, iteration=1)
    due, outcome, *_ = past(occurrence)
    assert " to " in due
    assert "missed" in outcome
    assert "(2,505,601 times)" in outcome


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({"next_run": NOW}, "active"),
        ({"next_run": NOW, "broken": "There is no flow 'f'."}, "broken"),
        ({"enabled": False, "pause_reason": "3 executions in a row ended in error"}, "paused"),
        ({}, "finished"),
        ({"trigger": ScheduleTrigger(every_seconds=60)}, "running"),
        ({"trigger": ScheduleTrigger(every_seconds=60), "max_iterations": 2, "iterations": 2}, "finished"),
        ({"trigger": ScheduleTrigger(every_seconds=60), "end_at": NOW - timedelta(1)}, "finished"),
        ({"trigger": ScheduleTrigger(every_seconds=60, wait=False)}, "finished"),
    ],
)
def test_a_schedule_without_a_next_time_waits_or_has_finished(given: dict[str, Any], state: str) -> None:
    assert schedule(**given).state_at(NOW) == state
