"""The trigger `delay_seconds`: once, after a delay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from cloudo_kernel.scheduling import humanize
from cloudo_kernel.scheduling.triggers.rule import OnceRule, Option, check_range


class DelayFields(BaseModel):
    """The fields of the kind."""

    delay_seconds: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="Once, this many seconds after the schedule is created."
    )


@dataclass(frozen=True)
class Delay(OnceRule):
    """Once, after a delay from the creation of the schedule."""

    seconds: float

    word = "delay_seconds"
    options = (Option(("--in", "delay_seconds"), "Run once after a delay: 90 (seconds), 10m, 1h30m, 2d.", "DURATION"),)

    @classmethod
    def read(cls, text: str, *, moment: Callable[[str], datetime | str]) -> Any:
        """Parse a duration."""
        return humanize.seconds(text, field=cls.word)

    def check(self, zone: ZoneInfo) -> None:
        """Raise `MalformedRequest` for a delay out of range."""
        check_range(self.word, self.seconds, 0)

    def start(self, zone: ZoneInfo, *, now: datetime) -> datetime:
        """Return the end of the delay."""
        return now + timedelta(seconds=self.seconds)

    def describe(self, zone_name: str) -> str:
        """Describe the delay."""
        return f"once, after {humanize.duration(self.seconds)}"
