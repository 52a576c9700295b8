"""Each local time is due exactly once, in all zones of the tz database: triggers against an oracle.

The oracle knows neither cronsim, nor `fold`, nor our code: it asks zoneinfo for the offsets at moments in UTC, finds
the changes between them, and lets the clocks run. A local time is due when the clocks first show it or more.
"""

# ruff: noqa: DTZ001, DTZ901 - local times, and the oracle's moments in UTC, are naive

from __future__ import annotations

import importlib.resources
import os
import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models.schedules import ScheduleTrigger
from cloudo_kernel.scheduling.zones import resolve

pytestmark = pytest.mark.slow

Segment = tuple[datetime, datetime, timedelta]

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
HALF_HOURS = [timedelta(minutes=30 * n) for n in range(48)]
#: Of a whole year, each eleventh half hour is checked: 11 and 48 share no divisor, so that no half hour of the day is
#: left out. Around changes of the clocks another test checks all of them, in all zones.
STRIDE = 1 if os.environ.get("CLOUDO_SWEEP") == "full" else 11
YEAR = (datetime(2026, 5, 25), datetime(2027, 5, 25))
ODD = [
    ("America/Nuuk", 2023, 2025),  # another zone, later summer time, and a gap over midnight
    ("America/Scoresbysund", 2024, 2025),
    ("Australia/Lord_Howe", 2024, 2026),  # half an hour of summer time
    ("Pacific/Apia", 2009, 2013),  # no 30 December 2011
    ("Pacific/Fakaofo", 2011, 2012),
    ("Pacific/Kwajalein", 1992, 1995),  # no 21 August 1993
    ("Africa/Casablanca", 2022, 2032),  # winter time in Ramadan, twice in 2030
    ("Africa/El_Aaiun", 2022, 2032),
    ("Antarctica/Troll", 2025, 2028),  # two hours
    ("Antarctica/Casey", 2016, 2024),
    ("Asia/Gaza", 2019, 2032),
    ("Asia/Pyongyang", 2015, 2019),
    ("America/Caracas", 2007, 2017),
    ("America/Juneau", 1867, 1868),  # 18 October 1867 twice, and offsets with seconds
    ("America/Sao_Paulo", 2016, 2019),  # no midnight in spring
    ("Europe/Dublin", 2025, 2027),  # winter time is the exception
    ("Europe/Volgograd", 2018, 2021),
    ("Africa/Monrovia", 1971, 1973),  # 44 minutes and 30 seconds
]


# --- the oracle --------------------------------------------------------------------------------------------------


def offset_at(moment: datetime, zone: ZoneInfo) -> timedelta:
    offset = moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def segments(zone: ZoneInfo, start: datetime, end: datetime) -> list[Segment]:
    """Return the stretches of one offset: from, to, offset."""
    begin, offset, found = start, offset_at(start, zone), []
    while start < end:
        following = start + timedelta(hours=6)
        if (other := offset_at(following, zone)) != offset:
            low, high = start, following
            while high - low > SECOND:
                middle = low + (high - low) // 2 // SECOND * SECOND
                low, high = (middle, high) if offset_at(middle, zone) == offset else (low, middle)
            found.append((begin, high, offset))
            begin, offset = high, other
        start = following
    return [*found, (begin, start, offset)]


def first_shown(local: datetime, timeline: list[Segment]) -> datetime:
    """Return when the clocks first show `local` or more."""
    for begin, end, offset in timeline:
        if local < end + offset:
            return max(begin, local - offset)
    raise AssertionError(local)


def due_daily(clock: timedelta, timeline: list[Segment], start: datetime, end: datetime) -> list[datetime]:
    """Return when a daily trigger is due between two moments."""
    midnights = (start.replace(hour=0, minute=0, second=0) + n * DAY for n in range(-3, (end - start).days + 4))
    moments = dict.fromkeys(first_shown(midnight + clock, timeline) for midnight in midnights)
    return [moment for moment in moments if start < moment < end]


@cache
def zones() -> list[ZoneInfo]:
    """Return the zones, one for each set of rules: many names are files of the same content."""
    different = {content(name): name for name in sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})}
    return [ZoneInfo(name) for name in different.values()]


def content(name: str) -> bytes:
    for folder in zoneinfo.TZPATH:
        if (Path(folder) / name).is_file():
            return (Path(folder) / name).read_bytes()
    return importlib.resources.files("tzdata").joinpath("zoneinfo", name).read_bytes()


@cache
def year_of(zone: ZoneInfo) -> tuple[Segment, ...]:
    return tuple(segments(zone, YEAR[0] - 6 * DAY, YEAR[1] + 6 * DAY))


# --- days --------------------------------------------------------------------------------------------------------


def said(clock: timedelta) -> ScheduleTrigger:
    return ScheduleTrigger(daily_at=f"{datetime.min + clock:%H:%M}")


