"""The trigger `monthly`, against an oracle that looks at each day, and what is refused.

The oracle computes no month: it walks through the days and asks of each whether it is the one. `test_triggers_sweep`
has the part about the clocks, which asks zoneinfo for offsets only.
"""

# ruff: noqa: DTZ001 - local times, and the oracle's moments in UTC, are naive

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from cloudo_kernel import planning
from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.flow_api.schedule import given_trigger
from cloudo_kernel.models import CatchUp, CreateSchedule, OccurrenceOutcome, Schedule, ScheduleTrigger, malformed
from cloudo_kernel.scheduling.triggers.monthly import Monthly
from cloudo_kernel.scheduling.zones import zone
from tests.unit.test_triggers_sweep import Segment, due_between, first_shown, segments

DAY = timedelta(days=1)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ORDINALS = ("first", "second", "third", "fourth", "last")
DAYS = (*range(1, 32), "last", *(f"{ordinal} {weekday}" for ordinal in ORDINALS for weekday in WEEKDAYS))
TIMES = ("00:00", "02:30", "23:59:59")
#: Zones, and two years in which their clocks change. 2024 is a leap year.
ZONES = [
    ("UTC", 2024),
    ("Europe/Berlin", 2027),  # the clocks change on the last Sunday, at 02:00 and 03:00
    ("America/New_York", 2024),
    ("America/Nuuk", 2023),  # a gap over midnight
    ("America/Sao_Paulo", 2017),  # no midnight in spring
    ("Africa/Cairo", 2024),  # no midnight on the last Friday of April
    ("Africa/Casablanca", 2029),
    ("Antarctica/Troll", 2026),  # two hours
    ("Asia/Beirut", 2023),
    ("Asia/Kathmandu", 2099),  # 2100 is no leap year
    ("Australia/Lord_Howe", 2024),  # half an hour
    ("Pacific/Apia", 2011),  # no 30 December 2011
    ("Pacific/Kiritimati", 1999),  # 2000 is a leap year
]


def monthly(day: object, at: str = "08:30") -> ScheduleTrigger:
    return ScheduleTrigger.model_validate({"monthly": {"day": day, "at": at}})


def is_due(wanted: int | str, day: date) -> bool:
    is_last = (day + DAY).month != day.month
    if isinstance(wanted, int):
        return day.day == wanted or (is_last and day.day < wanted)
    if wanted == "last":
        return is_last
    ordinal, weekday = wanted.split()
    if WEEKDAYS[day.weekday()] != weekday:
        return False
    return (day + 7 * DAY).month != day.month if ordinal == "last" else (day.day - 1) // 7 == ORDINALS.index(ordinal)


@cache
def days_of(wanted: int | str, year: int) -> list[datetime]:
    """Return the days of two years and of the weeks around them."""
    days = (datetime(year, 1, 1) + number * DAY for number in range(-40, 2 * 366 + 40))
    return [day for day in days if is_due(wanted, day.date())]


@pytest.mark.parametrize(("name", "year"), ZONES)
def test_each_month_has_one_time_as_walking_through_its_days_finds(name: str, year: int) -> None:
    start, end = datetime(year, 1, 1), datetime(year + 2, 1, 1)
    timeline: list[Segment] = segments(ZoneInfo(name), start - 50 * DAY, end + 50 * DAY)
    for wanted in DAYS:
        for at in TIMES:
            clock = timedelta(hours=int(at[:2]), minutes=int(at[3:5]), seconds=int(at[6:] or 0))
            moments = [first_shown(day + clock, timeline) for day in days_of(wanted, year)]
            expected = [moment for moment in moments if start < moment < end]
            assert due_between(monthly(wanted, at), ZoneInfo(name), start, end) == expected, (wanted, at)


