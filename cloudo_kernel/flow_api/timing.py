"""Builds the trigger of a schedule from a flow author's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.flow_api.calls import request_of
from cloudo_kernel.flow_api.values import to_json
from cloudo_kernel.models import JsonObject, ScheduleTrigger
from cloudo_kernel.scheduling import triggers

#: The fields of a trigger. The zone is a field of the schedule.
WORDS: Final = (*triggers.WORDS, "max_iterations")


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
