"""Counting the times of a span gives what visiting each of them gives, also where clocks change."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudo_kernel import planning
from cloudo_kernel.models import Schedule, ScheduleTrigger
from cloudo_kernel.scheduling import zones

#: Of these, Lord Howe moves by half an hour, Apia skipped 30 December 2011, Beirut changes at midnight.
ZONES = ("UTC", "Europe/Vienna", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Beirut", "America/New_York")
TRIGGERS: tuple[dict[str, Any], ...] = (
    {"every_seconds": 3600, "wait": False},
    {"every_seconds": 7001.25, "wait": False},
    {"daily_at": "02:30"},
    {"daily_at": "00:00:15"},
    {"monthly": {"day": 31, "at": "02:30"}},
    {"monthly": {"day": "last friday", "at": "00:00"}},
    {"cron": "*/20 * * * *"},
    {"cron": "15 0,2,12 * * 1-5"},
    {"cron": "0 12 13 * fri"},
    {"cron": "0 0 L * *"},
    {"cron": "0 0 29 2 *"},
    {"at": "2011-12-30T12:00:00Z"},
)
BEGIN = datetime(2011, 3, 1, tzinfo=UTC)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    trigger=st.sampled_from(TRIGGERS),
    zone_name=st.sampled_from(ZONES),
    after=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=330)),
    length=st.timedeltas(min_value=timedelta(days=-1), max_value=timedelta(days=70)),
    skip=st.integers(0, 40),
)
def test_a_span_is_counted_as_if_each_time_were_visited(
    trigger: dict[str, Any], zone_name: str, after: timedelta, length: timedelta, skip: int
) -> None:
    one, zone = ScheduleTrigger.model_validate(trigger), zones.zone(zone_name)
    start = one.at or BEGIN + timedelta(days=20)
    span = {"start": start, "after": BEGIN + after, "until": BEGIN + after + length}
    visited = list(
        takewhile(lambda due: due <= span["until"], one.rule.due_times(zone, start=start, after=span["after"]))
    )
    assert one.rule.count(zone, **span) == len(visited)
    assert one.rule.newest(zone, **span, skip=skip) == (visited[-1 - skip] if len(visited) > skip else None)


@pytest.mark.parametrize(
    ("trigger", "number"),
    [
        ({"every_seconds": 0.001, "wait": False}, 315_532_800_000),
        ({"cron": "* * * * *"}, 5_258_280),
        ({"cron": "0 0 29 2 *"}, 2),
        ({"monthly": {"day": 31, "at": "08:30"}}, 119),
    ],
)
def test_ten_years_are_counted_at_once(trigger: dict[str, Any], number: int) -> None:
    one, zone = ScheduleTrigger.model_validate(trigger), zones.zone("Europe/Vienna")
    begin = datetime(2015, 1, 1, tzinfo=UTC)
    end = datetime(2024, 12, 31, tzinfo=UTC)
    span: dict[str, Any] = {"start": begin, "after": begin - timedelta(seconds=1), "until": end}
    began = time.process_time()
    counted = one.rule.count(zone, **span)
    last = one.rule.newest(zone, **span)
    assert time.process_time() - began < 5, "visiting each of them takes minutes"
    assert abs(counted - number) <= 1500, counted
    assert last is not None
    assert last <= end


def test_a_span_of_missed_times_outlives_a_change_of_its_trigger() -> None:
    """The span was counted by the minute; by today's trigger, of every other minute, all of it is started already."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    minutes = [begin + timedelta(minutes=number) for number in range(3)]
    trigger = ScheduleTrigger(every_seconds=120, wait=False)
    names = {"id": "s", "name": "s", "flow_name": "report", "user_name": "ada"}
    schedule = Schedule(**names, created_at=begin, trigger=trigger, timezone="UTC", start=begin)
    span = planning.Span(minutes[0], minutes[2], 3, None)
    left = planning.without(schedule, span, {minutes[0], minutes[2]})
    assert left is not None
    assert left.number == 1
    assert minutes[0] <= left.due <= left.until <= minutes[2]
