"""What every kind of trigger provides. A new kind is a file with a subclass of `Rule`, and two lines in `__init__`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.scheduling import humanize, zones

#: Limits of an interval; the maximum also limits a delay.
MIN_SECONDS = 0.001
MAX_SECONDS = humanize.MAX_SECONDS
#: Maximum number of next times in words.
_MAX_NEXT_TIMES = 3


class Option(NamedTuple):
    """An option of the command line. Its parameter is named like the field that it fills."""

    #: As click takes them, such as `("--in", "delay_seconds")`.
    names: tuple[str, ...]
    help: str
    #: None for a flag.
    metavar: str | None = None


class Rule(ABC):
    """The times of one trigger. A subclass is a kind of trigger; its instances hold the values of the fields."""

    #: The field whose presence in a trigger chooses this kind.
    word: ClassVar[str]
    #: Further fields that only go with this kind.
    more_words: ClassVar[tuple[str, ...]] = ()
    #: The options of the command line for `word` and `more_words`, in that order.
    options: ClassVar[tuple[Option, ...]]
    #: Whether there is one occurrence only.
    is_once: ClassVar[bool] = False
    #: Whether `describe` shows local times.
    shows_local_time: ClassVar[bool] = False
    #: Whether the times depend on the zone alone, and also exist before the schedule's start.
    is_local: ClassVar[bool] = False

    @classmethod
    def of(cls, trigger: BaseModel) -> Self:
        """Return the rule of a trigger of this kind."""
        return cls(*(getattr(trigger, word) for word in (cls.word, *cls.more_words)))

    # --- reading what people write ---

    @classmethod
    @abstractmethod
    def read(cls, text: str, *, moment: Callable[[str], datetime | str]) -> Any:
        """Parse the value of `word` from the command line or a magic. Raises `MalformedRequest`.

        `moment` parses a moment in the zone of the schedule.
        """

    @classmethod
    def from_author(cls, value: Any) -> Any:
        """Return the value of `word` for a flow author's value. Raises `MalformedRequest`.

        The value is JSON already: periods are seconds, times and moments ISO 8601 text.
        """
        return value

    # --- before it is saved ---

    def check(self, zone: ZoneInfo) -> None:  # noqa: B027 -- most kinds have nothing to check
        """Raise `MalformedRequest`, with the field, for a trigger that is never due, or only out of range."""

    def notes(self, zone: ZoneInfo, *, now: datetime) -> tuple[str, ...]:
        """Return notes on what is unusual about the trigger, for a person to confirm; empty if all is well."""
        return ()

    def needs_confirmation(self, zone: ZoneInfo, *, now: datetime) -> bool:
        """Tell whether a request needs `confirmed` to save the trigger."""
        return False

    def start(self, zone: ZoneInfo, *, now: datetime) -> datetime:
        """Return the start of a schedule that is saved now."""
        return now

    def stored(self, zone: ZoneInfo) -> Mapping[str, Any]:
        """Return the fields that differ in a stored trigger, whose start is a field of the schedule."""
        return {}

    # --- times ---

    @property
    def counts_from_end(self) -> bool:
        """Whether the next time is counted from the end of the last run."""
        return False

    def after_end(self, ended_at: datetime) -> datetime | None:
        """Return the next time after the end of the last run, if the trigger counts from it."""
        return None

    @property
    def has_past(self) -> bool:
        """Whether the trigger has past times, which `past_times` returns."""
        return self.is_local

    @abstractmethod
    def due_times(self, zone: ZoneInfo, *, start: datetime, after: datetime) -> Iterator[datetime]:
        """Iterate over the due times after `after`, in UTC: increasing, each once, up to the year 9999.

        `start` is the schedule's start: the due time of a trigger that runs once, the beginning of a grid, and the
        earliest time of the others. An interval that counts from the end of the last run yields its grid here too; the
        scheduler applies the end of a run. It jumps straight to `after`, however far away that is.
        """

    def next_due(self, zone: ZoneInfo, *, start: datetime, after: datetime) -> datetime | None:
        """Return the first due time after `after`, or None without one."""
        return next(self.due_times(zone, start=start, after=after), None)

    def past_times(self, zone: ZoneInfo, *, start: datetime, after: datetime) -> Iterator[datetime]:
        """Iterate over the times after `after`, also those before the schedule's start. Requires `has_past`."""
        return self.due_times(zone, start=after, after=after)

    @abstractmethod
    def count(self, zone: ZoneInfo, *, start: datetime, after: datetime, until: datetime) -> int:
        """Return how many due times are after `after` and not after `until`, without visiting each of them.

        An absence of a month holds 2.6 million due times of a schedule that runs every second.
        """

    @abstractmethod
    def newest(
        self, zone: ZoneInfo, *, start: datetime, after: datetime, until: datetime, skip: int = 0
    ) -> datetime | None:
        """Return the newest due time after `after` and not after `until`, without the `skip` newest ones."""

    # --- in words ---

    @abstractmethod
    def describe(self, zone_name: str) -> str:
        """Describe when the trigger is due: `daily at 08:30`."""

    def coming(self, moments: Sequence[datetime], zone_name: str, *, now: datetime) -> str:
        """Describe the next times: `next: Tue 24 Nov 08:30, Wed 25 Nov 08:30 … (Europe/Vienna)`."""
        if not moments:
            return "next: never"
        zone = zones.shown_zone(zone_name)
        times = ", ".join(humanize.spoken(moment, zone, now=now) for moment in moments[:_MAX_NEXT_TIMES])
        return f"next: {times}{' …' if len(moments) > _MAX_NEXT_TIMES else ''} ({zone_name})"


class OnceRule(Rule):
    """A trigger with one occurrence, at the start of its schedule."""

    is_once = True

    def due_times(self, zone: ZoneInfo, *, start: datetime, after: datetime) -> Iterator[datetime]:
        """Yield the start."""
        if start > after:
            yield start.astimezone(UTC)

    def count(self, zone: ZoneInfo, *, start: datetime, after: datetime, until: datetime) -> int:
        """Return 1 if the start is within the span."""
        return int(after < start <= until)

    def newest(
        self, zone: ZoneInfo, *, start: datetime, after: datetime, until: datetime, skip: int = 0
    ) -> datetime | None:
        """Return the start if it is within the span."""
        return start if after < start <= until and not skip else None


def check_range(word: str, seconds: float, minimum: float) -> None:
    """Raise `MalformedRequest` for seconds outside of the limits of a field."""
    if not minimum <= seconds <= MAX_SECONDS:
        limits = f"from {minimum} to {MAX_SECONDS:.0f} seconds (1000 years)"
        raise MalformedRequest(f"{word} takes {limits}, not {seconds:g}.", field=f"trigger.{word}")
