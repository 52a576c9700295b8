"""The trigger `every_seconds`: at an interval, from the end of the last run or along a grid.

A grid does not drift: its n-th time is computed from its start, to the microsecond.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from cloudo_kernel.scheduling import humanize, zones
from cloudo_kernel.scheduling.times import LocalOrUtcTime
from cloudo_kernel.scheduling.triggers.rule import MIN_SECONDS, Option, Rule, check_range

_TICK = timedelta(microseconds=1)


class IntervalFields(BaseModel):
    """The fields of the kind."""

    every_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    wait: bool | None = Field(
        default=None,
        description="With `every_seconds`: count from the end of the last run (the default), not along the "
        "grid from `start`.",
    )
    start: LocalOrUtcTime | None = Field(
        default=None, description="With `every_seconds`: the first run; default: at once."
    )


@dataclass(frozen=True)
class Interval(Rule):
    """Repeatedly, after an interval."""

    seconds: float
    wait: bool | None
    first: datetime | None

    word = "every_seconds"
    more_words = ("wait", "start")
    options = (
        Option(("--every", "every_seconds"), "Repeat every 90 (seconds), 10m, 1h30m, 2d.", "DURATION"),
        Option(
            ("--wait/--grid",),
            "--every counts from the end of each run (the default), or along a grid that does not drift.",
        ),
        Option(("--start",), "The first run of --every, as for --at; default: at once.", "TIME"),
    )

    @classmethod
    def read(cls, text: str, *, moment: Callable[[str], datetime | str]) -> Any:
        """Parse a duration."""
        return humanize.seconds(text, field=cls.word)

    def check(self, zone: ZoneInfo) -> None:
        """Raise `MalformedRequest` for an interval or a first run out of range."""
        if self.first is not None:
            zones.resolve(self.first, zone, field="trigger.start")
        check_range(self.word, self.seconds, MIN_SECONDS)

    def notes(self, zone: ZoneInfo, *, now: datetime) -> tuple[str, ...]:
        """Return notes on a short interval, and a first run at a local time that occurs twice or not at all."""
        found = []
        if self.seconds < 1:
            found.append(f"An interval of {humanize.duration(self.seconds)} is below one second.")
        return (*found, *(() if self.first is None else humanize.unclear(self.first, zone)))

    def needs_confirmation(self, zone: ZoneInfo, *, now: datetime) -> bool:
        """Tell whether the interval is below one second."""
        return self.seconds < 1

    def start(self, zone: ZoneInfo, *, now: datetime) -> datetime:
        """Return the first run. If it has passed, return the next time of its grid."""
        if self.first is None:
            return now
        first = zones.resolve(self.first, zone)
        return first if first >= now else self.next_due(zone, start=first, after=now) or now

    def stored(self, zone: ZoneInfo) -> Mapping[str, Any]:
        """Return no first run, as it is the schedule's start."""
        return {"start": None}

    @property
    def counts_from_end(self) -> bool:
        """Whether the interval begins when the last run ends."""
        return self.wait is not False

    def after_end(self, ended_at: datetime) -> datetime | None:
        """Return the next time after the end of the last run, None after the year 9999."""
        try:
            return ended_at + timedelta(seconds=self.seconds)
        except OverflowError:
            return None

    @property
    def has_past(self) -> bool:
        """Whether there is a grid."""
        return not self.counts_from_end

    def due_times(self, zone: ZoneInfo, *, start: datetime, after: datetime) -> Iterator[datetime]:
        """Iterate over the grid from the start."""
        after = max(after, max(start, zones.EARLIEST) - _TICK)
        return self.past_times(zone, start=start, after=after)

    def past_times(self, zone: ZoneInfo, *, start: datetime, after: datetime) -> Iterator[datetime]:
        """Iterate over the grid; `start` is one of its times, and it also extends before it."""
        start = start.astimezone(UTC)
        n = _number(self.seconds, after - start) + 1
        room = zones.LATEST - start
        while (offset := _offset(self.seconds, n)) <= room:
            yield start + offset
            n += 1

    def count(self, zone: ZoneInfo, *, start: datetime, after: datetime, until: datetime) -> int:
        """Compute the number of the times of the grid within a span."""
        after = max(after, start - _TICK)
        return _number(self.seconds, until - start) - _number(self.seconds, after - start) if until > after else 0

    def newest(
        self,
        zone: ZoneInfo,
        *,
        start: datetime,
        after: datetime,
        until: datetime,
        skip: int = 0,
    ) -> datetime | None:
        """Compute the newest time of the grid within a span."""
        after = max(after, start - _TICK)
        number = _number(self.seconds, until - start) - skip if until > after else -1
        found = start + _offset(self.seconds, number) if number >= 0 else after
        return found if found > after else None

    def describe(self, zone_name: str) -> str:
        """Describe the interval."""
        every = "every " + re.sub(r"^1 (\w+)$", r"\1", humanize.duration(self.seconds))
        return f"{every}, counted from the end of the last run" if self.counts_from_end else f"{every} on the grid"

    def coming(self, moments: Sequence[datetime], zone_name: str, *, now: datetime) -> str:
        """Describe the next times. If they count from the end of the runs, only the first is certain."""
        if not moments or not self.counts_from_end:
            return super().coming(moments, zone_name, now=now)
        first = humanize.spoken(moments[0], zones.shown_zone(zone_name), now=now)
        return f"next: {first}, then {self.describe(zone_name)} ({zone_name})"


@lru_cache(maxsize=10_000)
def _period(seconds: float) -> tuple[int, int]:
    # From the decimal text: 0.1 is a tenth here, not the nearest binary fraction, so that no grid ever drifts.
    microseconds = Fraction(repr(seconds)) * 1_000_000
    return microseconds.numerator, microseconds.denominator


def _offset(every_seconds: float, n: int) -> timedelta:
    """Return the offset of the n-th time of a grid from its start; the start is number 0."""
    numerator, denominator = _period(every_seconds)
    return timedelta(microseconds=(2 * n * numerator + denominator) // (2 * denominator))


def _number(every_seconds: float, offset: timedelta) -> int:
    """Return the number of the last time of a grid up to `offset` after its start."""
    numerator, denominator = _period(every_seconds)
    n = offset // _TICK * denominator // numerator + 1
    while _offset(every_seconds, n) > offset:
        n -= 1
    return n
