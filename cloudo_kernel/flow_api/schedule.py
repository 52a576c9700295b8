"""A schedule for flow authors: a cached record, the actions on it, and its trigger from their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Self

from cloudo_kernel import models
from cloudo_kernel.api import AuthorApi
from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.flow_api import cards
from cloudo_kernel.flow_api.calls import request_of
from cloudo_kernel.flow_api.execution import Execution
from cloudo_kernel.flow_api.values import to_json
from cloudo_kernel.models import JsonObject, ScheduleTrigger
from cloudo_kernel.scheduling import triggers

#: The fields of a trigger. The zone is a field of the schedule.
WORDS: Final = (*triggers.WORDS, "max_iterations")


class Schedule:
    """A durable rule that starts executions of one flow.

    `get` reads a local copy of its record; `load` and `save` use the store.
    """

    def __init__(self, api: AuthorApi, record: models.Schedule, *, is_watched: bool = True) -> None:
        self._api = api
        self._record = record
        #: Whether a server or worker was running when it was created.
        self._is_watched = is_watched

    @property
    def id(self) -> str:
        """The schedule's id. `system.schedule(id)` returns the schedule again."""
        return self._record.id

    @property
    def name(self) -> str:
        """The name; by default the flow's name."""
        return self._record.name

    @property
    def record(self) -> models.Schedule:
        """The whole record, as last fetched."""
        return self._record

    @property
    def when(self) -> str:
        """The trigger in words: `daily at 08:30`."""
        return self._record.trigger.rule.describe(self._record.timezone)

    @property
    def summary(self) -> str:
        """The next times in its zone, `next: Tue 24 Nov 08:30, … (Europe/Vienna)`, or its state if it is not active."""
        record, now = self._record, datetime.now(UTC)
        state = record.state_at(now)
        if state == "broken":
            return f"broken: {record.broken}"
        if state != "active":
            return state if record.pause_reason is None else f"{state}: {record.pause_reason}"
        coming = record.next_runs or tuple(filter(None, [record.next_run]))  # lists omit `next_runs`
        times = record.trigger.rule.coming(coming, record.timezone, now=now)
        return times if self._is_watched else f"{times}, if a server or a worker runs by then"

    def get(self, *fields: str) -> Any:
        """Return a field of the local copy, such as `get("next_run")`, or a tuple of several."""
        return self._pick(fields)

    def load(self, *fields: str) -> Any:
        """Fetch the record and return a field, or a tuple of several."""
        self._record = self._api.schedule(self.id)
        return self._pick(fields)

    def save(self, **fields: Any) -> Self:
        """Change the schedule in place, without affecting past and running executions.

        Fields are those of `system.schedule`, with the time as `trigger=` or in words: `save(daily_at="09:00")`,
        `save(name="evening", inputs={"region": "south"})`. A new time restarts the schedule, an interval with an
        immediate run. `save(max_iterations=10)` alone does not change the times.
        Raises `MalformedRequest`, `InputsInvalid`, `NotConfirmed`.
        """
        words = {word: fields.pop(word) for word in WORDS if word in fields}
        trigger = fields.pop("trigger", None)
        given = plain_options(fields)
        if words.keys() == {"max_iterations"}:
            given |= words
        elif words or trigger is not None:
            given["trigger"] = given_trigger(trigger, words)
        self._record = self._api.change_schedule(self.id, request_of(models.ChangeSchedule, given))
        return self

    def pause(self) -> Self:
        """Pause the schedule until `resume`. Times that pass meanwhile are not occurrences."""
        self._record = self._api.pause_schedule(self.id)
        return self

    def resume(self) -> Self:
        """Resume the schedule with its next time. Raises `Conflict` if no time is left."""
        self._record = self._api.resume_schedule(self.id)
        return self

    def trigger(self) -> Execution:
        """Start an extra execution now and return it. It is not a child of the calling flow."""
        return Execution(self._api, self._api.trigger_schedule(self.id))

    def backfill(
        self, start: datetime | date | str, end: datetime | date | str, *, dry_run: bool = False
    ) -> tuple[models.Occurrence, ...]:
        """Run the past times from `start` to before `end` that started nothing, and return them.

        They run in order, one after another. The executions are not children of the calling flow. Times without an
        offset are local times in the schedule's zone. With `dry_run`, nothing is started.
        Raises `MalformedRequest`, also for more than 1,000 times or if the schedule has no past times.
        """
        span = {"start": to_json(start, name="start"), "end": to_json(end, name="end"), "dry_run": dry_run}
        return self._api.backfill_schedule(self.id, request_of(models.Backfill, span))

    def occurrences(self, limit: int = 100) -> tuple[models.Occurrence, ...]:
        """Return the past occurrences with their outcomes, newest first."""
        return self._api.occurrences(self.id, limit=limit).items

    def delete(self) -> None:
        """Delete the schedule and its occurrences, but not its executions."""
        self._api.delete_schedule(self.id)

    def _pick(self, fields: tuple[str, ...]) -> Any:
        known = type(self._record).model_fields
        unknown = [field for field in fields if field not in known]
        if unknown or not fields:
            raise MalformedRequest(
                f"A schedule has no field {', '.join(map(repr, unknown))}; it has {', '.join(known)}.",
                field=unknown[0] if unknown else None,
            )
        values = tuple(getattr(self._record, field) for field in fields)
        return values[0] if len(fields) == 1 else values

    def __repr__(self) -> str:
        return f"<Schedule {self.name!r} {self.when}; {self.summary}; {self.id}>"

    def _repr_html_(self) -> str:
        record, pages = self._record, cards.pages_of(self._api)
        inputs = ", ".join(f"{name}={value!r}" for name, value in record.inputs.items())
        facts = {"flow": record.flow_name, "when": self.when, "inputs": inputs, "id": record.id}
        parts: list[str] = [cards.to_facts({name: value for name, value in facts.items() if value})]
        if pages is not None:
            parts.append(cards.link(f"{pages}cloudo/schedules/{record.id}", "Schedule"))
        return cards.to_card(record.name, self.summary, parts)

    def _row(self) -> dict[str, str]:
        record, pages, text = self._record, cards.pages_of(self._api), self.id[-8:]
        return {
            "ID": text if pages is None else cards.link(f"{pages}cloudo/schedules/{record.id}", text),
            "NAME": record.name,
            "FLOW": record.flow_name,
            "WHEN": self.when,
            "NEXT": self.summary,
        }


