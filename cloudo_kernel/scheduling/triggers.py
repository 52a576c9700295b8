"""Computes when a trigger is due: time zones, local times, grids and cron. Reads no clock.

Due times are exact: a grid is computed from its start, and each local time occurs once, whatever the clocks do.
`humanize` formats and parses times; the scheduler decides the outcome of a due time.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import zoneinfo
from bisect import bisect_left
from collections.abc import Iterator
from copy import copy
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models.base import rfc3339, to_utc
from cloudo_kernel.models.schedules import ScheduleTrigger

#: A few days inside the range of datetime, so that each moment in between exists in every zone.
EARLIEST = datetime(1, 1, 3, tzinfo=UTC)
LATEST = datetime(9999, 12, 29, tzinfo=UTC)
_LOCAL_RANGE = (EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None))
#: Limits of an interval; the maximum also limits a delay.
MIN_SECONDS = 0.001
MAX_SECONDS = 1_000 * 365.25 * 86_400
_TICK = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)

_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_SINGLE_RANGE = re.compile(r"(\w+)-(\w+)/0*[1-9]\d*(?=[,\s]|$)", re.ASCII)
#: The fields of a cron expression in order, and their valid values besides lists, ranges and steps.
_CRON_FIELDS = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day of the month": "1 to 31, L for the last day, LW for the last working day",
    "month": "1 to 12 or jan to dec",
    "day of the week": "0 to 7 (0 and 7 are Sunday) or sun to sat, 5L for the last Friday, 5#2 for the second one",
}


# --- zones -------------------------------------------------------------------------------------------------------


def zone(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name. Raises `MalformedRequest`, which suggests similar names."""
    if not is_zone(name):
        hint = " or ".join(_similar_zones(name)) or "an IANA name such as Europe/Vienna"
        raise MalformedRequest(f"There is no time zone {name[:60]!r}. Did you mean {hint}?", field="timezone")
    return _zone(name)


def is_zone(name: str) -> bool:
    """Tell whether this machine knows a time zone of that name."""
    return name in _zone_names()


def shown_zone(name: str) -> ZoneInfo:
    """Return the zone to show times in: UTC in place of one that only another machine knows."""
    return _zone(name if is_zone(name) else "UTC")


@cache
def _zone(name: str) -> ZoneInfo:
    # zoneinfo itself caches only the last eight, and rereads the others from disk.
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    # Accepting only these names keeps paths, folders and the leap-second copies below right/ from being opened.
    # The two left out are files of the system's database: this machine's zone, and the zone of a new machine.
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def _similar_zones(name: str) -> list[str]:
    folded = {known.casefold(): known for known in sorted(_zone_names())}
    wanted = name.strip()[:60].casefold().replace(" ", "_")
    if wanted in folded:
        return [folded[wanted]]
    cities = [known for key, known in folded.items() if wanted and key.rpartition("/")[2] == wanted]
    return cities[:3] or [folded[key] for key in difflib.get_close_matches(wanted, folded)]


def local_zone_name() -> str:
    """Return the IANA name of this machine's zone, `TZ` included; `UTC` if it has none."""
    import tzlocal

    try:
        name = tzlocal.get_localzone_name()
    except zoneinfo.ZoneInfoNotFoundError:  # its files contradict each other
        return "UTC"
    return name if name in _zone_names() and name not in {"Etc/UTC", "Etc/UCT", "Zulu"} else "UTC"


# --- local times -------------------------------------------------------------------------------------------------


def resolve(local: datetime, zone: ZoneInfo, *, field: str | None = None) -> datetime:
    """Return a local time as a moment in UTC.

    A time that the zone skips becomes the end of the gap, and a repeated time its first occurrence. In short, it is
    the first moment at which the zone's clocks show `local` or later. An aware `local` is a moment already.
    Raises `MalformedRequest` too near to the years 1 and 9999.
    """
    least, most = _LOCAL_RANGE if local.tzinfo is None else (EARLIEST, LATEST)
    if not least <= local <= most:
        raise MalformedRequest(
            f"{local.isoformat()} is out of range: moments lie between {least.date()} and {most.date()}.", field=field
        )
    if local.tzinfo is not None:
        return to_utc(local)
    first, second = offsets(local, zone)
    if first >= second:
        return (local - first).replace(tzinfo=UTC)
    return _end_of_gap(local.replace(microsecond=0), zone, first, second)


