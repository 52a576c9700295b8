"""Formats a schedule: as a row of `cloudo schedules`, in a line, and in full."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from cloudo_kernel.cli import display

if TYPE_CHECKING:
    from cloudo_kernel.models import Occurrence, Schedule

_COLOURS = {"active": "green", "running": "cyan", "paused": "yellow", "broken": "red"}
_OUTCOMES = {"STARTED": "green", "SKIPPED": "yellow", "MISSED": "red", "COALESCED": "yellow"}


def named(one: Schedule) -> str:
    """Return the schedule's id, name and trigger in words."""
    return f"{display.short_id(one.id)}  {display.clean(one.name)}: {when(one)}"


def when(one: Schedule) -> str:
    """Return the trigger in words, with the zone if it matters."""
    rule = one.trigger.rule
    return rule.describe(one.timezone) + (f" ({one.timezone})" if rule.shows_local_time else "")


def next_time(one: Schedule) -> str:
    """Return the next time in this machine's zone."""
    from cloudo_kernel.scheduling import humanize, zones

    if one.next_run is None:
        return ""
    return humanize.spoken(one.next_run, zones.zone(zones.local_zone_name()), now=datetime.now(UTC))


def state(one: Schedule) -> str:
    """Return the state, and the reason if it is broken or paused."""
    word = one.state_at(datetime.now(UTC))
    why = one.broken if word == "broken" else one.pause_reason if word == "paused" else None
    return click.style(word, fg=_COLOURS.get(word)) + ("" if why is None else f": {display.value(why)}")


def row(one: Schedule) -> tuple[str, ...]:
    """Return the schedule as a table row: ID, NAME, FLOW, WHEN, NEXT, LAST, STATE."""
    last = one.last_occurrence
    return (
        display.short_id(one.id),
        display.value(one.name, limit=40),
        display.value(one.flow_name, limit=40),
        when(one),
        next_time(one),
        "" if last is None else f"{_outcome(last)} {display.ago(last.until or last.due)}",
        state(one),
    )


def past(one: Occurrence) -> tuple[str, ...]:
    """Return an occurrence as a table row: DUE, OUTCOME, LATE, EXECUTION, REASON."""
    due = display.local_time(one.due)
    if one.until is not None:
        due += f" to {display.local_time(one.until)}"
    late = "" if one.lateness_seconds is None else f"{one.lateness_seconds:.3g} s"
    execution = display.short_id(one.execution_id or "")
    return due, _outcome(one), late, execution, display.value(one.reason or "")


def _outcome(one: Occurrence) -> str:
    number = f" ({one.count:,} times)" if one.count > 1 else ""
    return click.style(one.outcome.lower(), fg=_OUTCOMES.get(one.outcome)) + number


def _last(one: Occurrence) -> str:
    return f"{_outcome(one)}, {display.local_time(one.until or one.due)} {one.reason or ''}"


def _seconds(number: float) -> str:
    return f"{number:g} s"


def everything(one: Schedule) -> str:
    """Return the whole record, with the next ten times in the schedule's zone."""
    from cloudo_kernel.models import Occasion, follow_ups
    from cloudo_kernel.scheduling import humanize, zones

    limit = f" of {one.max_iterations}" if one.max_iterations else ""
    last, window = one.last_occurrence, one.catch_up_window_seconds
    facts = [
        ("id", one.id),
        ("flow", display.clean(one.flow_name)),
        ("when", when(one)),
        ("state", state(one)),
        ("times", f"{one.iterations}{limit} so far"),
        ("last", "" if last is None else _last(last)),
        ("until", "" if one.end_at is None else display.local_time(one.end_at)),
        ("overlap", one.overlap.value),
        ("catch up", one.catch_up.value + (f", up to {_seconds(window)} late" if window else "")),
        ("jitter", f"up to {_seconds(one.jitter_seconds)}" if one.jitter_seconds else ""),
        ("pause", f"after {one.pause_on_error_count} failures in a row" if one.pause_on_error_count else ""),
        ("runs", "the pinned version of the flow" if one.pin_source else ""),
        *(
            (name.replace("_", " "), display.clean(follow_ups.describe(then)))
            for name in Occasion
            if (then := getattr(one, name)) is not None
        ),
        ("created", f"by {display.clean(one.user_name)}, {display.ago(one.created_at)}"),
    ]
    parts = [click.style(display.clean(one.name), bold=True)]
    parts += [f"  {name:<11} {text}" for name, text in facts if text]
    if one.inputs:
        parts += [
            "Inputs:",
            *(f"  {display.clean(name)}  {display.value(value)}" for name, value in one.inputs.items()),
        ]
    if one.next_runs:
        zone, now = zones.shown_zone(one.timezone), datetime.now(UTC)
        parts += [f"Next ({one.timezone}):", *(f"  {humanize.spoken(time, zone, now=now)}" for time in one.next_runs)]
    return "\n".join(parts)
