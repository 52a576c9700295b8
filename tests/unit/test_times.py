"""Times and triggers in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models.schedules import ScheduleTrigger
from cloudo_kernel.scheduling.humanize import moment, seconds, spoken
from cloudo_kernel.scheduling.zones import zone

VIENNA = zone("Europe/Vienna")
#: A Monday, 17:00 in Vienna.
NOW = datetime(2026, 11, 23, 16, tzinfo=UTC)


def trigger(**fields: Any) -> ScheduleTrigger:
    return ScheduleTrigger.model_validate(fields)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("2026-11-24T07:30Z", "Tue 24 Nov 08:30"),
        ("2026-11-24T07:30:05Z", "Tue 24 Nov 08:30:05"),
        ("2027-03-01T07:30Z", "Mon 1 Mar 2027 08:30"),
        ("2026-12-31T23:30Z", "Fri 1 Jan 2027 00:30"),
        ("2026-10-25T00:30Z", "Sun 25 Oct 02:30+02:00"),
        ("2026-10-25T01:30Z", "Sun 25 Oct 02:30+01:00"),
        ("2026-10-25T02:00Z", "Sun 25 Oct 03:00"),
        ("9999-12-28T00:00Z", "Tue 28 Dec 9999 01:00"),
    ],
)
def test_a_moment_is_said_in_its_zone(said: str, text: str) -> None:
    assert spoken(datetime.fromisoformat(said), VIENNA, now=NOW) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"at": "2026-11-24T08:30"}, "once at Tue 24 Nov 2026 08:30"),
        ({"at": "2026-11-24T08:30Z"}, "once at Tue 24 Nov 2026 09:30"),
        ({"delay_seconds": 60}, "once, after 1 minute"),
        ({"delay_seconds": 0}, "once, after 0 seconds"),
        ({"every_seconds": 600}, "every 10 minutes, counted from the end of the last run"),
        ({"every_seconds": 600, "wait": False}, "every 10 minutes on the grid"),
        ({"every_seconds": 3600, "wait": False}, "every hour on the grid"),
        ({"every_seconds": 93_784.5, "wait": False}, "every 1 day 2 hours 3 minutes 4.5 seconds on the grid"),
        ({"every_seconds": 0.1, "wait": False}, "every 0.1 seconds on the grid"),
        ({"every_seconds": 864_000, "wait": False}, "every 10 days on the grid"),
        ({"daily_at": "08:30"}, "daily at 08:30"),
        ({"daily_at": "08:30:00"}, "daily at 08:30"),
        ({"daily_at": "08:30:15"}, "daily at 08:30:15"),
        ({"cron": "0 9 * * 1-5"}, "cron 0 9 * * 1-5 (at 09:00 on Monday through Friday)"),
        ({"cron": "@hourly"}, "cron @hourly (at the start of every hour)"),
        ({"cron": "0 18 LW * *"}, "cron 0 18 LW * * (at 18:00 on the last weekday of every month)"),
        ({"cron": "5-5/2 * * * *"}, "cron 5-5/2 * * * * (at minute 5 of every hour)"),
    ],
)
def test_a_trigger_is_described(fields: dict[str, Any], text: str) -> None:
    assert trigger(**fields).rule.describe("Europe/Vienna") == text


@pytest.mark.parametrize(
    ("fields", "texts"),
    [
        ({"at": "2026-11-24T08:30"}, ()),
        ({"daily_at": "02:30"}, ()),
        ({"cron": "30 2 * * *"}, ()),
        ({"every_seconds": 1}, ()),
        ({"at": "2026-11-23T16:59"}, ("Mon 23 Nov 16:59 is in the past: it runs at once.",)),
        ({"every_seconds": 0.5}, ("An interval of 0.5 seconds is below one second.",)),
        (
            {"at": "2027-10-31T02:30"},
            (
                "02:30 on Sun 31 Oct 2027 occurs twice in Europe/Vienna. It runs at the first, 02:30+02:00. "
                "Add an offset to choose.",
            ),
        ),
        ({"at": "2027-10-31T02:30+01:00"}, ()),
        (
            {"every_seconds": 60, "start": "2027-03-28T02:30"},
            (
                "02:30 on Sun 28 Mar 2027 does not exist in Europe/Vienna: the clocks go forward. "
                "It runs at the end of the gap, 03:00+02:00. Add an offset to choose another time.",
            ),
        ),
    ],
)
def test_what_is_unusual_is_noted(fields: dict[str, Any], texts: tuple[str, ...]) -> None:
    assert trigger(**fields).rule.notes(VIENNA, now=NOW) == texts


def test_a_gap_of_a_day_is_noted_with_the_day_after() -> None:
    said = trigger(at="2011-12-30T08:30").rule.notes(zone("Pacific/Apia"), now=datetime(2011, 1, 1, tzinfo=UTC))
    assert "It runs at the end of the gap, Sat 31 Dec 2011 00:00+14:00." in said[0]


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("90", 90),
        ("0", 0),
        ("0.1", 0.1),
        ("90s", 90),
        ("10m", 600),
        ("10 min", 600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (".5h", 1800),
        ("2d", 172_800),
        (" 1 Hour 30 minutes ", 5400),
        ("1 hour and 1 second", 3601),
        ("1 day, 2 hrs, 3 mins, 4.5 secs", 93_784.5),
    ],
)
def test_a_duration_is_read(text: str, amount: float) -> None:
    assert seconds(text) == amount


@pytest.mark.parametrize(
    "text",
    ["", "and", "-5", "5 x", "m", "1h1h", "30m1h", "1h30", "1e5", "inf", "nan", "١", "1,5h", "1..5h", "1mo", "9" * 500],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest, match=r"1h30m|maximum is 1000 years") as refused:
        seconds(text, field="every")
    assert refused.value.field == "every"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T08:30", "2026-11-24T07:30"),
        ("2026-11-24 08:30:15", "2026-11-24T07:30:15"),
        ("2026-11-24T08:30Z", "2026-11-24T08:30"),
        ("2026-11-24T08:30:00-05:00", "2026-11-24T13:30"),
        ("2026-11-24", "2026-11-23T23:00"),
        ("2027-03-28 02:30", "2027-03-28T01:00"),
        ("2038-01-19T03:14:08Z", "2038-01-19T03:14:08"),
        ("17:01", "2026-11-23T16:01"),
        ("17:00", "2026-11-24T16:00"),
        ("8:30", "2026-11-24T07:30"),
        ("8:30:15", "2026-11-24T07:30:15"),
        ("today 08:30", "2026-11-23T07:30"),
        ("tomorrow 08:30", "2026-11-24T07:30"),
        ("Tomorrow  at 08:30", "2026-11-24T07:30"),
        ("fri 18:00", "2026-11-27T17:00"),
        ("Friday 18:00", "2026-11-27T17:00"),
        ("mon 17:01", "2026-11-23T16:01"),
        ("mon 16:59", "2026-11-30T15:59"),
    ],
)
def test_a_moment_is_read(text: str, expected: str) -> None:
    assert moment(text, VIENNA, now=NOW) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "08:60", "8", "fr 08:30", "fri", "xyz 08:30", "2026-13-01", "1764000000", "٠٨:٣٠", "9" * 500],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest, match="tomorrow 08:30") as refused:
        moment(text, VIENNA, now=NOW, field="when")
    assert refused.value.field == "when"


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59", "9999-12-31T23:59:59-05:00", "0001-01-01"])
def test_a_moment_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest, match="out of range"):
        moment(text, VIENNA, now=NOW)
