"""Counts the due times of a trigger within a span and finds the newest ones, without visiting each of them.

An absence of a month holds 2.6 million due times of a schedule that runs every second. Intervals are computed. Local
times are counted day by day, as every day on which a trigger is due has the same number of due times.
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
    """Consecutive due times of a schedule; `iteration` is the number of the first one."""

    due: datetime
    until: datetime
    number: int
    iteration: int | None


def count(trigger: ScheduleTrigger, zone: ZoneInfo, *, start: datetime, after: datetime, until: datetime) -> int:
    """Return how many due times are after `after` and not after `until`; `start` is as in `due_times`."""
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
    """Return the newest due time after `after` and not after `until`, without the `skip` newest ones."""
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
    """Return a run without the due times in `taken`, which were started out of turn; None if nothing is left."""
    trigger, zone, start = schedule.trigger, triggers.zone(schedule.timezone), schedule.start
    inside = {moment for moment in taken if run.due <= moment <= run.until}
    number = run.number - len(inside)
    if number <= 0:
        return None
    passed, due = 0, run.due
    # The trigger may have changed since, and its due times with it.
    for moment in triggers.due_times(trigger, zone, start=start, after=run.due):
        if due not in inside or moment > run.until:
            break
        passed, due = passed + 1, moment
    skip, until = 0, run.until
    while until in inside:
        skip += 1
        found = newest(trigger, zone, start=start, after=due - _TICK, until=run.until, skip=skip)
        if found is None:  # all that today's trigger has here are taken; the others were another trigger's
            until = run.until
            break
        until = found
    return Run(due, until, number, None if run.iteration is None else run.iteration + passed)


def _days(
    trigger: ScheduleTrigger, zone: ZoneInfo, after: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime, int]]:
    """Yield parts of a span, each up to a day long, newest first: after, until, and the number of due times."""
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
    """Yield the days from `first` to `last` on which a trigger is due, regardless of the zone."""
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
    """Return the number of due times on each day on which a trigger is due."""
    due = _next(trigger, datetime(2000, 1, 1))  # noqa: DTZ001 local
    assert due is not None  # an expression that is never due is rejected
    day = due.replace(hour=0, minute=0, second=0)
    return sum(
        1 for _ in _between(trigger, _UTC, day.replace(tzinfo=UTC) - _TICK, (day + _DAY).replace(tzinfo=UTC) - _TICK)
    )


def _next(trigger: ScheduleTrigger, local: datetime) -> datetime | None:
    """Return the first nominal time at or after a local time."""
    moment = local.replace(tzinfo=UTC)
    due = triggers.next_due(trigger, _UTC, start=moment, after=moment - _TICK)
    return None if due is None else due.replace(tzinfo=None)


def _between(trigger: ScheduleTrigger, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    return takewhile(lambda due: due <= until, triggers.due_times(trigger, zone, start=after, after=after))


def _changes_clocks(zone: ZoneInfo, day: datetime) -> bool:
    """Tell whether a zone's offset changes on a day or the day before, whose skipped times may end on it."""
    moments = (day + number * _HALF_DAY for number in range(-2, 3))
    return len({offset for moment in moments for offset in triggers.offsets(moment, zone)}) > 1
