"""Decides what becomes of the times of a schedule that have come. Pure: the clock is the caller's.

A time is *late* when nobody was there to start it: then `catch_up` decides. All others are the business of `overlap`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate, chain, islice
from typing import NamedTuple

from cloudo_kernel import triggers
from cloudo_kernel.models import CatchUp, OccurrenceOutcome, Overlap, Schedule

#: So late an occurrence may be without anybody having been away.
GRACE = timedelta(seconds=30)
#: So many occurrences of one schedule are decided about at once; the next look takes the next ones.
MOST_AT_ONCE = 500
#: How the reason begins of what was started because of `catch_up`.
CAUGHT_UP = "caught up, "

_STARTED, _SKIPPED = OccurrenceOutcome.STARTED, OccurrenceOutcome.SKIPPED
_MISSED, _COALESCED = OccurrenceOutcome.MISSED, OccurrenceOutcome.COALESCED


# Named tuples: of what thousands are made at one instant, a frozen dataclass takes three times as long to make.


class Planned(NamedTuple):
    """One occurrence, and what is to become of it."""

    due: datetime
    iteration: int
    outcome: OccurrenceOutcome
    reason: str | None = None
    #: It runs after the one that was started before it, not beside it.
    is_queued: bool = False


class Plan(NamedTuple):
    """What is to become of the times that have come, and when the next one is."""

    occurrences: tuple[Planned, ...]
    #: None when there is none, or when it depends on the end of what is started now.
    next_run: datetime | None
    #: Whether what runs is to be cancelled first.
    cancels: bool = False


def fire_at(schedule: Schedule, due: datetime) -> datetime:
    """Return when the occurrence is to start: its time, and its jitter."""
    if not schedule.jitter_seconds:
        return due
    return due + triggers.jitter(schedule.id, due, schedule.jitter_seconds)


def times(schedule: Schedule, *, after: datetime, iterations: int | None = None) -> Iterator[datetime]:
    """Yield the times of a schedule after a moment, as far as its end and its limit allow.

    `iterations` is how many there have been by then, if not as many as the schedule says.
    """
    dues = triggers.due_times(schedule.trigger, triggers.zone(schedule.timezone), start=schedule.start, after=after)
    if schedule.max_iterations is not None:
        been = schedule.iterations if iterations is None else iterations
        dues = islice(dues, max(0, schedule.max_iterations - been))
    for due in dues:
        if schedule.end_at is not None and due > schedule.end_at:
            return
        yield due


def after_end(schedule: Schedule, ended_at: datetime) -> datetime | None:
    """Return the next time of one whose interval counts from the end of its last run."""
    assert schedule.trigger.every_seconds is not None
    try:
        due = ended_at + timedelta(seconds=schedule.trigger.every_seconds)
    except OverflowError:
        return None
    is_over = schedule.max_iterations is not None and schedule.iterations >= schedule.max_iterations
    return None if is_over or (schedule.end_at is not None and due > schedule.end_at) else due


def plan(schedule: Schedule, *, now: datetime, unended: int, is_catching_up: bool = False) -> Plan:
    """Decide about all times that have come; `unended` executions of the schedule have not ended.

    `is_catching_up`: some of these were caught up, and what is caught up now comes after them.
    """
    if not schedule.enabled:
        passed = passed_over(schedule, now=now, reason="the schedule was paused before anybody started it")
        has_more = passed.next_run is not None and fire_at(schedule, passed.next_run) <= now
        return passed if has_more else passed._replace(next_run=None)
    dues, following = _come(schedule, now)
    ages = _ages_of_late(schedule, dues, now)
    late, on_time = dues[: len(ages)], dues[len(ages) :]
    occurrences = _in_time(schedule, on_time, number=schedule.iterations + len(late) + 1, unended=unended)
    if late:
        has_last = following is None or fire_at(schedule, following) > now
        caught_up = _caught_up(schedule, late, ages, has_last=has_last, has_started=is_catching_up)
        occurrences = chain(caught_up, occurrences)
    cancels = schedule.overlap is Overlap.CANCEL and unended > 0 and bool(on_time)
    return Plan(tuple(occurrences), following, cancels)


def passed_over(schedule: Schedule, *, now: datetime, reason: str) -> Plan:
    """Note all times that have come as missed: the schedule is not any more what they belonged to."""
    dues, following = _come(schedule, now)
    missed = (Planned(due, number, _MISSED, reason) for number, due in enumerate(dues, schedule.iterations + 1))
    return Plan(tuple(missed), following)


def is_late(schedule: Schedule, now: datetime) -> bool:
    """Tell whether the time that has come may be for `catch_up` to decide about; jitter only makes it start later."""
    return schedule.next_run is not None and now - schedule.next_run > GRACE


def _ages_of_late(schedule: Schedule, dues: list[datetime], now: datetime) -> list[timedelta]:
    """Return how long ago those times were to start about which `catch_up` decides: the first so many that have come.

    One whose jitter is short has to wait for those before it whose jitter is long; that is nobody's absence.
    """
    if not dues or not is_late(schedule, now):
        return []
    ages = [now - moment for moment in accumulate((fire_at(schedule, due) for due in dues), max)]
    number = sum(age > GRACE for age in ages)
    # Those on time are caught up with the others.
    return ages[:number] if schedule.catch_up is CatchUp.NONE or not number else ages


def _come(schedule: Schedule, now: datetime) -> tuple[list[datetime], datetime | None]:
    """Return the times that have come, and the one after them if it is known."""
    assert schedule.next_run is not None
    if schedule.trigger.counts_from_end:
        return [schedule.next_run], None
    if schedule.trigger.is_once:
        has_come = fire_at(schedule, schedule.next_run) <= now
        return ([schedule.next_run], None) if has_come else ([], schedule.next_run)
    following: datetime | None = schedule.next_run
    coming = times(schedule, after=schedule.next_run, iterations=schedule.iterations + 1)
    dues: list[datetime] = []
    while following is not None and fire_at(schedule, following) <= now and len(dues) < MOST_AT_ONCE:
        dues.append(following)
        following = next(coming, None)
    return dues, following


def _in_time(schedule: Schedule, dues: list[datetime], *, number: int, unended: int) -> Iterator[Planned]:
    """Apply `overlap` to occurrences for which somebody was there; the first is the `number`th."""
    for iteration, due in enumerate(dues, number):
        if schedule.overlap is Overlap.SKIP and unended:
            yield Planned(due, iteration, _SKIPPED, "overlap: an execution of this schedule had not ended")
        elif schedule.overlap is Overlap.CANCEL and due is not dues[-1]:
            yield Planned(due, iteration, _COALESCED, "overlap: the next one took its place at once")
        else:
            yield Planned(due, iteration, _STARTED, is_queued=schedule.overlap is Overlap.QUEUE and unended > 0)
            unended += 1


def _caught_up(
    schedule: Schedule, dues: list[datetime], ages: list[timedelta], *, has_last: bool, has_started: bool
) -> Iterator[Planned]:
    """Apply `catch_up` to occurrences for which nobody was there.

    `has_last`: no further one has come. `has_started`: something that was caught up before has not ended.
    """
    window = schedule.catch_up_window_seconds
    for iteration, (due, age) in enumerate(zip(dues, ages, strict=True), schedule.iterations + 1):
        seconds = round(age / timedelta(seconds=1))
        if schedule.catch_up is CatchUp.NONE:
            yield Planned(due, iteration, _MISSED, f"nobody was there to start it; noticed {seconds} s late")
        elif window is not None and seconds > window:
            yield Planned(due, iteration, _MISSED, f"noticed {seconds} s late, past the window of {window:g} s")
        elif schedule.catch_up is CatchUp.LAST and not (has_last and due is dues[-1]):
            yield Planned(due, iteration, _COALESCED, "caught up with the last one")
        else:
            yield Planned(due, iteration, _STARTED, f"{CAUGHT_UP}{seconds} s late", is_queued=has_started)
            has_started = schedule.catch_up is CatchUp.ALL
