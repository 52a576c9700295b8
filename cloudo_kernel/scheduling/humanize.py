"""Formats moments, times of day and durations in words, and parses those that people write.

Always in English, whatever the locale of the process. Callers pass the current time.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.scheduling.zones import offsets, resolve, wall

#: Maximum of a duration.
MAX_SECONDS = 1_000 * 365.25 * 86_400
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: The units of durations with the ways to write them, the largest first.
_UNITS = {
    "d": (86_400, "days"),
    "h": (3_600, "hours hrs"),
    "m": (60, "minutes mins"),
    "s": (1, "seconds secs"),
}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)", re.ASCII)
_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?", re.ASCII)
_CLOCK = re.compile(r"(?:([a-z]+) (?:at )?)?(\d{1,2}):(\d\d)(?::(\d\d))?", re.ASCII)


# --- format ------------------------------------------------------------------------------------------------------


def spoken(moment: datetime, zone: ZoneInfo, *, now: datetime) -> str:
    """Format a moment in the zone's local time: `Tue 24 Nov 08:30`.

    Adds the year if it is not the current one, seconds if there are any, and the UTC offset if that local time happens
    twice.
    """
    local = wall(moment, zone)
    first, second = offsets(local, zone)
    text = date(local, has_year=local.year != wall(now, zone).year) + " " + clock(local)
    return text + _offset(moment.astimezone(zone)) if first > second else text


def unclear(local: datetime, zone: ZoneInfo) -> tuple[str, ...]:
    """Return a note on a local time that the zone's clocks show twice or never; empty for any other time."""
    if local.tzinfo is not None:
        return ()
    first, second = offsets(local, zone)
    if first == second:
        return ()
    used = resolve(local, zone).astimezone(zone)
    name = f"{clock(local)} on {date(local, has_year=True)}"
    day = "" if used.date() == local.date() else date(used, has_year=True) + " "
    moment = f"{day}{clock(used)}{_offset(used)}"
    if first > second:
        return (f"{name} occurs twice in {zone.key}. It runs at the first, {moment}. Add an offset to choose.",)
    return (
        f"{name} does not exist in {zone.key}: the clocks go forward. It runs at the end of the gap, {moment}. "
        "Add an offset to choose another time.",
    )


def date(local: datetime, *, has_year: bool) -> str:
    """Format a date: `Tue 24 Nov`, or `Tue 24 Nov 2026`."""
    text = f"{WEEKDAYS[local.weekday()][:3]} {local.day} {_MONTHS[local.month - 1]}"
    return f"{text} {local.year}" if has_year else text


def clock(local: datetime) -> str:
    """Format a time of day, with seconds if there are any."""
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def _offset(aware: datetime) -> str:
    return aware.isoformat()[len(aware.replace(tzinfo=None).isoformat()) :]


def duration(seconds: float) -> str:
    """Format a duration: `1 hour 30 minutes`."""
    rest, parts = Decimal(repr(seconds)), []
    for unit, (length, words) in _UNITS.items():
        count, rest = (rest, Decimal()) if unit == "s" else divmod(rest, length)
        if count:
            parts.append(f"{count.normalize():f} {words.split()[0][: -1 if count == 1 else None]}")
    return " ".join(parts) or "0 seconds"


# --- parse -------------------------------------------------------------------------------------------------------


def seconds(text: str, *, field: str = "seconds") -> float:
    """Parse a duration that a person wrote: `90`, `10m`, `1h30m`, `2d`, `1.5h`, `1 hour 30 minutes`.

    Raises `MalformedRequest`, which lists the accepted forms.
    """
    rest = re.sub(r"\band\b|,(?!\d)", " ", text[:200].casefold()).strip()
    total, smallest = Decimal(), None
    while rest or smallest is None:
        found = _AMOUNT.match(rest)
        length = _length(found[2]) if found else None
        # Each unit once, the larger ones first; a number without a unit must stand alone.
        if found is None or length is None or length >= (smallest or 2 * length) or (smallest and not found[2]):
            raise _no_duration(text, field)
        total, smallest = total + Decimal(found[1]) * length, length
        rest = rest[found.end() :].lstrip()
    if total > MAX_SECONDS:
        raise MalformedRequest(f"{text[:60]!r} is too long. The maximum is 1000 years.", field=field)
    return float(total)


def _length(unit: str) -> int | None:
    for short, (length, words) in _UNITS.items():
        if unit == short or unit in words.split() or f"{unit}s" in words.split():
            return length
    return None if unit else 1


def _no_duration(text: str, field: str) -> MalformedRequest:
    return MalformedRequest(
        f"{text[:60]!r} is not a duration. Write seconds (90), or numbers with units from the largest to the smallest "
        "(2d, 1h30m, 1.5h, 10m, 90s, 1 hour 30 minutes).",
        field=field,
    )


def moment(text: str, zone: ZoneInfo, *, now: datetime, field: str = "at") -> datetime:
    """Parse a moment that a person wrote, in UTC: ISO, `08:30` (the next one), `tomorrow 08:30`, `fri 18:00`.

    Without an offset it is local time in the zone. Raises `MalformedRequest`, which lists the accepted forms.
    """
    written = " ".join(text[:200].split())
    found = _CLOCK.fullmatch(written.casefold())
    try:
        if found is None:
            return resolve(datetime.fromisoformat(written), zone, field=field)
        at = time(int(found[2]), int(found[3]), int(found[4] or 0))
        today = wall(now, zone).date()
        for days in _days_ahead(found[1], today.weekday()):
            moment = resolve(datetime.combine(today + timedelta(days=days), at), zone, field=field)
            if moment > now or found[1] == "today":
                return moment
    except (ValueError, OverflowError):
        pass
    raise MalformedRequest(
        f"{text[:60]!r} is not a time. Write a date and time (2026-11-24T08:30, 2026-11-24 08:30+01:00), a time "
        "(08:30, the next one), or a day and time (today 18:00, tomorrow 08:30, fri 18:00).",
        field=field,
    )


def _days_ahead(word: str | None, weekday: int) -> tuple[int, ...]:
    """Return the days to try, counted from today. Raises `ValueError`."""
    if word is None:
        return (0, 1, 2)
    if word in ("today", "tomorrow"):
        return (int(word == "tomorrow"),)
    matching = [number for number, name in enumerate(WEEKDAYS) if len(word) >= 3 and name.casefold().startswith(word)]
    if not matching:
        raise ValueError(word)
    ahead = (matching[0] - weekday) % 7
    return (ahead, ahead + 7)


def time_of_day(text: str, *, field: str) -> str:
    """Parse a time of day that a person wrote, `8:30` or `08:30:15`, into the form of triggers.

    Raises `MalformedRequest`, which lists the accepted forms.
    """
    found = _TIME_OF_DAY.fullmatch(text[:200].strip())
    try:
        if found:
            at = time(int(found[1]), int(found[2]), int(found[3] or 0))
            return at.isoformat("seconds" if at.second else "minutes")
    except ValueError:
        pass
    raise MalformedRequest(
        f"{text[:60]!r} is not a time of day. Write hours and minutes from 00:00 to 23:59, such as 08:30.", field=field
    )
