"""Triggers: which are refused and why, and when they are due. `test_triggers_sweep` looks at every zone and change."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import cache
from itertools import islice, pairwise, takewhile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models.schedules import ScheduleTrigger
from cloudo_kernel.planning import jitter
from cloudo_kernel.scheduling.zones import LATEST, resolve, zone

VIENNA = zone("Europe/Vienna")
START = datetime(2026, 11, 23, 16, 0, 0, 123_456, tzinfo=UTC)
DAY = timedelta(days=1)


def trigger(**fields: Any) -> ScheduleTrigger:
    return ScheduleTrigger.model_validate(fields)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def first(count: int, after: datetime = START, start: datetime = START, **fields: Any) -> list[datetime]:
    return list(islice(trigger(**fields).rule.due_times(VIENNA, start=start, after=after), count))


def run_elsewhere(code: str, **environment: str) -> str:
    """Run Python in a process of its own, with another environment."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


# --- zones -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Wien", "Europe/Vienna"),
        ("europe/vienna", "Europe/Vienna"),
        ("Vienna", "Europe/Vienna"),
        ("New York", "America/New_York"),
        ("CEST", "CET"),
        ("Europe", "Europe/"),
        ("../../etc/passwd", "an IANA name"),
        ("/etc/localtime", "Europe/Vienna"),
        ("Europe/../Europe/Vienna", "Europe/Vienna"),
        ("right/Europe/Vienna", "Europe/Vienna"),
        ("localtime", "an IANA name"),
        ("UTC\0", "UTC"),
        ("\0", "an IANA name"),
        ("", "an IANA name"),
        ("x" * 10_240, "an IANA name"),
    ],
)
def test_what_is_no_zone_is_refused_with_the_nearest_names(name: str, hint: str) -> None:
    with pytest.raises(MalformedRequest, match="There is no time zone") as refused:
        zone(name)
    assert refused.value.field == "timezone"
    assert hint in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("tz", "name"), [("Asia/Kolkata", "Asia/Kolkata"), (":Europe/Vienna", "Europe/Vienna"), ("Etc/UTC", "UTC")]
)
def test_the_zone_of_this_machine_is_that_of_its_environment(tz: str, name: str) -> None:
    code = "from cloudo_kernel.scheduling.zones import local_zone_name; print(local_zone_name())"
    assert run_elsewhere(code, TZ=tz) == name


def test_the_machine_s_zone_locale_and_database_do_not_matter() -> None:
    code = """if True:
        from datetime import *
        from cloudo_kernel.scheduling import humanize as times, zones
        from cloudo_kernel.models.schedules import ScheduleTrigger
        import locale, os, zoneinfo
        now, vienna = datetime(2027, 3, 27, 12, tzinfo=UTC), zones.zone("Europe/Vienna")
        for said in ({"daily_at": "02:30"}, {"cron": "30 2 * mar sun"}):
            print(ScheduleTrigger(**said).rule.next_due(vienna, start=now, after=now))
        print(times.spoken(now, vienna, now=now), times.moment("tue 08:30", vienna, now=now))
        assert os.environ.get("PYTHONTZPATH") is None or zoneinfo.TZPATH == ()
    """
    here = run_elsewhere(code)
    assert here.splitlines() == [
        *["2027-03-28 01:00:00+00:00"] * 2,
        "Sat 27 Mar 13:00 2027-03-30 06:30:00+00:00",
    ]
    assert run_elsewhere(code, TZ="Pacific/Apia", LC_ALL="de_AT.UTF-8", PYTHONTZPATH="") == here


