"""What people are told about a schedule, and times of day as they write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models import Schedule, ScheduleTrigger
from cloudo_kernel.scheduling import humanize

NOW = datetime(2026, 11, 23, 16, tzinfo=UTC)


def said(number: int, **trigger: Any) -> str:
    moments = [NOW + timedelta(days=day) for day in range(number)]
    return ScheduleTrigger(**trigger).rule.coming(moments, "Europe/Vienna", now=NOW)


def test_the_next_times_are_said_in_the_zone_of_the_schedule() -> None:
    three = "next: Mon 23 Nov 17:00, Tue 24 Nov 17:00, Wed 25 Nov 17:00"
    assert said(3, daily_at="17:00") == f"{three} (Europe/Vienna)"
    assert said(10, daily_at="17:00") == f"{three} … (Europe/Vienna)"
    assert said(0, daily_at="17:00") == "next: never"


def test_only_the_first_time_of_what_counts_from_ends_is_certain() -> None:
    then = "then every minute, counted from the end of the last run"
    assert said(10, every_seconds=60) == f"next: Mon 23 Nov 17:00, {then} (Europe/Vienna)"
    assert said(1, every_seconds=60, wait=False) == "next: Mon 23 Nov 17:00 (Europe/Vienna)"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"next_run": NOW}, "active"),
        ({"next_run": NOW, "broken": "There is no flow 'a'."}, "broken"),
        ({"enabled": False, "broken": "There is no flow 'a'."}, "paused"),
        ({}, "finished"),
        ({"trigger": ScheduleTrigger(every_seconds=60)}, "running"),
        ({"trigger": ScheduleTrigger(every_seconds=60), "max_iterations": 2, "iterations": 2}, "finished"),
        ({"trigger": ScheduleTrigger(every_seconds=60), "end_at": NOW - timedelta(days=1)}, "finished"),
    ],
)
def test_a_word_says_how_a_schedule_stands(fields: dict[str, Any], word: str) -> None:
    plain = {"trigger": ScheduleTrigger(daily_at="08:30"), "timezone": "UTC", "start": NOW, "created_at": NOW}
    schedule = Schedule.model_validate(
        {"id": "1", "name": "a", "flow_name": "a", "user_name": "ada", **plain, **fields}
    )
    assert schedule.state_at(NOW) == word


def test_a_time_of_day_is_read_as_people_write_it() -> None:
    read = {
        text: humanize.time_of_day(text, field="daily_at")
        for text in ("8:30", "08:30", " 23:59 ", "08:30:00", "8:30:15")
    }
    assert list(read.values()) == ["08:30", "08:30", "23:59", "08:30", "08:30:15"]


@pytest.mark.parametrize("text", ["", "8", "24:00", "08:60", "8.30", "08:30+01:00", "٠٨:٣٠", "noon"])
def test_what_is_no_time_of_day_is_refused_with_what_fits(text: str) -> None:
    with pytest.raises(MalformedRequest, match=r"Write hours and minutes from 00:00 to 23:59") as caught:
        humanize.time_of_day(text, field="trigger.daily_at")
    assert caught.value.field == "trigger.daily_at"