def given_trigger(trigger: Mapping[str, Any] | ScheduleTrigger | None, words: Mapping[str, Any]) -> ScheduleTrigger:
    """Return the trigger, given as a whole or in `words`. Words that are None are ignored.

    Raises `MalformedRequest`, naming the word.
    """
    given = {word: value for word, value in words.items() if value is not None}
    if trigger is not None:
        if given:
            raise MalformedRequest(f"Give the trigger, or {next(iter(given))}, not both.", field=next(iter(given)))
        if isinstance(trigger, ScheduleTrigger):
            return trigger
        if not isinstance(trigger, Mapping):
            raise MalformedRequest(
                f"A trigger is a dict such as {{'daily_at': '08:30'}}, not {trigger!r:.60}.", field="trigger"
            )
        given = {str(word): value for word, value in trigger.items()}
    if not given:
        kinds = ", ".join(kind.word for kind in triggers.KINDS)
        raise MalformedRequest(f"When does it run? Give one of {kinds}.", field="trigger")
    fields = {word: _plain(word, value) for word, value in given.items()}
    for kind in triggers.KINDS:
        if fields.get(kind.word) is not None:
            fields[kind.word] = kind.from_author(fields[kind.word])
    return request_of(ScheduleTrigger, fields)


def plain_options(options: Mapping[str, Any]) -> JsonObject:
    """Return the other fields of a schedule, without its trigger, as JSON."""
    return {name: _plain(name, value) for name, value in options.items()}


def _plain(name: str, value: Any) -> Any:
    """Return a value for a request: periods in seconds, times as text."""
    return value.total_seconds() if isinstance(value, timedelta) else to_json(value, name=name)