# --- local times -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "local", "moment"),
    [
        ("Europe/Vienna", "2026-11-24T08:30", "2026-11-24T07:30"),
        ("Europe/Vienna", "2027-03-28T01:59:59.999999", "2027-03-28T00:59:59.999999"),
        ("Europe/Vienna", "2027-03-28T02:00", "2027-03-28T01:00"),
        ("Europe/Vienna", "2027-03-28T02:59:59.999999", "2027-03-28T01:00"),
        ("Europe/Vienna", "2027-03-28T03:00", "2027-03-28T01:00"),
        ("Europe/Vienna", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("Europe/Vienna", "2026-10-25T03:00", "2026-10-25T02:00"),
        ("America/Nuuk", "2024-03-30T23:30", "2024-03-31T01:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),
        ("Pacific/Apia", "2011-12-30T08:30", "2011-12-30T10:00"),
        ("Antarctica/Troll", "2027-03-28T02:30", "2027-03-28T01:00"),
        ("America/Juneau", "1867-10-18T23:00", "1867-10-18T07:57:41"),
        ("UTC", "2038-01-19T03:14:08", "2038-01-19T03:14:08"),
        ("Asia/Tokyo", "9999-12-28T00:00", "9999-12-27T15:00"),
    ],
)
def test_a_local_time_is_one_moment(name: str, local: str, moment: str) -> None:
    assert resolve(datetime.fromisoformat(local), zone(name)) == utc(moment)


def test_of_a_repeated_time_fold_does_not_matter_and_an_offset_does() -> None:
    repeated = datetime.fromisoformat("2026-10-25T02:30")
    assert resolve(repeated.replace(fold=1), VIENNA) == resolve(repeated, VIENNA)
    assert resolve(repeated.replace(tzinfo=UTC), VIENNA) == utc("2026-10-25T02:30")


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "what"),
    [
        ("60 * * * *", "the minute '60' is invalid. It takes 0 to 59"),
        ("0 24 * * *", "the hour '24' is invalid. It takes 0 to 23"),
        ("0 0 0 * *", "the day of the month '0' is invalid. It takes 1 to 31"),
        ("0 0 * foo *", "the month 'foo' is invalid. It takes 1 to 12 or jan to dec"),
        ("0 0 * * fri-mon", "the day of the week 'fri-mon' is invalid. It takes 0 to 7"),
        ("0 0 * * 5#6", "the day of the week '5#6'"),
        ("*/0 * * * *", "steps"),
        ("5-5/0 * * * *", "the minute '5-5/0'"),
        ("1,,2 * * * *", "the minute '1,,2'"),
        ("-1 * * * *", "the minute '-1'"),
        ("² * * * *", "the minute"),
        (f"{'9' * 190} * * * *", "the minute"),
        ("0 0 31 2 *", "is never due"),
        ("0 0 30,31 feb *", "is never due"),
        ("0 0 31 4,6,9,11 *", "is never due"),
        ("0 0 */29 2 1#5", "is never due"),
        ("0 0 * * * *", "takes five fields (minute, hour, day of the month, month, day of the week), not 6"),
        ("0 0 * *", "not 4"),
        (" ", "not 0"),
        ("@reboot", "@hourly, @daily"),
        ("@every 5m", "@hourly, @daily"),
    ],
)
def test_cron_that_does_not_fit_is_refused_with_the_field(cron: str, what: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        trigger(cron=cron).rule.check(VIENNA)
    assert refused.value.field == "trigger.cron"
    assert what in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("every_seconds", 1e-6),
        ("every_seconds", 1e300),
        ("delay_seconds", 4e10),
        ("at", "9999-12-31T23:59:59"),
        ("at", "9999-12-31T23:59:59Z"),
        ("at", "0001-01-01T00:00:00"),
    ],
)
def test_what_is_out_of_range_is_refused(field: str, value: object) -> None:
    with pytest.raises(MalformedRequest) as refused:
        trigger(**{field: value}).rule.check(VIENNA)
    assert refused.value.field == f"trigger.{field}"


@pytest.mark.parametrize("seconds", [253_370_764_800, 253_370_764_800.0])
def test_seconds_since_1970_are_seconds_in_the_farthest_years_too(seconds: object) -> None:
    assert trigger(at=seconds).at == datetime(9999, 1, 1, tzinfo=UTC)
    assert trigger(every_seconds=1, start=2**31).start == utc("2038-01-19T03:14:08")
    with pytest.raises(ValidationError, match="not within the years 1 to 9999"):
        trigger(at=1e12)
    with pytest.raises(ValidationError, match="a date and time such as"):
        trigger(at="253370764800")


@pytest.mark.parametrize("text", ["٠٨:٣٠", "0٨:30", "08:30\n", "24:00"])
def test_a_time_of_day_has_digits_that_a_clock_knows(text: str) -> None:
    with pytest.raises(ValidationError):
        trigger(daily_at=text)


def test_a_moment_outside_all_years_is_refused_by_the_record() -> None:
    with pytest.raises(ValidationError, match="not within the years 1 to 9999"):
        trigger(at="9999-12-31T23:59:59-05:00")
    with pytest.raises(ValidationError, match="not within the years 1 to 9999"):
        trigger(every_seconds=1, start="0001-01-01T00:00:00+05:00")


