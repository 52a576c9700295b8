"""Time zones by their IANA names, and the moments of their local times. Reads no clock.

Each local time is exactly one moment, whatever the clocks of the zone do: `resolve` has the rule.
"""

from __future__ import annotations

import difflib
import zoneinfo
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from cloudo_kernel.errors import MalformedRequest

#: A few days inside the range of datetime, so that each moment in between exists in every zone.
EARLIEST = datetime(1, 1, 3, tzinfo=UTC)
LATEST = datetime(9999, 12, 29, tzinfo=UTC)
#: The same limits for local times.
LOCAL_RANGE = (EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None))
_SECOND = timedelta(seconds=1)


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
    least, most = LOCAL_RANGE if local.tzinfo is None else (EARLIEST, LATEST)
    if not least <= local <= most:
        raise MalformedRequest(
            f"{local.isoformat()} is out of range: moments lie between {least.date()} and {most.date()}.", field=field
        )
    if local.tzinfo is not None:
        return local.astimezone(UTC)
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
