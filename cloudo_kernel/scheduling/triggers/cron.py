"""The trigger `cron`: at the local times of a cron expression, as Debian's cron reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.scheduling.triggers.local_times import LocalRule
from cloudo_kernel.scheduling.triggers.rule import Option

if TYPE_CHECKING:
    from cronsim import CronSim

_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_SINGLE_RANGE = re.compile(r"(\w+)-(\w+)/0*[1-9]\d*(?=[,\s]|$)", re.ASCII)
#: The parts of an expression in order, and their valid values besides lists, ranges and steps.
_PARTS = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day of the month": "1 to 31, L for the last day, LW for the last working day",
    "month": "1 to 12 or jan to dec",
    "day of the week": "0 to 7 (0 and 7 are Sunday) or sun to sat, 5L for the last Friday, 5#2 for the second one",
}
_FIELD = "trigger.cron"
_ANY_TIME = datetime(2000, 1, 1)  # noqa: DTZ001 local


class CronFields(BaseModel):
    """The fields of the kind."""

    cron: str | None = Field(
        default=None, min_length=1, max_length=200, description="Five fields, or `@daily` and the like."
    )


@dataclass(frozen=True)
class Cron(LocalRule):
    """At the local times of a cron expression."""

    expression: str

    word = "cron"
    options = (Option(("--cron",), "Repeat by a cron expression: '0 9 * * 1-5', @hourly.", "FIELDS"),)

    @classmethod
    def read(cls, text: str, *, moment: Callable[[str], datetime | str]) -> Any:
        """Return the expression, which `check` parses."""
        return text

    def check(self, zone: ZoneInfo) -> None:
        """Raise `MalformedRequest` for an invalid expression, or one without any time."""
        # Combinations of weekdays and leap years recur within the 50 years that cronsim looks ahead.
        if next(self.local_times(_ANY_TIME), None) is None:
            raise _never_due(self.expression)

    def local_times(self, after: datetime) -> Iterator[datetime]:
        """Iterate over the times of the expression."""
        times = copy(_parsed(self.expression))
        times.dt = after.replace(microsecond=0)
        try:
            yield from times
        except OverflowError:  # the end of the year 9999
            return

    def describe(self, zone_name: str) -> str:
        """Describe the expression by itself, and in words: `cron 0 9 * * 1-5 (at 09:00 on Monday through Friday)`."""
        words = _parsed(self.expression).explain()
        return f"cron {self.expression} ({words[0].lower()}{words[1:]})"


def _without_step(found: re.Match[str]) -> str:
    # cronsim reads 5-5/2 like 5/2, which is 5, 7, 9 and so on. Debian's cron reads it as 5 alone.
    return found[1] if found[1].lstrip("0").casefold() == found[2].lstrip("0").casefold() else found[0]


def _never_due(expression: str) -> MalformedRequest:
    return MalformedRequest(f"cron {expression!r} is never due: these months have no such day.", field=_FIELD)


@lru_cache(maxsize=10_000)
def _parsed(expression: str) -> CronSim:
    """Return the cached parsed expression; copy it before advancing it. Raises `MalformedRequest`."""
    from cronsim import CronSim, CronSimError

    fields = _SINGLE_RANGE.sub(_without_step, _MACROS.get(expression.strip().casefold(), expression)).split()
    shown = f"cron {expression[:200]!r}"
    if fields and fields[0].startswith("@"):
        raise MalformedRequest(f"{shown} is unknown. Use {', '.join(_MACROS)}, or five fields.", field=_FIELD)
    if len(fields) != len(_PARTS):
        order = ", ".join(_PARTS)
        raise MalformedRequest(
            f"{shown} takes five fields ({order}), not {len(fields)}; there is none for seconds or years.",
            field=_FIELD,
        )
    for place, (name, valid) in enumerate(_PARTS.items()):
        alone = ["*"] * len(fields)
        alone[place] = fields[place]
        try:
            CronSim(" ".join(alone), _ANY_TIME)
        except (CronSimError, AssertionError, ValueError):
            raise MalformedRequest(
                f"{shown}: the {name} {fields[place]!r} is invalid. It takes {valid}; "
                "or *, lists (1,15), ranges from low to high (1-5) and steps (*/2).",
                field=_FIELD,
            ) from None
    try:
        return CronSim(" ".join(fields), _ANY_TIME)
    except CronSimError:  # each field is valid, but their combination is not
        raise _never_due(expression) from None