@pytest.mark.parametrize(
    "fields",
    [
        {"at": "2026-10-25T02:30"},
        {"at": "9999-12-27T00:00"},
        {"at": "2038-01-19T03:14:08Z"},
        {"delay_seconds": 0},
        {"every_seconds": 0.001, "start": "1901-12-13T20:45:51Z"},
        {"daily_at": "23:59:59"},
        *(
            {"cron": cron}
            for cron in ("@daily", " @Weekly ", "0 0 29 2 *", "0 0 * 2 mon#5", "0 0 31 2 1", "0 0 LW * 5L")
        ),
    ],
)
def test_what_fits_is_taken(fields: dict[str, Any]) -> None:
    trigger(**fields).rule.check(VIENNA)


# --- once, and at an interval ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"at": "2026-11-23T17:00:00"}, {"delay_seconds": 10}])
def test_once_is_due_at_the_start_only(fields: dict[str, Any]) -> None:
    assert first(9, after=START - DAY, **fields) == [START]
    assert first(9, after=START, **fields) == []


@pytest.mark.parametrize(("seconds", "exact"), [(0.1, "1/10"), (1 / 3, "0.3333333333333333"), (2.5, "5/2"), (60, "60")])
def test_the_grid_of_an_interval_does_not_drift(seconds: float, exact: str) -> None:
    period = Fraction(exact) * 1_000_000
    for n in (0, 1, 2, 3, 10**6, 10**9 + 7, int(2e11 / seconds)):
        due = START + timedelta(microseconds=int(n * period + Fraction(1, 2)))
        before = due - timedelta(microseconds=1)
        assert first(1, after=before, every_seconds=seconds) == [due]
        following = START + timedelta(microseconds=int((n + 1) * period + Fraction(1, 2)))
        assert first(1, after=due, every_seconds=seconds) == [following]


def test_an_interval_knows_no_changes_of_the_clocks() -> None:
    start = utc("2026-10-24T22:00")
    due = first(30, after=start, start=start, every_seconds=3600, wait=False)
    assert {later - earlier for earlier, later in pairwise(due)} == {timedelta(hours=1)}


# --- daily and cron ----------------------------------------------------------------------------------------------

NEXT = START.date() + DAY


def last_working_day(day: date) -> date:
    following = (day.replace(day=1) + 31 * DAY).replace(day=1)
    return next(day for n in range(1, 4) if (day := following - n * DAY).weekday() < 5)


@pytest.mark.parametrize(
    ("cron", "fits"),
    [
        ("0 0 L * *", lambda day: (day + DAY).day == 1),
        ("0 0 15,L * *", lambda day: day.day == 15 or (day + DAY).day == 1),
        ("0 0 LW * *", lambda day: day == last_working_day(day)),
        ("0 0 * * 5L", lambda day: day.weekday() == 4 and (day + 7 * DAY).month != day.month),
        ("0 0 * * mon#2", lambda day: day.weekday() == 0 and 8 <= day.day <= 14),
        ("0 0 13 * 5", lambda day: day.day == 13 or day.weekday() == 4),
        ("0 0 */7 * 1", lambda day: day.day % 7 == 1 and day.weekday() == 0),
        ("0 0 29 2 *", lambda day: (day.month, day.day) == (2, 29)),
        ("0 0 * * SUN", lambda day: day.weekday() == 6),
        ("0 0 * * 7", lambda day: day.weekday() == 6),
        ("0 0 1-1/3 jan-mar *", lambda day: day.day == 1 and day.month < 4),
        ("@weekly", lambda day: day.weekday() == 6),
        ("@monthly", lambda day: day.day == 1),
        ("@yearly", lambda day: (day.month, day.day) == (1, 1)),
        ("@annually", lambda day: (day.month, day.day) == (1, 1)),
        ("@midnight", lambda _: True),
    ],
)
def test_cron_knows_the_calendar(cron: str, fits: Callable[[date], bool]) -> None:
    days = [day for n in range(12 * 366) if fits(day := NEXT + n * DAY)][:50]
    expected = [resolve(datetime.combine(day, time()), VIENNA) for day in days]
    assert first(len(expected), cron=cron) == expected