@pytest.mark.parametrize(
    ("day", "at", "after", "due"),
    [
        (31, "08:30", "2028-02-01", "2028-02-29T07:30"),  # a leap year
        (31, "08:30", "2027-02-01", "2027-02-28T07:30"),
        (29, "08:30", "2027-02-01", "2027-02-28T07:30"),
        ("last friday", "18:00", "2026-11-01", "2026-11-27T17:00"),
        ("last sunday", "02:30", "2027-03-01", "2027-03-28T01:00"),  # skipped: the end of the gap
        ("last sunday", "02:30", "2027-10-01", "2027-10-31T00:30"),  # shown twice: the first
        ("last sunday", "02:30", "2027-10-31T00:30", "2027-11-28T01:30"),
    ],
)
def test_a_day_that_a_month_lacks_is_its_last_and_clocks_follow_the_zone(
    day: object, at: str, after: str, due: str
) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found = monthly(day, at).rule.next_due(zone("Europe/Berlin"), start=moment, after=moment)
    assert found == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "text"),
    [
        (1, "monthly on the 1st at 08:30"),
        (2, "monthly on the 2nd at 08:30"),
        (3, "monthly on the 3rd at 08:30"),
        (11, "monthly on the 11th at 08:30"),
        (12, "monthly on the 12th at 08:30"),
        (13, "monthly on the 13th at 08:30"),
        (22, "monthly on the 22nd at 08:30"),
        (28, "monthly on the 28th at 08:30"),
        (29, "monthly on the 29th, or the last day of shorter months, at 08:30"),
        (31, "monthly on the 31st, or the last day of shorter months, at 08:30"),
        ("last", "monthly on the last day at 08:30"),
        ("First  Monday", "monthly on the first Monday at 08:30"),
    ],
)
def test_the_description_says_what_happens_in_shorter_months(day: object, text: str) -> None:
    assert monthly(day).rule.describe("Europe/Berlin") == text


def test_it_is_kept_as_json_in_one_form() -> None:
    kept = monthly("Last FRIDAY", "08:30:00").model_dump(mode="json")
    assert kept == {"monthly": {"day": "last friday", "at": "08:30"}}
    assert ScheduleTrigger.model_validate(kept).model_dump(mode="json") == kept
    assert monthly(31.0).model_dump(mode="json") == {"monthly": {"day": 31, "at": "08:30"}}


NOT_DAYS = ("", "31", "fifth monday", "first", "first mon", "monday")
WRONG_DAYS: tuple[Any, ...] = (0, 32, -1, 1.5, True, None, *NOT_DAYS, ["last"], {})


@pytest.mark.parametrize(
    ("wrong", "field", "what"),
    [
        *(({"day": day, "at": "08:30"}, "day", 'from 1 to 31, "last", or first') for day in WRONG_DAYS),
        ({"day": 1}, "at", "required"),
        ({"at": "08:30"}, "day", "required"),
        ({"day": 1, "at": "24:00"}, "at", "a time of day from 00:00 to 23:59"),
        ({"day": 1, "at": "08:30", "every": 2}, "every", "not permitted"),
        ("31 08:30", None, "valid dictionary"),
    ],
)
def test_what_is_invalid_is_refused_with_its_field(wrong: Any, field: str | None, what: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CreateSchedule.model_validate({"flow_name": "report", "trigger": {"monthly": wrong}})
    error = malformed(caught.value)
    assert error.field == ".".join(filter(None, ("trigger.monthly", field)))
    assert what in str(error)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("31 8:30", {"day": 31, "at": "08:30"}),
        (" last 08:30:15 ", {"day": "last", "at": "08:30:15"}),
        ("first monday 18:00", {"day": "first monday", "at": "18:00"}),
    ],
)
def test_people_write_a_day_and_a_time(text: str, value: dict[str, Any]) -> None:
    assert Monthly.read(text, moment=str) == value
    assert given_trigger(None, {"monthly": text}) == ScheduleTrigger.model_validate({"monthly": value})


@pytest.mark.parametrize("text", ["", "31", "first monday", "31 8.30", "soon"])
def test_a_day_without_a_time_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest, match="is not a time of day"):
        Monthly.read(text, moment=str)


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        (CatchUp.LAST, [("COALESCED", 4, "2027-01-31"), ("STARTED", 1, "2027-05-31")]),
        (CatchUp.ALL, [("STARTED", 1, f"2027-{day}") for day in ("01-31", "02-28", "03-31", "04-30", "05-31")]),
        (CatchUp.NONE, [("MISSED", 5, "2027-01-31")]),
    ],
)
def test_months_of_absence_are_caught_up(catch_up: CatchUp, expected: list[tuple[str, int, str]]) -> None:
    start, now = datetime(2027, 1, 31, 7, 30, tzinfo=UTC), datetime(2027, 6, 15, tzinfo=UTC)
    schedule = Schedule(
        id="s",
        name="report",
        flow_name="report",
        user_name="ada",
        created_at=start,
        trigger=monthly(31),
        timezone="Europe/Berlin",
        start=start,
        next_run=start,
        catch_up=catch_up,
    )
    plan = planning.plan(schedule, now=now, unended=0, absences=(planning.Absence(start - DAY, now),))
    found = [(one.outcome, one.number, f"{one.due:%Y-%m-%d}") for one in plan.occurrences]
    assert found == [(OccurrenceOutcome(outcome), number, due) for outcome, number, due in expected]
    assert plan.next_run == datetime(2027, 6, 30, 6, 30, tzinfo=UTC)
