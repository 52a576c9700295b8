"""Formats times and triggers in words, and parses those that people write.

Always in English, whatever the locale of the process. Callers pass the current time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models.canonical import canonical
from cloudo_kernel.models.schedules import Schedule, ScheduleTrigger
from cloudo_kernel.scheduling.triggers import MAX_SECONDS, offsets, resolve, shown_zone, wall

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
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
#: Maximum number of next times that `coming` lists.
_SAID = 3
_CLOCK = re.compile(r"(?:([a-z]+) (?:at )?)?(\d{1,2}):(\d\d)(?::(\d\d))?", re.ASCII)


# --- format ------------------------------------------------------------------------------------------------------


def spoken(moment: datetime, zone: ZoneInfo, *, now: datetime) -> str:
    """Format a moment in the zone's local time: `Tue 24 Nov 08:30`.

    Adds the year if it is not the current one, seconds if there are any, and the UTC offset if that local time happens
    twice.
    """
    local = wall(moment, zone)
    first, second = offsets(local, zone)
    said = _date(local, year=local.year != wall(now, zone).year) + " " + _clock(local)
    return said + _offset(moment.astimezone(zone)) if first > second else said


def describe(trigger: ScheduleTrigger, zone_name: str) -> str:
    """Describe when a trigger is due: `daily at 08:30`."""
    if trigger.at is not None:
        local = wall(trigger.at, shown_zone(zone_name)) if trigger.at.tzinfo else trigger.at
        return f"once at {_date(local, year=True)} {_clock(local)}"
    if trigger.delay_seconds is not None:
        return f"once, after {_duration(trigger.delay_seconds)}"
    if trigger.every_seconds is not None:
        every = "every " + re.sub(r"^1 (\w+)$", r"\1", _duration(trigger.every_seconds))
        return f"{every}, counted from the end of the last run" if trigger.counts_from_end else f"{every} on the grid"
    if trigger.daily_at is None:
        return f"cron {trigger.cron}"
    return f"daily at {trigger.daily_at[:5] if trigger.daily_at[5:] == ':00' else trigger.daily_at}"


def coming(moments: Sequence[datetime], trigger: ScheduleTrigger, zone_name: str, *, now: datetime) -> str:
    """Describe when a trigger is due next: `next: Tue 24 Nov 08:30, Wed 25 Nov 08:30 … (Europe/Vienna)`.

    If it counts from the end of its runs, only the first time is certain.
    """
    said = [spoken(moment, shown_zone(zone_name), now=now) for moment in moments[:_SAID]]
    if not said:
        return "next: never"
    if trigger.counts_from_end:
        return f"next: {said[0]}, then {describe(trigger, zone_name)} ({zone_name})"
    return f"next: {', '.join(said)}{' …' if len(moments) > _SAID else ''} ({zone_name})"


def standing(schedule: Schedule, *, now: datetime) -> str:
    """Return the state of a schedule: active, running, paused, finished or broken."""
    if not schedule.enabled:
        return "paused"
    is_over = schedule.max_iterations is not None and schedule.iterations >= schedule.max_iterations
    is_over = is_over or (schedule.end_at is not None and schedule.end_at < now)
    if schedule.next_run is None and (is_over or not schedule.trigger.counts_from_end):
        return "finished"
    if schedule.broken is not None:
        return "broken"
    return "running" if schedule.next_run is None else "active"


def notes(trigger: ScheduleTrigger, zone: ZoneInfo, *, now: datetime) -> tuple[str, ...]:
    """Return notes on what is unusual about a trigger, for a person to confirm; empty if all is well."""
    said = []
    if trigger.at is not None and (moment := resolve(trigger.at, zone)) <= now:
        said.append(f"{spoken(moment, zone, now=now)} is in the past: it runs at once.")
    if trigger.every_seconds is not None and trigger.every_seconds < 1:
        said.append(f"An interval of {_duration(trigger.every_seconds)} is below one second.")
    for local in (trigger.at, trigger.start):
        if local is not None and local.tzinfo is None:
            said += _unclear(local, zone)
    return tuple(said)


def _unclear(local: datetime, zone: ZoneInfo) -> list[str]:
    first, second = offsets(local, zone)
    if first == second:
        return []
    meant = resolve(local, zone).astimezone(zone)
    name = f"{_clock(local)} on {_date(local, year=True)}"
    day = "" if meant.date() == local.date() else _date(meant, year=True) + " "
    which = f"{day}{_clock(meant)}{_offset(meant)}, is meant. Give the offset to say which."
    if first > second:
        return [f"{name} happens twice in {zone.key}; the first, {which}"]
    return [f"{name} does not exist in {zone.key}, whose clocks are put forward then; the end of the gap, {which}"]


def _date(local: datetime, *, year: bool) -> str:
    said = f"{_DAYS[local.weekday()][:3]} {local.day} {_MONTHS[local.month - 1]}"
    return f"{said} {local.year}" if year else said


def _clock(local: datetime) -> str:
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def _offset(aware: datetime) -> str:
    return aware.isoformat()[len(aware.replace(tzinfo=None).isoformat()) :]


def _duration(seconds: float) -> str:
    """Format a duration: `1 hour 30 minutes`."""
    rest, said = Decimal(repr(seconds)), []
    for unit, (length, words) in _UNITS.items():
        count, rest = (rest, Decimal()) if unit == "s" else divmod(rest, length)
        if count:
            said.append(f"{count.normalize():f} {words.split()[0][: -1 if count == 1 else None]}")
    return " ".join(said) or "0 seconds"


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
        raise MalformedRequest(f"{text[:60]!r} is too long: at most 1000 years.", field=field)
    return float(total)


def _length(unit: str) -> int | None:
    for short, (length, words) in _UNITS.items():
        if unit == short or unit in words.split() or f"{unit}s" in words.split():
            return length
    return None if unit else 1


def _no_duration(text: str, field: str) -> MalformedRequest:
    return MalformedRequest(
        f"{text[:60]!r} is no duration. Write seconds (90), or numbers with units from the largest to the smallest "
        "(2d, 1h30m, 1.5h, 10m, 90s, 1 hour 30 minutes).",
        field=field,
    )


def moment(text: str, zone: ZoneInfo, *, now: datetime, field: str = "at") -> datetime:
    """Parse a moment that a person wrote, in UTC: ISO, `08:30` (the next one), `tomorrow 08:30`, `fri 18:00`.

    Without an offset it is local time in the zone. Raises `MalformedRequest`, which lists the accepted forms.
    """
    said = " ".join(text[:200].split())
    clock = _CLOCK.fullmatch(said.casefold())
    try:
        if clock is None:
            return resolve(datetime.fromisoformat(said), zone, field=field)
        at = time(int(clock[2]), int(clock[3]), int(clock[4] or 0))
        today = wall(now, zone).date()
        for days in _days_ahead(clock[1], today.weekday()):
            found = resolve(datetime.combine(today + timedelta(days=days), at), zone, field=field)
            if found > now or clock[1] == "today":
                return found
    except (ValueError, OverflowError):
        pass
    raise MalformedRequest(
        f"{text[:60]!r} is no moment. Write a date and time (2026-11-24T08:30, 2026-11-24 08:30+01:00), a time (08:30, "
        "the next one), or a day and time (today 18:00, tomorrow 08:30, fri 18:00).",
        field=field,
    )


def with_offset(text: str, zone: ZoneInfo) -> str:
    """Return a moment in canonical form with an offset. Without an offset, `text` is local time in the zone.

    Raises `MalformedRequest` if it is out of range.
    """
    local = datetime.fromisoformat(text)
    moment = resolve(local, zone).astimezone(zone) if local.tzinfo is None else local
    return str(canonical("date-time", moment.isoformat()))


def _days_ahead(word: str | None, weekday: int) -> tuple[int, ...]:
    """Return the days to try, counted from today. Raises `ValueError`."""
    if word is None:
        return (0, 1, 2)
    if word in ("today", "tomorrow"):
        return (int(word == "tomorrow"),)
    matching = [number for number, name in enumerate(_DAYS) if len(word) >= 3 and name.casefold().startswith(word)]
    if not matching:
        raise ValueError(word)
    ahead = (matching[0] - weekday) % 7
    return (ahead, ahead + 7)


def time_of_day(text: str, *, field: str = "daily_at") -> str:
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
        f"{text[:60]!r} is no time of day. Write hours and minutes from 00:00 to 23:59, such as 08:30.", field=field
    )
