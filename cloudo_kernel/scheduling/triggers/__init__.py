"""The registry of the kinds of triggers. Each kind is one file, and named here in `KINDS` and in `TriggerFields`."""

from __future__ import annotations

from typing import Final

from cloudo_kernel.scheduling.triggers.at import At, AtFields
from cloudo_kernel.scheduling.triggers.cron import Cron, CronFields
from cloudo_kernel.scheduling.triggers.daily import Daily, DailyFields
from cloudo_kernel.scheduling.triggers.delay import Delay, DelayFields
from cloudo_kernel.scheduling.triggers.interval import Interval, IntervalFields
from cloudo_kernel.scheduling.triggers.monthly import Monthly, MonthlyFields
from cloudo_kernel.scheduling.triggers.rule import Rule

#: All kinds, in the order in which people are told of them. The command line has their options.
KINDS: Final[tuple[type[Rule], ...]] = (
    At,
    Delay,
    Interval,
    Daily,
    Monthly,
    Cron,
)


class TriggerFields(
    # The fields of the last base come first in the OpenAPI document.
    CronFields,
    MonthlyFields,
    DailyFields,
    IntervalFields,
    DelayFields,
    AtFields,
):
    """The fields of all kinds as REST has them. Those of one kind are given."""

    @property
    def kinds(self) -> tuple[type[Rule], ...]:
        """The kinds whose field is given: one, in a valid trigger."""
        return tuple(kind for kind in KINDS if getattr(self, kind.word) is not None)

    @property
    def rule(self) -> Rule:
        """The kind with its values, which knows the times."""
        return self.kinds[0].of(self)


#: The words of all kinds, and the further words that go with one of them.
WORDS: Final = tuple(word for kind in KINDS for word in (kind.word, *kind.more_words))
