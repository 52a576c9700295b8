"""The trigger `daily_at`: every day at a local time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from pydantic import BaseModel, Field

from cloudo_kernel.scheduling import humanize
from cloudo_kernel.scheduling.times import TimeOfDay
from cloudo_kernel.scheduling.triggers.local_times import LocalRule
from cloudo_kernel.scheduling.triggers.rule import Option

_DAY = timedelta(days=1)


class DailyFields(BaseModel):
    """The fields of the kind."""

    daily_at: TimeOfDay | None = Field(default=None, description="Every day at this local time, `HH:MM` or `HH:MM:SS`.")


@dataclass(frozen=True)
class Daily(LocalRule):
    """Every day at a local time."""

    at: str

    word = "daily_at"
    options = (Option(("--daily", "daily_at"), "Repeat every day at this time.", "HH:MM"),)

    @classmethod
    def read(cls, text: str, *, moment: Callable[[str], datetime | str]) -> Any:
        """Parse a time of day."""
        return humanize.time_of_day(text, field=cls.word)

    @classmethod
    def from_author(cls, value: Any) -> Any:
        """Accept `8:30` too."""
        return humanize.time_of_day(str(value), field=cls.word)

    def local_times(self, after: datetime) -> Iterator[datetime]:
        """Iterate over the days."""
        nominal = datetime.combine(after.date(), time.fromisoformat(self.at))
        while True:
            if nominal > after:
                yield nominal
            nominal += _DAY

    def describe(self, zone_name: str) -> str:
        """Describe the time of day."""
        return f"daily at {self.at}"