def due_between(trigger: ScheduleTrigger, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Return what we say, as the oracle says it."""
    times = trigger.rule.due_times(zone, start=start.replace(tzinfo=UTC), after=start.replace(tzinfo=UTC))
    return [due.replace(tzinfo=None) for due in takewhile(lambda due: due < end.replace(tzinfo=UTC), times)]


def check_days(
    zone: ZoneInfo, timeline: list[Segment], start: datetime, end: datetime, *, clocks: list[timedelta] = HALF_HOURS
) -> None:
    for clock in clocks:
        expected = due_daily(clock, timeline, start, end)
        assert due_between(said(clock), zone, start, end) == expected, (zone.key, clock)


def test_each_half_hour_of_a_year_is_one_moment_in_all_zones() -> None:
    assert len(zones()) > 300
    grid = [YEAR[0] + n * HALF_HOURS[1] for n in range(0, (YEAR[1] - YEAR[0]) // HALF_HOURS[1], STRIDE)]
    for zone in zones():
        expected: list[datetime] = []
        for begin, end, offset in year_of(zone):
            shown = [local for local in grid[len(expected) :] if local < end + offset]
            expected += [max(begin, local - offset) for local in shown]
        found = [resolve(local, zone).replace(tzinfo=None) for local in grid]
        assert found == expected, zone.key


def test_daily_triggers_are_due_once_a_day_around_all_changes_of_a_year() -> None:
    for zone in zones():
        for _, change, _ in year_of(zone)[:-1]:
            check_days(zone, list(year_of(zone)), change - 3 * DAY, change + 3 * DAY)


def test_daily_triggers_are_due_once_a_day_for_a_year() -> None:
    # Zones whose clocks go alike need no second look from day to day: the tests above look at each of them.
    for number, (timeline, zone) in enumerate({year_of(zone): zone for zone in zones()}.items()):
        check_days(zone, list(timeline), *YEAR, clocks=HALF_HOURS[number % STRIDE :: STRIDE])


@pytest.mark.parametrize(("name", "first", "last"), ODD)
def test_daily_triggers_are_due_once_a_day_where_clocks_are_odd(name: str, first: int, last: int) -> None:
    start, end, zone = datetime(first, 1, 1), datetime(last, 1, 1), ZoneInfo(name)
    timeline = segments(zone, start - 6 * DAY, end + 6 * DAY)
    assert len(timeline) > 1
    for _, change, _ in timeline[:-1]:
        check_days(zone, timeline, max(start, change - 4 * DAY), min(end, change + 4 * DAY))


# --- cron --------------------------------------------------------------------------------------------------------

#: Where six days of minutes are walked through: with changes of the clocks, and ordinary ones.
WALKS = [
    ("Europe/Vienna", datetime(2026, 3, 26)),
    ("Europe/Vienna", datetime(2026, 10, 22)),
    ("America/New_York", datetime(2026, 10, 29)),
    ("America/Nuuk", datetime(2024, 3, 28)),
    ("America/Nuuk", datetime(2024, 10, 24)),
    ("Australia/Lord_Howe", datetime(2026, 4, 2)),
    ("Australia/Lord_Howe", datetime(2026, 10, 1)),
    ("Antarctica/Troll", datetime(2027, 3, 25)),
    ("Pacific/Apia", datetime(2011, 12, 27)),
    ("America/Juneau", datetime(1867, 10, 16)),
    ("Africa/Monrovia", datetime(1972, 1, 4)),
    ("Asia/Kathmandu", datetime(2024, 2, 26)),
]
WALK = 6 * DAY
FIELDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]


@cache
def walk(name: str, start: datetime) -> list[tuple[datetime, list[datetime]]]:
    """Return the moments at which the clocks first show a whole minute, or jump over some, and those minutes."""
    timeline = segments(ZoneInfo(name), start - 2 * DAY, start + WALK + DAY)
    steps: dict[datetime, list[datetime]] = {}
    shown = datetime.min
    for begin, end, offset in timeline:
        # What the clocks showed before is nothing new, and what they jump over is shown at the jump.
        local = begin + offset if shown == datetime.min else shown
        local += -timedelta(seconds=local.second) % MINUTE
        while local < end + offset:
            steps.setdefault(max(begin, local - offset), []).append(local)
            local += MINUTE
        shown = max(shown, end + offset)
    return [(moment, minutes) for moment, minutes in steps.items() if start < moment < start + WALK]


def parts(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """Draw a field of a cron expression and the values that it means."""
    number, step = st.integers(low, high), st.integers(1, 20)
    span = st.tuples(number, number).map(sorted)
    one = number.map(lambda n: (str(n), frozenset({n})))
    ranges = span.map(lambda ends: (f"{ends[0]}-{ends[1]}", frozenset(range(ends[0], ends[1] + 1))))
    steps = st.tuples(span, step).map(
        lambda drawn: (
            f"{drawn[0][0]}-{drawn[0][1]}/{drawn[1]}",
            frozenset(range(drawn[0][0], drawn[0][1] + 1, drawn[1])),
        )
    )
    lists = st.lists(st.one_of(one, ranges, steps), min_size=1, max_size=3).map(
        lambda many: (",".join(text for text, _ in many), frozenset[int]().union(*(values for _, values in many)))
    )
    every = st.just(("*", frozenset(range(low, high + 1))))
    stars = step.map(lambda n: (f"*/{n}", frozenset(range(low, high + 1, n))))
    return st.one_of(every, stars, lists)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(WALKS), st.tuples(*(parts(*limits) for limits in FIELDS)))
def test_cron_is_due_when_a_walk_minute_by_minute_says(
    where: tuple[str, datetime], fields: tuple[tuple[str, frozenset[int]], ...]
) -> None:
    minutes, hours, days, months, weekdays = (values for _, values in fields)
    both = any(fields[place][0].startswith("*") for place in (2, 4))  # as Debian's cron has it, else either

    def fits(local: datetime) -> bool:
        if local.minute not in minutes or local.hour not in hours or local.month not in months:
            return False
        day, weekday = local.day in days, bool({local.isoweekday(), local.isoweekday() % 7} & weekdays)
        return (day and weekday) if both else (day or weekday)

    (name, start), zone = where, ZoneInfo(where[0])
    trigger = ScheduleTrigger(cron=" ".join(text for text, _ in fields))
    expected = [moment for moment, new in walk(name, start) if any(map(fits, new))]
    try:
        trigger.rule.check(zone)
    except MalformedRequest:
        assert expected == []
        return
    assert due_between(trigger, zone, start, start + WALK) == expected
