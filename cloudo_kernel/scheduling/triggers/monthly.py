"""The trigger `monthly`: each month on a day, at a local time. A month without that day runs on its last day."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, datetime, time
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from cloudo_kernel.scheduling import humanize
from cloudo_kernel.scheduling.times import TimeOfDay
from cloudo_kernel.scheduling.triggers.local_times import LocalRule
from cloudo_kernel.scheduling.triggers.rule import Option

_LAST: Final = "last"
_ORDINALS: Final = ("first", "second", "third", "fourth", _LAST)
_WEEKDAYS: Final = tuple(name.lower() for name in humanize.WEEKDAYS)
_MAX_DAY: Final = 31
#: Every month has at least this many days.
_MIN_DAYS: Final = 28


def _day(value: object) -> int | str:
    """Return a day in canonical form: a number, `last`, or an ordinal and a weekday in lower case."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MAX_DAY:
        return value
    words = value.casefold().split() if isinstance(value, str) else []
    if words == [_LAST] or (len(words) == 2 and words[0] in _ORDINALS and words[1] in _WEEKDAYS):
        return " ".join(words)
    raise ValueError(
        f'it is a number from 1 to {_MAX_DAY}, "last", or {", ".join(_ORDINALS[:-1])} or last with a weekday, '
        f'such as "first monday", not {value!r:.40}'
    )


Day = Annotated[
    int | str,
    PlainValidator(_day),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": _MAX_DAY},
                {"type": "string", "pattern": f"^({_LAST}|({'|'.join(_ORDINALS)}) ({'|'.join(_WEEKDAYS)}))$"},
            ]
        }
    ),
]


class MonthlyTime(BaseModel):
    """A day of each month, and a local time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: Day = Field(
        description="1 to 31, `last`, or such as `first monday` and `last friday`. A month without that day "
        "runs on its last day."
    )
    at: TimeOfDay = Field(description="`HH:MM` or `HH:MM:SS`.")


class MonthlyFields(BaseModel):
    """The fields of the kind."""

    monthly: MonthlyTime | None = Field(default=None, description="Each month on this day, at this local time.")


@dataclass(frozen=True)
class Monthly(LocalRule):
    """Each month on a day, at a local time."""

    when: MonthlyTime

    word = "monthly"
    options = (
        Option(
            ("--monthly",),
            "Repeat every month: '15 08:30', 'last 08:30', 'first monday 08:30'. '31 08:30' runs on the last day of "
            "shorter months.",
            "'DAY HH:MM'",
        ),
    )

    @classmethod
    def read(cls, text: str, *, moment: Callable[[str], datetime | str]) -> Any:
        """Parse a day and a time of day, such as `31 08:30`."""
        day, _, at = text.strip().rpartition(" ")
        return {
            "day": int(day) if day.isascii() and day.isdecimal() else day,
            "at": humanize.time_of_day(at, field=f"{cls.word}.at"),
        }

    @classmethod
    def from_author(cls, value: Any) -> Any:
        """Accept `31 08:30` too."""
        return cls.read(value, moment=str) if isinstance(value, str) else value

    def local_times(self, after: datetime) -> Iterator[datetime]:
        """Iterate over the months."""
        at, year, month = time.fromisoformat(self.when.at), after.year, after.month
        while year <= MAXYEAR:
            nominal = datetime.combine(datetime(year, month, self._day_of(year, month)), at)  # noqa: DTZ001 local
            if nominal > after:
                yield nominal
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)

    def _day_of(self, year: int, month: int) -> int:
        """Return the day of a month on which it is due."""
        first_weekday, days = monthrange(year, month)
        if isinstance(self.when.day, int):
            return min(self.when.day, days)
        ordinal, _, weekday = self.when.day.partition(" ")
        if not weekday:
            return days
        first = 1 + (_WEEKDAYS.index(weekday) - first_weekday) % 7
        if ordinal == _LAST:
            return first + (days - first) // 7 * 7
        return first + 7 * _ORDINALS.index(ordinal)

    def describe(self, zone_name: str) -> str:
        """Describe the day, and what happens in shorter months."""
        day = self.when.day
        if isinstance(day, int):
            shorter = ", or the last day of shorter months," if day > _MIN_DAYS else ""
            return f"monthly on the {_ordinal(day)}{shorter} at {self.when.at}"
        ordinal, _, weekday = day.partition(" ")
        return f"monthly on the {ordinal} {weekday.capitalize() or 'day'} at {self.when.at}"


def _ordinal(number: int) -> str:
    ending = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
