"""What the kinds have in common that are due at local times: days, zones and counting.

A kind yields its nominal local times. Each is due exactly once, at the first moment at which the clocks of the zone
show it or a later time. Times of a span are counted day by day: a trigger has the same number of times on each of its
days.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo

from cloudo_kernel.scheduling import zones
from cloudo_kernel.scheduling.triggers.rule import Rule

_TICK = timedelta(microseconds=1)
_HALF_DAY = timedelta(hours=12)
_DAY = timedelta(days=1)
#: Days on which a trigger is due are looked up this many at a time.
_DAYS_AT_ONCE = 64


class LocalRule(Rule):
    """A trigger that is due at local times. Instances are hashable."""

    is_local = shows_local_time = True

    @abstractmethod
    def local_times(self, after: datetime) -> Iterator[datetime]:
        """Iterate over the nominal local times after a local time, in order. It may end with the year 9999."""

    def due_times(self, zone: ZoneInfo, *, start: datetime, after: datetime) -> Iterator[datetime]:
        """Iterate over the due times from the start on."""
        after = max(after, max(start, zones.EARLIEST) - _TICK)
        first = _first_due(self, zone, after)
        if first is not None:
            yield first
            yield from _all_due(self, zone, first)

    def count(self, zone: ZoneInfo, *, start: datetime, after: datetime, until: datetime) -> int:
        """Count the due times of a span day by day."""
        after = max(after, start - _TICK)
        return sum(number for _, _, number in self._days(zone, after, until)) if until > after else 0

    def newest(
        self, zone: ZoneInfo, *, start: datetime, after: datetime, until: datetime, skip: int = 0
    ) -> datetime | None:
        """Find the newest due time of a span day by day."""
        after = max(after, start - _TICK)
        if until <= after:
            return None
        for first, last, number in self._days(zone, after, until):
            if number > skip:
                return list(self._between(zone, first, last))[-1 - skip]
            skip -= number
        return None

    def _days(self, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[tuple[datetime, datetime, int]]:
        """Yield parts of a span, each up to a day long, newest first: after, until, and the number of due times."""
        earliest = zones.LOCAL_RANGE[0] + _DAY
        first = max(_midnight(zones.wall(after, zone)), earliest)
        day = _midnight(zones.wall(until, zone)) + _DAY
        due_days: frozenset[datetime] = frozenset()
        known_from = day
        while day > first:
            day -= _DAY
            if day < known_from:
                known_from = max(first, day - _DAYS_AT_ONCE * _DAY)
                due_days = frozenset(self._due_days(known_from, day))
            begin, end = (zones.resolve(moment, zone) - _TICK for moment in (day, day + _DAY))
            is_whole = after <= begin and end <= until
            begin, end = max(after, begin), min(until, end)
            if not is_whole or _changes_clocks(zone, day):
                yield begin, end, sum(1 for _ in self._between(zone, begin, end))
            elif day in due_days:
                yield begin, end, _times_a_day(self)

    def _due_days(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """Yield the days from `first` to `last` on which the trigger is due, regardless of the zone."""
        day = first
        while (due := next(self.local_times(day - _TICK), None)) is not None and due < last + _DAY:
            day = _midnight(due)
            yield day
            day += _DAY

    def _between(self, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
        return takewhile(lambda due: due <= until, self.due_times(zone, start=after, after=after))


@lru_cache(maxsize=4096)
def _first_due(rule: LocalRule, zone: ZoneInfo, after: datetime) -> datetime | None:
    # Cached: thousands of schedules may be due at nine, and each needs the next time.
    return next(_all_due(rule, zone, after), None)


def _all_due(rule: LocalRule, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    if after >= zones.LATEST:
        return
    # Starting at the local time of `after` loses no later due time: each due time is the first moment at which the
    # clocks show its local time, so that is later, too. Due times that repeat are dropped by comparison.
    local = max(zones.wall(after, zone), zones.LOCAL_RANGE[0])
    for nominal in rule.local_times(local):
        if nominal >= zones.LOCAL_RANGE[1]:
            return
        due = zones.resolve(nominal, zone)
        if due > after:
            yield due
            after = due


@lru_cache(maxsize=1000)
def _times_a_day(rule: LocalRule) -> int:
    """Return the number of due times on each day on which a trigger is due."""
    first = next(rule.local_times(datetime(2000, 1, 1)))  # noqa: DTZ001 local
    day = _midnight(first)
    return sum(1 for _ in takewhile(lambda due: due < day + _DAY, rule.local_times(day - _TICK)))


def _midnight(local: datetime) -> datetime:
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def _changes_clocks(zone: ZoneInfo, day: datetime) -> bool:
    """Tell whether a zone's offset changes on a day or the day before, whose skipped times may end on it."""
    moments = (day + number * _HALF_DAY for number in range(-2, 3))
    return len({offset for moment in moments for offset in zones.offsets(moment, zone)}) > 1