def offsets(local: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    """Return both UTC offsets that a local time may have (PEP 495).

    They are equal for an ordinary time. The second is smaller for a time that happens twice, and greater for a time
    that the zone skips.
    """
    first, second = zone.utcoffset(local.replace(fold=0)), zone.utcoffset(local.replace(fold=1))
    assert first is not None  # a zone has an offset for every date
    assert second is not None
    return first, second


def _end_of_gap(local: datetime, zone: ZoneInfo, before: timedelta, after: timedelta) -> datetime:
    # The clocks change somewhere between the moments of both offsets; zoneinfo does not say where.
    earliest = (local - after).replace(tzinfo=UTC)
    seconds = range(1 + (after - before) // _SECOND)
    return earliest + bisect_left(seconds, True, key=lambda n: wall(earliest + n * _SECOND, zone) >= local) * _SECOND


def wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the naive local time that the zone's clocks show at a moment."""
    return moment.astimezone(zone).replace(tzinfo=None)


# --- validation --------------------------------------------------------------------------------------------------


def checked(trigger: ScheduleTrigger, zone: ZoneInfo) -> None:
    """Raise `MalformedRequest`, with the field, for a trigger that is never due, or only out of range."""
    for name in ("at", "start"):
        if getattr(trigger, name) is not None:
            resolve(getattr(trigger, name), zone, field=f"trigger.{name}")
    for name, least in (("every_seconds", MIN_SECONDS), ("delay_seconds", 0)):
        seconds = getattr(trigger, name)
        if seconds is not None and not least <= seconds <= MAX_SECONDS:
            fits = f"from {least} to {MAX_SECONDS:.0f} seconds (1000 years)"
            raise MalformedRequest(f"{name} takes {fits}, not {seconds:g}.", field=f"trigger.{name}")
    # Combinations of weekdays and leap years recur within the 50 years that cronsim looks ahead.
    if trigger.cron is not None and next(_cron_times(trigger.cron, datetime(2000, 1, 1)), None) is None:  # noqa: DTZ001 local
        raise _never_fires(trigger.cron)


def _without_step(found: re.Match[str]) -> str:
    # cronsim reads 5-5/2 like 5/2, which is 5, 7, 9 and so on. Debian's cron reads it as 5 alone.
    return found[1] if found[1].lstrip("0").casefold() == found[2].lstrip("0").casefold() else found[0]


def _never_fires(cron: str) -> MalformedRequest:
    return MalformedRequest(
        f"cron {cron!r} never comes round: there is no such day in these months.", field="trigger.cron"
    )


@lru_cache(maxsize=10_000)
def _parsed(cron: str) -> CronSim:
    """Return the cached parsed expression; copy it before advancing it. Raises `MalformedRequest`."""
    fields = _SINGLE_RANGE.sub(_without_step, _MACROS.get(cron.strip().casefold(), cron)).split()
    shown = f"cron {cron[:200]!r}"
    if fields and fields[0].startswith("@"):
        known = ", ".join(_MACROS)
        raise MalformedRequest(f"{shown} is not known; {known} are, and five fields.", field="trigger.cron")
    if len(fields) != len(_CRON_FIELDS):
        order = ", ".join(_CRON_FIELDS)
        raise MalformedRequest(
            f"{shown} takes five fields ({order}), not {len(fields)}; there is none for seconds or years.",
            field="trigger.cron",
        )
    for place, (name, fits) in enumerate(_CRON_FIELDS.items()):
        alone = ["*"] * len(fields)
        alone[place] = fields[place]
        try:
            CronSim(" ".join(alone), datetime(2000, 1, 1))  # noqa: DTZ001 local
        except (CronSimError, AssertionError, ValueError):
            raise MalformedRequest(
                f"{shown}: the {name} {fields[place]!r} does not fit. It takes {fits}; "
                "or *, lists (1,15), ranges from low to high (1-5) and steps (*/2).",
                field="trigger.cron",
            ) from None
    try:
        return CronSim(" ".join(fields), datetime(2000, 1, 1))  # noqa: DTZ001 local
    except CronSimError:  # each field is valid, but their combination is not
        raise _never_fires(cron) from None


# --- due times ---------------------------------------------------------------------------------------------------


def due_times(trigger: ScheduleTrigger, zone: ZoneInfo, *, start: datetime, after: datetime) -> Iterator[datetime]:
    """Iterate over the due times after `after`, in UTC: increasing, each once, up to the year 9999.

    `start` is the schedule's start: the due time of a one-time trigger, the beginning of a grid, and the earliest time
    of the others. An interval that counts from the end of the last run yields its grid here too; the scheduler applies
    the end of a run. It jumps straight to `after`, however far away that is.
    """
    if trigger.is_once:
        return iter([to_utc(start)] if start > after else [])
    after = max(after, max(start, EARLIEST) - _TICK)
    if trigger.every_seconds is not None:
        return grid_times(trigger.every_seconds, start=to_utc(start), after=after)
    return _local_times(trigger, zone, after)


def next_due(trigger: ScheduleTrigger, zone: ZoneInfo, *, start: datetime, after: datetime) -> datetime | None:
    """Return the first due time after `after`, or None without one."""
    return next(due_times(trigger, zone, start=start, after=after), None)


@lru_cache(maxsize=10_000)
def _period(seconds: float) -> tuple[int, int]:
    # From the decimal text: 0.1 is a tenth here, not the nearest binary fraction, so that no grid ever drifts.
    microseconds = Fraction(repr(seconds)) * 1_000_000
    return microseconds.numerator, microseconds.denominator


def grid_times(every_seconds: float, *, start: datetime, after: datetime) -> Iterator[datetime]:
    """Iterate over the times of a grid after `after`; `start` is one of them, and the grid also extends before it."""
    n = grid_number(every_seconds, after - start) + 1
    room = LATEST - start
    while (offset := grid_offset(every_seconds, n)) <= room:
        yield start + offset
        n += 1


def grid_offset(every_seconds: float, n: int) -> timedelta:
    """Return the offset of the n-th time of a grid from its start; the start is number 0."""
    numerator, denominator = _period(every_seconds)
    return timedelta(microseconds=(2 * n * numerator + denominator) // (2 * denominator))


def grid_number(every_seconds: float, offset: timedelta) -> int:
    """Return the number of the last time of a grid up to `offset` after its start."""
    numerator, denominator = _period(every_seconds)
    n = offset // _TICK * denominator // numerator + 1
    while grid_offset(every_seconds, n) > offset:
        n -= 1
    return n


def _local_times(trigger: ScheduleTrigger, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    kind = (trigger.cron, trigger.daily_at or "", zone)
    first = _first_local_time(*kind, after)
    if first is not None:
        yield first
        yield from _all_local_times(*kind, first)


@lru_cache(maxsize=4096)
def _first_local_time(cron: str | None, daily_at: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    # Cached: thousands of schedules may be due at nine, and each needs the next time.
    return next(_all_local_times(cron, daily_at, zone, after), None)


def _all_local_times(cron: str | None, daily_at: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    if after >= LATEST:
        return
    # Starting at the local time of `after` loses no later due time: each due time is the first moment at which the
    # clocks show its local time, so that is later, too. Due times that repeat are dropped by comparison.
    local = max(wall(after, zone), _LOCAL_RANGE[0])
    for nominal in _cron_times(cron, local) if cron else _daily_times(daily_at, local):
        if nominal >= _LOCAL_RANGE[1]:
            return
        due = resolve(nominal, zone)
        if due > after:
            yield due
            after = due


def _daily_times(daily_at: str, after: datetime) -> Iterator[datetime]:
    nominal = datetime.combine(after.date(), time.fromisoformat(daily_at))
    while True:
        if nominal > after:
            yield nominal
        nominal += _DAY


def _cron_times(cron: str, after: datetime) -> Iterator[datetime]:
    times = copy(_parsed(cron))
    times.dt = after.replace(microsecond=0)
    try:
        yield from times
    except OverflowError:  # the end of the year 9999
        return


# --- jitter ------------------------------------------------------------------------------------------------------


def jitter(schedule_id: str, due: datetime, seconds: float) -> timedelta:
    """Return the delay of one occurrence: up to `seconds`, always the same for the same occurrence."""
    digest = hashlib.blake2b(f"{schedule_id} {rfc3339(due)}".encode(), digest_size=8).digest()
    return timedelta(seconds=seconds * (int.from_bytes(digest, "big") / 2**64))