def test_daily_and_cron_begin_at_the_start() -> None:
    start = utc("2026-11-24T07:30")
    for fields in ({"daily_at": "08:30"}, {"cron": "30 8 * * *"}):
        assert first(2, after=START - 400 * DAY, start=start, **fields) == [start, start + DAY]
        assert first(1, after=start, start=start, **fields) == [start + DAY]
    assert first(1, daily_at="08:30:15") == [utc("2026-11-24T07:30:15")]


def test_several_times_in_one_gap_are_one() -> None:
    start = utc("2027-03-28T00:45")
    expected = [utc(f"2027-03-28T0{hour}:{minute}") for hour, minute in ((1, "00"), (1, "15"), (1, "30"))]
    assert first(3, after=start, start=start, cron="*/15 * * * *") == expected


def test_cron_pauses_while_the_clocks_repeat_an_hour() -> None:
    due = first(3, after=utc("2026-10-25T00:30"), start=utc("2026-01-01T00:00"), cron="*/20 * * * *")
    assert due == [utc("2026-10-25T00:40"), utc("2026-10-25T02:00"), utc("2026-10-25T02:20")]


TRIGGERS: list[dict[str, Any]] = [
    {"cron": "*/20 1-3 * * *"},
    {"cron": "0 0 1 * *"},
    {"daily_at": "02:30"},
    {"daily_at": "00:00"},
    {"monthly": {"day": 31, "at": "02:30"}},
    {"every_seconds": 7_777.7},
]


SPAN = (utc("2026-09-20T00:00"), utc("2026-11-10T00:00"))


@cache
def times_of(number: int, name: str) -> list[datetime]:
    times = trigger(**TRIGGERS[number]).rule.due_times(zone(name), start=SPAN[0], after=utc("2000-01-01T00:00"))
    return list(takewhile(lambda due: due < SPAN[1], times))


@settings(deadline=None)
@given(
    st.integers(0, len(TRIGGERS) - 1),
    st.sampled_from(["Europe/Vienna", "America/Nuuk", "Australia/Lord_Howe", "UTC"]),
    st.datetimes(datetime(2026, 9, 1), datetime(2026, 11, 15)),  # noqa: DTZ001 hypothesis takes naive ones
)
def test_the_times_after_any_moment_are_the_rest_of_all_times(number: int, name: str, moment: datetime) -> None:
    rule, after, every = trigger(**TRIGGERS[number]).rule, moment.replace(tzinfo=UTC), times_of(number, name)
    assert every == sorted(set(every))
    assert every[0] >= SPAN[0]
    rest = [due for due in every if due > after][:20]
    assert list(islice(rule.due_times(zone(name), start=SPAN[0], after=after), len(rest))) == rest
    assert not rest or rule.next_due(zone(name), start=SPAN[0], after=after) == rest[0]


@pytest.mark.parametrize("fields", [*TRIGGERS, {"cron": "0 0 29 2 *"}, {"cron": "* * * * *"}])
@pytest.mark.parametrize("name", ["Pacific/Kiritimati", "Pacific/Niue"])
def test_times_end_with_the_years(fields: dict[str, Any], name: str) -> None:
    very_late = LATEST - timedelta(hours=3)
    late = list(trigger(**fields).rule.due_times(zone(name), start=START, after=very_late))
    assert all(very_late < due <= LATEST + DAY for due in late)
    for after in (LATEST, datetime.max.replace(tzinfo=UTC)):
        assert trigger(**fields).rule.next_due(zone(name), start=START, after=after) is None
    earliest = datetime.min.replace(tzinfo=UTC)
    assert trigger(**fields).rule.next_due(zone(name), start=earliest, after=earliest) is not None


# --- jitter ------------------------------------------------------------------------------------------------------


def test_jitter_is_even_and_the_same_for_the_same_occurrence() -> None:
    due = [START + timedelta(minutes=n) for n in range(10_000)]
    amounts = [jitter("a", moment, 10) for moment in due]
    assert amounts == [jitter("a", moment.astimezone(VIENNA), 10) for moment in due]
    counts = [sum(amount // timedelta(seconds=1) == second for amount in amounts) for second in range(10)]
    assert sum(counts) == 10_000
    assert all(900 < count < 1_100 for count in counts)
    assert jitter("b", START, 10) != jitter("a", START, 10)
    assert jitter("a", START, 0) == timedelta()
