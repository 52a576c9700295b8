"""The elements about times: a duration, a time zone, and the times of a schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from cloudo_kernel.errors import MalformedRequest, ResponseInvalid, raise_all
from cloudo_kernel.errors.base import rebuilt
from cloudo_kernel.forms.element import Element
from cloudo_kernel.models import JsonObject, ScheduleTrigger, malformed
from cloudo_kernel.models.canonical import canonical
from cloudo_kernel.scheduling import humanize, triggers, zones


class Duration(Element):
    """A duration. People enter a number and a unit. The answer is a number of seconds."""

    kind = "duration"
    json_type = "number"

    @property
    def fitting(self) -> str:
        """How it is written, and its bounds."""
        lowest, highest = (self.about.get(word) for word in ("minimum", "maximum"))
        words = [
            *([] if lowest is None else [f"at least {humanize.duration(lowest)}"]),
            *([] if highest is None else [f"at most {humanize.duration(highest)}"]),
        ]
        return f"a duration such as 90 (seconds), 10m or 1h30m{', ' if words else ''}{' and '.join(words)}"

    @property
    def bound_fitting(self) -> str:
        """A duration, too."""
        return "a duration such as 90 (seconds), 10m or 1h30m"

    def read(self, given: object) -> float:
        """Return seconds. Text may have units."""
        try:
            seconds = humanize.seconds(given) if isinstance(given, str) else canonical("number", given)
        except MalformedRequest:
            raise ValueError from None
        if not 0 <= seconds <= humanize.MAX_SECONDS:
            raise ValueError
        return int(seconds) if seconds == int(seconds) else float(seconds)

    def bound(self, value: object) -> Any:
        """Read it as an answer."""
        return self.read(value)

    def defined(self, value: object) -> Any:
        """Read it as an answer."""
        return self.read(value)


class TimeZone(Element):
    """A time zone by its IANA name. The page suggests the zone of the person who answers."""

    kind = "timezone"
    bound_kind = ""

    @property
    def fitting(self) -> str:
        """Its name."""
        return "the IANA name of a time zone, such as Europe/Vienna"

    def accepted(self, given: object) -> str:
        """Return the name. An error suggests similar names."""
        if not isinstance(given, str):
            return str(super().accepted(given))
        try:
            return zones.zone(given.strip()).key
        except MalformedRequest as error:
            raise ValueError(f"takes {self.fitting}. {error}") from None

    def read(self, _given: object) -> str:
        """Refuse anything that is not text."""
        raise ValueError


class TriggerChoice(Element):
    """The times of a schedule. The answer is a trigger, as REST has it, with its time zone.

    `enum` limits the kinds of triggers, such as `["daily_at", "cron"]`.
    """

    kind = "trigger"
    json_type = "object"
    bound_kind = ""
    terminal_hint = "YAML such as daily_at: 08:30 or {cron: 0 9 * * 1-5, timezone: Europe/Vienna}"

    @property
    def fitting(self) -> str:
        """The kinds of triggers."""
        return f'an object with one of {", ".join(self.kinds)}, such as {{"daily_at": "08:30"}}'

    @property
    def kinds(self) -> tuple[str, ...]:
        """The words of the accepted kinds of triggers."""
        return tuple(self.about.get("enum") or (kind.word for kind in triggers.KINDS))

    def complete(self) -> None:
        """Check the kinds first."""
        if "enum" in self.about:
            known, kinds = [kind.word for kind in triggers.KINDS], self.about["enum"]
            if not isinstance(kinds, list | tuple) or not kinds or not all(word in known for word in kinds):
                raise self._invalid("enum", f"is a list of kinds of triggers: {', '.join(known)}")
        super().complete()

    def checked(self, given: object, _placed: Callable[[str], str] | None = None) -> Any:
        """Return the trigger. An error names the field inside of it."""
        try:
            return self.accepted(given)
        except ValueError as error:
            raise ResponseInvalid(self.key, str(error)) from None
        except MalformedRequest as error:
            raise_all(self._fault(one["field"], one["message"]) for one in error.errors or [error.payload])
            raise AssertionError("an error without errors") from error

    def _fault(self, field: str | None, message: str) -> ResponseInvalid:
        place = (field or "").removeprefix("trigger").removeprefix(".")
        return rebuilt(ResponseInvalid, message, f"{self.key}.{place}" if place else self.key)

    def accepted(self, given: object) -> JsonObject:
        """Return the trigger in canonical form. Raises `MalformedRequest`, too, which names the field."""
        if not isinstance(given, Mapping):
            raise ValueError(f"takes {self.fitting}, not {self.masked(given)}")
        try:
            trigger = ScheduleTrigger.model_validate(dict(given))
        except ValidationError as error:
            raise malformed(error) from None
        if trigger.kinds[0].word not in self.kinds:
            raise ValueError(f"takes {self.fitting}, not {trigger.kinds[0].word}")
        trigger.rule.check(zones.zone(trigger.timezone or "UTC"))
        return trigger.model_dump(mode="json")
