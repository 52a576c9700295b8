"""Decides the outcome of each occurrence that is due. No I/O: the caller passes the time and the absences.

An occurrence is *late* if no scheduler was alive at its time, as the workers' heartbeats show: then `catch_up` decides.
While a scheduler is alive nothing is late, and `overlap` decides.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from cloudo_kernel.models import CatchUp, OccurrenceOutcome, Overlap, Schedule, rfc3339
from cloudo_kernel.scheduling import zones

#: The newest occurrence of an absence is late if it is older than this.
GRACE = timedelta(seconds=30)
#: Maximum number of rows of one schedule that one call plans; the next call plans the next ones.
MAX_AT_ONCE = 500
#: With `all`, up to this many occurrences of one absence are caught up, the newest ones.
MAX_CAUGHT_UP = 10_000

_STARTED, _SKIPPED = OccurrenceOutcome.STARTED, OccurrenceOutcome.SKIPPED
_MISSED, _COALESCED = OccurrenceOutcome.MISSED, OccurrenceOutcome.COALESCED
_TICK = timedelta(microseconds=1)
_BEHIND = "queued behind the runs that are caught up"


class Absence(NamedTuple):
    """A period in which no scheduler was alive; one was alive at both ends."""

    start: datetime
    end: datetime


# Named tuples: thousands are created at once, and a frozen dataclass takes three times as long to create.


class Planned(NamedTuple):
    """One occurrence, or several in a row, and the outcome."""

    due: datetime
    #: The number of the first one.
    iteration: int
    outcome: OccurrenceOutcome
    reason: str | None = None
    #: It runs after those that were started before it, not alongside them.
    is_queued: bool = False
    #: It is part of catching up: no policy skips or cancels it, and it queues behind others that are.
    is_caught_up: bool = False
    #: It is caught up because it was late, not because it was due while others were caught up.
    is_late: bool = False
    #: The last one, if there are several.
    until: datetime | None = None
    number: int = 1


class Plan(NamedTuple):
    """The outcomes of all due occurrences, and the next due time."""

    occurrences: tuple[Planned, ...]
    #: None without a next one, or if it depends on the end of the execution started now.
    next_run: datetime | None
    #: Whether executions that have not ended are cancelled first, except those that are caught up.
    cancels: bool = False

    @property
    def iterations(self) -> int:
        """The number of due times that the plan covers."""
        return sum(one.number for one in self.occurrences)

    @property
    def last_due(self) -> datetime | None:
        """The last due time that the plan covers, if any."""
        return (self.occurrences[-1].until or self.occurrences[-1].due) if self.occurrences else None


class _Come(NamedTuple):
    """A due occurrence or, if nothing is started for them, several in a row."""

    due: datetime
    iteration: int
    until: datetime
    number: int
    #: The outcome if it is late, else None.
    late: OccurrenceOutcome | None
    reason: str | None = None


class _Times(NamedTuple):
    """Due times from `due` to `until`. `moment` is when the first should start, `last_moment` when the last should."""

    due: datetime
    until: datetime
    number: int
    iteration: int
    moment: datetime
    last_moment: datetime


def fire_at(schedule: Schedule, due: datetime) -> datetime:
    """Return when the occurrence should start: its due time plus jitter."""
    if not schedule.jitter_seconds:
        return due
    return due + jitter(schedule.id, due, schedule.jitter_seconds)


def jitter(schedule_id: str, due: datetime, seconds: float) -> timedelta:
    """Return the delay of one occurrence: up to `seconds`, always the same for the same occurrence."""
    digest = hashlib.blake2b(f"{schedule_id} {rfc3339(due)}".encode(), digest_size=8).digest()
    return timedelta(seconds=seconds * (int.from_bytes(digest, "big") / 2**64))


def times(schedule: Schedule, *, after: datetime, iterations: int | None = None) -> Iterator[datetime]:
    """Yield the due times of a schedule after a moment, as far as its end and its limit allow.

    `iterations` is how many there were by then, by default the schedule's own count.
    """
    dues = schedule.trigger.rule.due_times(zones.zone(schedule.timezone), start=schedule.start, after=after)
    if schedule.max_iterations is not None:
        been = schedule.iterations if iterations is None else iterations
        dues = islice(dues, max(0, schedule.max_iterations - been))
    for due in dues:
        if schedule.end_at is not None and due > schedule.end_at:
            return
        yield due


def after_end(schedule: Schedule, ended_at: datetime) -> datetime | None:
    """Return the next due time of a schedule that counts from the end of its last run, or None."""
    due = schedule.trigger.rule.after_end(ended_at)
    is_over = schedule.max_iterations is not None and schedule.iterations >= schedule.max_iterations
    return None if due is None or is_over or (schedule.end_at is not None and due > schedule.end_at) else due


def plan(
    schedule: Schedule,
    *,
    now: datetime,
    unended: int,
    caught_up: int = 0,
    is_catching_up: bool = False,
    absences: Sequence[Absence] = (),
) -> Plan:
    """Decide about all due occurrences.

    `unended` executions of the schedule have not ended; `caught_up` of them are part of catching up. With
    `is_catching_up`, new occurrences queue behind these if the schedule catches up with `all`.
    `absences` are in order, and do not overlap.
    """
    if not schedule.enabled:
        passed = passed_over(schedule, now=now, reason="the schedule was paused before the run started")
        has_more = passed.next_run is not None and fire_at(schedule, passed.next_run) <= now
        return passed if has_more else passed._replace(next_run=None)
    come, following = _come(schedule, now, absences)
    planned = tuple(_decided(schedule, come, unended=unended, caught_up=caught_up, is_catching_up=is_catching_up))
    has_regular = any(one.outcome is _STARTED and not one.is_caught_up for one in planned)
    cancels = schedule.overlap is Overlap.CANCEL and unended > caught_up and has_regular
    return Plan(planned, following, cancels)


def passed_over(schedule: Schedule, *, now: datetime, reason: str) -> Plan:
    """Plan all due occurrences as missed, because the schedule has changed since."""
    assert schedule.next_run is not None
    passed: list[Planned] = []
    due: datetime | None = schedule.next_run
    number = schedule.iterations + 1
    while due is not None and len(passed) < MAX_AT_ONCE:
        moment = fire_at(schedule, due)
        if moment > now and not schedule.trigger.counts_from_end:
            break
        one = _Times(due, due, 1, number, moment, moment)
        some = _before(schedule, one, now + _TICK) or one
        passed.append(Planned(due, number, _MISSED, reason, until=some.until, number=some.number))
        number += some.number
        due = _following(schedule, some)
    return Plan(tuple(passed), due)


def _come(schedule: Schedule, now: datetime, absences: Sequence[Absence]) -> tuple[list[_Come], datetime | None]:
    """Return the due occurrences, late ones with their outcome, and the due time after them."""
    assert schedule.next_run is not None
    due: datetime | None = schedule.next_run
    moment, number, come = fire_at(schedule, schedule.next_run), schedule.iterations + 1, list[_Come]()
    counted: Absence | None = None
    while due is not None and len(come) < MAX_AT_ONCE:
        if moment > now and not schedule.trigger.counts_from_end:
            break
        one = _Times(due, due, 1, number, moment, moment)
        absence = _absence_at(absences, moment)
        if absence is None:
            following = _following(schedule, one)
            come.append(_Come(due, number, due, 1, None))
        else:
            one, following, found = _in_absence(
                schedule, one, absence, now, before=come[-1] if absence is counted else None
            )
            come, counted = come + found, absence
        number += one.number
        if following is not None:
            # An occurrence with a short jitter must wait for earlier ones with a long jitter.
            moment = max(one.last_moment, fire_at(schedule, following))
        due = following
    return come, due


def _in_absence(
    schedule: Schedule, first: _Times, absence: Absence, now: datetime, *, before: _Come | None
) -> tuple[_Times, datetime | None, list[_Come]]:
    """Decide about the first due time during an absence and, if they share its outcome, those after it.

    Returns them, the due time after them, and their outcomes. The newest one of the absence has its own.
    `before` is the previous outcome in the same absence.
    """
    outcome, reason, some = _late(schedule, first, absence, now, is_counted=before is not None)
    following = _following(schedule, some)
    next_moment = None if following is None else max(some.last_moment, fire_at(schedule, following))
    if next_moment is not None and next_moment < min(absence.end, now + _TICK):
        return some, following, [_Come(some.due, some.iteration, some.until, some.number, outcome, reason)]
    # The last one is the newest of the absence.
    age = now - some.last_moment
    if age > GRACE and outcome in (_MISSED, _STARTED):
        return some, following, [_Come(some.due, some.iteration, some.until, some.number, outcome, reason)]
    found = []
    if some.number > 1:
        last_but_one = _newest(schedule, some.due - _TICK, some.until, skip=1)
        assert last_but_one is not None  # there are at least two
        found.append(_Come(some.due, some.iteration, last_but_one, some.number - 1, outcome, reason))
    number = some.iteration + some.number - 1
    # It stands for those before it, so `overlap` does not skip it.
    has_others = some.number > 1 or (before is not None and before.late is _COALESCED)
    stands_for_others = outcome is _COALESCED and has_others
    if age > GRACE or stands_for_others:
        found.append(_Come(some.until, number, some.until, 1, _STARTED, _seconds_late(age)))
    else:
        found.append(_Come(some.until, number, some.until, 1, None))
    return some, following, found


def _late(
    schedule: Schedule, first: _Times, absence: Absence, now: datetime, *, is_counted: bool
) -> tuple[OccurrenceOutcome, str, _Times]:
    """Return the outcome of a late due time by `catch_up`, its reason, and the due times after it that share both.

    `is_counted` means that no more of them are left than `all` catches up with.
    """
    window = schedule.catch_up_window_seconds
    if schedule.catch_up is CatchUp.NONE:
        span = f"{rfc3339(absence.start)} to {rfc3339(absence.end)}"
        return _MISSED, f"no worker was running from {span}", _before(schedule, first, absence.end) or first
    if window is not None and now - first.moment > timedelta(seconds=window):
        end = min(absence.end, now - timedelta(seconds=window))
        return _MISSED, f"older than the catch-up window of {window:g} s", _before(schedule, first, end) or first
    if schedule.catch_up is CatchUp.LAST:
        return _COALESCED, "caught up with the newest run", _before(schedule, first, absence.end) or first
    if not is_counted and (surplus := _before(schedule, first, absence.end, leave=MAX_CAUGHT_UP)) is not None:
        reason = f"more than {MAX_CAUGHT_UP:,} runs were missed, and the newest {MAX_CAUGHT_UP:,} are caught up"
        return _MISSED, reason, surplus
    return _STARTED, _seconds_late(now - first.moment), first


def _seconds_late(age: timedelta) -> str:
    return f"caught up, {round(age / timedelta(seconds=1))} s late"


def _absence_at(absences: Sequence[Absence], moment: datetime) -> Absence | None:
    """Return the absence that contains a moment, if any."""
    place = bisect_left(absences, moment, key=lambda absence: absence.end)
    found = absences[place] if place < len(absences) else None
    return found if found is not None and found.start < moment < found.end else None


def _following(schedule: Schedule, some: _Times) -> datetime | None:
    """Return the due time after `some`; None also if it depends on the end of the execution started now."""
    if schedule.trigger.counts_from_end or schedule.trigger.is_once:
        return None
    return next(times(schedule, after=some.until, iterations=some.iteration + some.number - 1), None)


def _before(schedule: Schedule, first: _Times, end: datetime, *, leave: int = 0) -> _Times | None:
    """Return due times from `first` on that should start before `end` whatever their jitter, without the last `leave`.

    Returns None if there are no such times, which may only be due to the jitter.
    """
    if schedule.trigger.counts_from_end or schedule.trigger.is_once:
        return None
    until = end - timedelta(seconds=schedule.jitter_seconds) - _TICK
    if schedule.end_at is not None:
        until = min(until, schedule.end_at)
    after, zone = first.due - _TICK, zones.zone(schedule.timezone)
    there = number = schedule.trigger.rule.count(zone, start=schedule.start, after=after, until=until)
    if schedule.max_iterations is not None:
        number = min(number, schedule.max_iterations - first.iteration + 1)
    number -= leave
    last = _newest(schedule, after, until, skip=there - number) if number > 0 else None
    if last is None:
        return None
    return first._replace(until=last, number=number, last_moment=max(first.moment, fire_at(schedule, last)))


def _newest(schedule: Schedule, after: datetime, until: datetime, *, skip: int) -> datetime | None:
    zone = zones.zone(schedule.timezone)
    return schedule.trigger.rule.newest(zone, start=schedule.start, after=after, until=until, skip=skip)


def _decided(
    schedule: Schedule, come: Sequence[_Come], *, unended: int, caught_up: int, is_catching_up: bool
) -> Iterator[Planned]:
    """Apply `overlap` to the occurrences that are not late; late ones have their outcome already."""
    newest = max((number for number, one in enumerate(come) if one.late is None), default=-1)
    for number, one in enumerate(come):
        if one.late is _STARTED:
            planned = Planned(one.due, one.iteration, _STARTED, one.reason, is_caught_up=True, is_late=True)
            yield planned._replace(is_queued=caught_up > 0)
            is_catching_up = True
        elif one.late is not None:
            yield Planned(one.due, one.iteration, one.late, one.reason, until=one.until, number=one.number)
            continue
        elif schedule.catch_up is CatchUp.ALL and is_catching_up:
            yield Planned(one.due, one.iteration, _STARTED, _BEHIND, is_queued=True, is_caught_up=True)
        elif schedule.overlap is Overlap.SKIP and unended:
            yield Planned(one.due, one.iteration, _SKIPPED, "overlap: an execution of this schedule had not ended")
            continue
        elif schedule.overlap is Overlap.CANCEL and number != newest:
            yield Planned(one.due, one.iteration, _COALESCED, "overlap: the next one took its place at once")
            continue
        else:
            # Executions that are caught up are not cancelled: the newest occurrence runs after them.
            waits_for = {Overlap.QUEUE: unended, Overlap.CANCEL: caught_up}.get(schedule.overlap, 0)
            yield Planned(one.due, one.iteration, _STARTED, is_queued=waits_for > 0)
            unended += 1
            continue
        unended += 1
        caught_up += 1


class Span(NamedTuple):
    """Consecutive due times of a schedule; `iteration` is the number of the first one."""

    due: datetime
    until: datetime
    number: int
    iteration: int | None


def without(schedule: Schedule, span: Span, taken: Collection[datetime]) -> Span | None:
    """Return a span without the due times in `taken`, which were started out of turn; None if nothing is left."""
    inside = {moment for moment in taken if span.due <= moment <= span.until}
    number = span.number - len(inside)
    if number <= 0:
        return None
    passed, due = 0, span.due
    # The trigger may have changed since, and its due times with it.
    zone = zones.zone(schedule.timezone)
    for moment in schedule.trigger.rule.due_times(zone, start=schedule.start, after=span.due):
        if due not in inside or moment > span.until:
            break
        passed, due = passed + 1, moment
    skip, until = 0, span.until
    while until in inside:
        skip += 1
        found = _newest(schedule, due - _TICK, span.until, skip=skip)
        if found is None:  # all that today's trigger has here are taken; the others were another trigger's
            until = span.until
            break
        until = found
    return Span(due, until, number, None if span.iteration is None else span.iteration + passed)
