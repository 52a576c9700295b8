"""The trigger `at`: once, at a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from cloudo_kernel.scheduling import humanize, zones
from cloudo_kernel.scheduling.times import LocalOrUtcTime
from cloudo_kernel.scheduling.triggers.rule import OnceRule, Option


class AtFields(BaseModel):
    """The fields of the kind."""

    at: LocalOrUtcTime | None = Field(default=None, description="Once, at this moment.")


@dataclass(frozen=True)
class At(OnceRule):
    """Once, at a moment. One that has passed is due at once."""

    at: datetime

    word = "at"
    shows_local_time = True
    options = (Option(("--at",), "Run once at: '2026-11-24 08:30', 08:30, 'tomorrow 08:30', 'fri 18:00'.", "TIME"),)

    @classmethod
    def read(cls, text: str, *, moment: Callable[[str], datetime | str]) -> Any:
        """Parse a moment."""
        return moment(text)

    def check(self, zone: ZoneInfo) -> None:
        """Raise `MalformedRequest` for a moment out of range."""
        zones.resolve(self.at, zone, field="trigger.at")

    def notes(self, zone: ZoneInfo, *, now: datetime) -> tuple[str, ...]:
        """Return notes on a moment in the past, or a local time that occurs twice or not at all."""
        moment, found = zones.resolve(self.at, zone), []
        if moment <= now:
            found.append(f"{humanize.spoken(moment, zone, now=now)} is in the past: it runs at once.")
        return (*found, *humanize.unclear(self.at, zone))

    def needs_confirmation(self, zone: ZoneInfo, *, now: datetime) -> bool:
        """Tell whether the moment has passed."""
        return zones.resolve(self.at, zone) < now

    def start(self, zone: ZoneInfo, *, now: datetime) -> datetime:
        """Return the moment, or now if it has passed."""
        return max(now, zones.resolve(self.at, zone))

    def stored(self, zone: ZoneInfo) -> Mapping[str, Any]:
        """Return the moment in UTC."""
        return {"at": zones.resolve(self.at, zone)}

    def describe(self, zone_name: str) -> str:
        """Describe the moment in the zone."""
        local = zones.wall(self.at, zones.shown_zone(zone_name)) if self.at.tzinfo else self.at
        return f"once at {humanize.date(local, has_year=True)} {humanize.clock(local)}"
