"""Counts the times of a trigger within a span and finds its newest ones, without visiting each of them.

An absence of a month holds 2.6 million times of a schedule that runs every second. Intervals are computed;
local times are counted day by day, as every day on which a trigger is due has the same number of times.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cloudo_kernel.models.schedules import Schedule, ScheduleTrigger
from cloudo_kernel.scheduling import triggers

_TICK = timedelta(microseconds=1)
_HALF_DAY = timedelta(hours=12)
_DAY = timedelta(days=1)
_UTC = ZoneInfo("UTC")
#: Days on which a trigger is due are looked up this many at a time.
_DAYS_AT_ONCE = 64


class Run(NamedTuple):
    """Times of a schedule one after another, and the number of the first one."""

    due: datetime
    until: datetime
    number: int
    iteration: int | None


def count(trigger: ScheduleTrigger, zone: ZoneInfo, *, start: datetime, after: datetime, until: datetime) -> int:
    """Return how many times are later than `after` and not later than `until`; `start` as in `due_times`."""
    after = max(after, start - _TICK)
    if until <= after:
        return 0
    if trigger.is_once:
        return int(after < start <= until)
    if (seconds := trigger.every_seconds) is not None:
        return triggers.grid_number(seconds, until - start) - triggers.grid_number(seconds, after - start)
    return sum(number for _, _, number in _days(trigger, zone, after, until))


def newest(
    trigger: ScheduleTrigger, zone: ZoneInfo, *, start: datetime, after: datetime, until: datetime, skip: int = 0
) -> datetime | None:
    """Return the newest time later than `after` and not later than `until`, leaving out `skip` newer ones."""
    after = max(after, start - _TICK)
    if until <= after:
        return None
    if trigger.is_once:
        return start if after < start <= until and not skip else None
    if (seconds := trigger.every_seconds) is not None:
        number = triggers.grid_number(seconds, until - start) - skip
        found = start + triggers.grid_offset(seconds, number) if number >= 0 else after
        return found if found > after else None
    for first, last, number in _days(trigger, zone, after, until):
        if number > skip:
            return list(_between(trigger, zone, first, last))[-1 - skip]
        skip -= number
    return None


def without(schedule: Schedule, run: Run, taken: Collection[datetime]) -> Run | None:
    """Return a run of a schedule's times without some that were started out of turn; None if none is left."""
    trigger, zone, start = schedule.trigger, triggers.zone(schedule.timezone), schedule.start
    inside = {moment for moment in taken if run.due <= moment <= run.until}
    number = run.number - len(inside)
    if number <= 0:
        return None
    passed, due = 0, run.due
    # The trigger may have changed since: then its times are others.
    for moment in triggers.due_times(trigger, zone, start=start, after=run.due):
        if due not in inside or moment > run.until:
            break
        passed, due = passed + 1, moment
    skip, until = 0, run.until
    while until in inside:
        skip += 1
        until = newest(trigger, zone, start=start, after=due - _TICK, until=run.until, skip=skip) or due
    return Run(due, until, number, None if run.iteration is None else run.iteration + passed)


def _days(
    trigger: ScheduleTrigger, zone: ZoneInfo, after: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime, int]]:
    """Yield parts of a span of at most a day each, newest first: after, until, and the number of times in it."""
    earliest = triggers.EARLIEST.replace(tzinfo=None) + _DAY
    first = max(triggers.wall(after, zone).replace(hour=0, minute=0, second=0, microsecond=0), earliest)
    day = triggers.wall(until, zone).replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
    due_days: frozenset[datetime] = frozenset()
    known_from = day
    while day > first:
        day -= _DAY
        if day < known_from:
            known_from = max(first, day - _DAYS_AT_ONCE * _DAY)
            due_days = frozenset(_due_days(trigger, known_from, day))
        begin, end = (triggers.resolve(moment, zone) - _TICK for moment in (day, day + _DAY))
        is_whole = after <= begin and end <= until
        begin, end = max(after, begin), min(until, end)
        if not is_whole or _changes_clocks(zone, day):
            yield begin, end, sum(1 for _ in _between(trigger, zone, begin, end))
        elif day in due_days:
            yield begin, end, _times_a_day(trigger)


def _due_days(trigger: ScheduleTrigger, first: datetime, last: datetime) -> Iterator[datetime]:
    """Yield the days from `first` to `last` on which a trigger is due, were it not for the zone."""
    day = first
    while day <= last:
        due = _next(trigger, day)
        if due is None:
            return
        day = due.replace(hour=0, minute=0, second=0)
        if day <= last:
            yield day
        day += _DAY


@lru_cache(maxsize=1000)
def _times_a_day(trigger: ScheduleTrigger) -> int:
    """Return how many times there are on each day on which a trigger is due."""
    due = _next(trigger, datetime(2000, 1, 1))  # noqa: DTZ001 local
    assert due is not None  # an expression that never comes round is refused
    day = due.replace(hour=0, minute=0, second=0)
    return sum(
        1 for _ in _between(trigger, _UTC, day.replace(tzinfo=UTC) - _TICK, (day + _DAY).replace(tzinfo=UTC) - _TICK)
    )


def _next(trigger: ScheduleTrigger, local: datetime) -> datetime | None:
    """Return the first nominal time from a local time on."""
    moment = local.replace(tzinfo=UTC)
    due = triggers.next_due(trigger, _UTC, start=moment, after=moment - _TICK)
    return None if due is None else due.replace(tzinfo=None)


def _between(trigger: ScheduleTrigger, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    return takewhile(lambda due: due <= until, triggers.due_times(trigger, zone, start=after, after=after))


def _changes_clocks(zone: ZoneInfo, day: datetime) -> bool:
    """Tell whether the offset of a zone changes on a day or the one before, whose skipped times may end in it."""
    moments = (day + number * _HALF_DAY for number in range(-2, 3))
    return len({offset for moment in moments for offset in triggers.offsets(moment, zone)}) > 1
