"""The outcomes of the times of a schedule: overlap, catch-up, windows, limits, jitter."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudo_kernel import planning
from cloudo_kernel.models import CatchUp, OccurrenceOutcome, Overlap, Schedule, ScheduleTrigger

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STARTED, SKIPPED = OccurrenceOutcome.STARTED, OccurrenceOutcome.SKIPPED
MISSED, COALESCED = OccurrenceOutcome.MISSED, OccurrenceOutcome.COALESCED


def schedule(trigger: dict[str, Any] | None = None, **more: Any) -> Schedule:
    """Make one that is due at noon, and each minute after it."""
    values: dict[str, Any] = {
        "id": "s",
        "name": "report",
        "flow_name": "report",
        "trigger": ScheduleTrigger.model_validate(trigger or {"every_seconds": 60, "wait": False}),
        "timezone": "UTC",
        "start": NOON,
        "next_run": NOON,
        "user_name": "ada",
        "created_at": NOON,
        **more,
    }
    return Schedule(**values)


def outcomes(plan: planning.Plan) -> list[OccurrenceOutcome]:
    return [planned.outcome for planned in plan.occurrences]


def test_one_that_is_due_starts_and_the_next_follows_the_grid() -> None:
    plan = planning.plan(schedule(iterations=4), now=NOON + timedelta(milliseconds=3), unended=0)
    assert [(one.due, one.iteration, one.outcome) for one in plan.occurrences] == [(NOON, 5, STARTED)]
    assert plan.next_run == NOON + MINUTE


@pytest.mark.parametrize(
    ("overlap", "expected", "is_queued", "cancels"),
    [
        (Overlap.SKIP, SKIPPED, False, False),
        (Overlap.QUEUE, STARTED, True, False),
        (Overlap.CANCEL, STARTED, False, True),
        (Overlap.ALLOW, STARTED, False, False),
    ],
)
def test_overlap(overlap: Overlap, expected: OccurrenceOutcome, is_queued: bool, cancels: bool) -> None:
    plan = planning.plan(schedule(overlap=overlap), now=NOON, unended=1)
    [planned] = plan.occurrences
    assert (planned.outcome, planned.is_queued, plan.cancels) == (expected, is_queued, cancels)
    assert planning.plan(schedule(overlap=overlap), now=NOON, unended=0).occurrences[0].outcome is STARTED


def away(start: datetime, end: datetime) -> tuple[planning.Absence]:
    """Return an absence that began just before a moment."""
    return (planning.Absence(start - timedelta(seconds=1), end),)


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        (CatchUp.LAST, [(COALESCED, 1, 9), (STARTED, 10, 1)]),
        (CatchUp.ALL, [(STARTED, number, 1) for number in range(1, 11)]),
        (CatchUp.NONE, [(MISSED, 1, 10)]),
    ],
)
@pytest.mark.parametrize("overlap", list(Overlap))
def test_what_came_during_an_absence_is_caught_up_whatever_the_overlap(
    catch_up: CatchUp, overlap: Overlap, expected: list[tuple[OccurrenceOutcome, int, int]]
) -> None:
    now = NOON + 9.9 * MINUTE
    one = schedule(catch_up=catch_up, overlap=overlap)
    plan = planning.plan(one, now=now, unended=1, absences=away(NOON, now))
    assert [(found.outcome, found.iteration, found.number) for found in plan.occurrences] == expected
    assert (plan.next_run, plan.iterations, plan.cancels) == (NOON + 10 * MINUTE, 10, False)
    queued = [found.is_queued for found in plan.occurrences]
    assert queued == ([False] + [True] * 9 if catch_up is CatchUp.ALL else [False] * len(expected))


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        (CatchUp.LAST, [(COALESCED, 1, 3), (STARTED, 4, 1)]),
        (CatchUp.ALL, [(STARTED, 1, 1), (STARTED, 2, 1), (STARTED, 3, 1), (STARTED, 4, 1)]),
        (CatchUp.NONE, [(MISSED, 1, 3), (STARTED, 4, 1)]),
    ],
)
def test_the_policies_differ_after_eight_seconds(
    catch_up: CatchUp, expected: list[tuple[OccurrenceOutcome, int, int]]
) -> None:
    """The newest time is not late: `overlap` decides about it unless it runs for others, or queues behind them."""
    one, now = schedule({"every_seconds": 2, "wait": False}, catch_up=catch_up), NOON + timedelta(seconds=7)
    plan = planning.plan(one, now=now, unended=0, absences=away(NOON, now))
    assert [(found.outcome, found.iteration, found.number) for found in plan.occurrences] == expected
    caught_up = {CatchUp.ALL: [True] * 4, CatchUp.LAST: [False, True], CatchUp.NONE: [False, False]}
    assert [found.is_caught_up for found in plan.occurrences] == caught_up[catch_up]
    busy = planning.plan(one, now=now, unended=1, absences=away(NOON, now))
    assert busy.occurrences[-1].outcome is (SKIPPED if catch_up is CatchUp.NONE else STARTED)


def test_while_something_is_caught_up_with_all_the_times_that_come_queue_behind_it() -> None:
    for overlap in Overlap:
        one = schedule(catch_up=CatchUp.ALL, overlap=overlap)
        plan = planning.plan(one, now=NOON, unended=3, caught_up=2, is_catching_up=True)
        [found] = plan.occurrences
        assert (found.outcome, found.is_queued, found.is_caught_up, plan.cancels) == (STARTED, True, True, False)
    newest = schedule(overlap=Overlap.CANCEL)
    for unended, cancels in ((1, False), (2, True)):
        plan = planning.plan(newest, now=NOON, unended=unended, caught_up=1)
        assert [found.is_queued for found in plan.occurrences] == [True], "what is caught up is not cancelled"
        assert plan.cancels is cancels


def test_what_is_too_old_for_the_window_is_missed() -> None:
    now = NOON + 5.5 * MINUTE
    late = schedule(catch_up=CatchUp.ALL, catch_up_window_seconds=160)
    plan = planning.plan(late, now=now, unended=0, absences=away(NOON, now))
    assert [(found.outcome, found.number) for found in plan.occurrences] == [(MISSED, 3)] + [(STARTED, 1)] * 3
    daily, now = schedule({"daily_at": "12:00"}, catch_up_window_seconds=3600), NOON + timedelta(hours=2)
    assert outcomes(planning.plan(daily, now=now, unended=0, absences=away(NOON, now))) == [MISSED]


@pytest.mark.parametrize("catch_up", list(CatchUp))
def test_however_many_times_a_slow_look_finds_none_is_late(catch_up: CatchUp) -> None:
    one = schedule(catch_up=catch_up, overlap=Overlap.ALLOW, catch_up_window_seconds=60)
    before = (planning.Absence(NOON - 60 * MINUTE, NOON),)
    plan = planning.plan(one, now=NOON + 60 * MINUTE, unended=0, absences=before)
    assert [(found.outcome, found.reason) for found in plan.occurrences] == [(STARTED, None)] * 61


def test_each_absence_has_a_newest_time() -> None:
    one, now = schedule(catch_up=CatchUp.LAST, overlap=Overlap.ALLOW), NOON + 20 * MINUTE
    absences = (*away(NOON, NOON + 4.5 * MINUTE), *away(NOON + 10 * MINUTE, NOON + 12.5 * MINUTE))
    plan = planning.plan(one, now=now, unended=0, absences=absences)
    found = [(planned.outcome, planned.number) for planned in plan.occurrences]
    assert found[:7] == [(COALESCED, 4), *[(STARTED, 1)] * 6]
    assert found[7:] == [(COALESCED, 2), *[(STARTED, 1)] * 9]
    assert [one.is_caught_up for one in plan.occurrences].count(True) == 2


def test_a_moment_that_passed_during_an_absence_is_caught_up_once() -> None:
    once, now = schedule({"at": NOON.isoformat()}), NOON + timedelta(days=3)
    plan = planning.plan(once, now=now, unended=0, absences=away(NOON, now))
    assert (outcomes(plan), plan.next_run) == ([STARTED], None)
    assert plan.occurrences[0].reason == "caught up, 259200 s late"


def test_limit_and_end_hold_for_runs_of_times_too() -> None:
    now = NOON + timedelta(days=30)
    limited = schedule({"every_seconds": 1, "wait": False}, max_iterations=100, iterations=40)
    plan = planning.plan(limited, now=now, unended=0, absences=away(NOON, now))
    assert [(found.outcome, found.iteration, found.number) for found in plan.occurrences] == [
        (COALESCED, 41, 59),
        (STARTED, 100, 1),
    ]
    assert plan.next_run is None
    ending = schedule({"cron": "* * * * *"}, end_at=NOON + 90 * MINUTE, catch_up=CatchUp.NONE)
    plan = planning.plan(ending, now=now, unended=0, absences=away(NOON, now))
    assert ([(found.outcome, found.number) for found in plan.occurrences], plan.next_run) == ([(MISSED, 91)], None)


def test_limit_and_end_are_kept() -> None:
    limited = schedule(max_iterations=5, iterations=3, overlap=Overlap.ALLOW)
    plan = planning.plan(limited, now=NOON + 3 * MINUTE, unended=0)
    assert ([one.iteration for one in plan.occurrences], plan.next_run) == ([4, 5], None)
    ending = schedule(end_at=NOON + 2 * MINUTE)
    assert list(planning.times(ending, after=NOON)) == [NOON + MINUTE, NOON + 2 * MINUTE]


def test_an_interval_from_the_end_has_one_time_at_once() -> None:
    waiting = schedule({"every_seconds": 60}, iterations=1, max_iterations=3)
    plan = planning.plan(waiting, now=NOON + 10 * MINUTE, unended=0)
    assert (outcomes(plan), plan.next_run) == ([STARTED], None)
    assert planning.after_end(waiting, NOON + 10 * MINUTE) == NOON + 11 * MINUTE
    assert planning.after_end(waiting.model_copy(update={"iterations": 3}), NOON) is None
    assert planning.after_end(waiting.model_copy(update={"end_at": NOON}), NOON) is None


def test_jitter_delays_each_time_by_its_own_amount_and_loses_none() -> None:
    jittery = schedule(jitter_seconds=30, overlap=Overlap.ALLOW)
    delays = {planning.fire_at(jittery, NOON + n * MINUTE) - NOON - n * MINUTE for n in range(50)}
    assert len(delays) == 50
    assert timedelta(0) <= min(delays) < max(delays) < timedelta(seconds=30)
    assert planning.plan(jittery, now=NOON - MINUTE, unended=0).occurrences == ()


@pytest.mark.parametrize("catch_up", list(CatchUp))
def test_jitter_that_is_longer_than_the_interval_is_nobody_s_absence(catch_up: CatchUp) -> None:
    grid = {"every_seconds": 10, "wait": False}
    one = schedule(grid, jitter_seconds=120, overlap=Overlap.ALLOW, catch_up=catch_up)
    seen: list[planning.Planned] = []
    for second in range(900):
        plan = planning.plan(one, now=NOON + timedelta(seconds=second), unended=0)
        seen += plan.occurrences
        one = one.model_copy(update={"next_run": plan.next_run, "iterations": len(seen)})
    assert len(seen) > 70
    assert {(planned.outcome, planned.reason, planned.is_queued) for planned in seen} == {(STARTED, None, False)}


@pytest.mark.parametrize("seed", range(30))
def test_every_time_is_accounted_for_exactly_once_whenever_somebody_looks(seed: int) -> None:
    """Random policies and random looks: the outcomes follow the grid without a gap and without a double."""
    chance = random.Random(seed)
    one = schedule(
        {"every_seconds": chance.choice([1, 7.5, 60]), "wait": False},
        overlap=chance.choice(list(Overlap)),
        catch_up=chance.choice(list(CatchUp)),
        catch_up_window_seconds=chance.choice([None, 90]),
        jitter_seconds=chance.choice([0, 5]),
        max_iterations=chance.choice([None, 300]),
    )
    assert one.trigger.every_seconds is not None
    now = NOON
    seen: list[planning.Planned] = []
    while len(seen) < 300 and one.next_run is not None:
        plan = planning.plan(one, now=now, unended=chance.randrange(2))
        if not plan.occurrences:
            now += timedelta(seconds=chance.choice([0.5, 3, 40, 400]))
        seen += plan.occurrences
        one = one.model_copy(update={"next_run": plan.next_run, "iterations": one.iterations + len(plan.occurrences)})
    grid = [NOON + timedelta(seconds=n * one.trigger.every_seconds) for n in range(len(seen))]
    assert [planned.due for planned in seen] == grid
    assert [planned.iteration for planned in seen] == list(range(1, len(seen) + 1))


def expected(
    one: Schedule, dues: list[datetime], *, now: datetime, unended: int, absences: list[planning.Absence]
) -> list[OccurrenceOutcome]:
    """Say the outcome of each time as the rule has it, one time after the other."""

    def during(due: datetime) -> planning.Absence | None:
        return next((absence for absence in absences if absence.start < due < absence.end), None)

    def is_newest(due: datetime) -> bool:
        return max(other for other in dues if during(other) == during(due)) == due

    def is_late(due: datetime) -> bool:
        is_recent = is_newest(due) and now - due <= timedelta(seconds=30)
        return during(due) is not None and (not is_recent or runs_for_others(due))

    def is_too_old(due: datetime) -> bool:
        return one.catch_up_window_seconds is not None and (now - due).total_seconds() > one.catch_up_window_seconds

    def runs_for_others(due: datetime) -> bool:
        others = [other for other in dues if during(other) == during(due) and other < due and not is_too_old(other)]
        return one.catch_up is CatchUp.LAST and bool(others)

    found: list[OccurrenceOutcome] = []
    is_catching_up = False
    for due in dues:
        if is_late(due):
            if one.catch_up is CatchUp.NONE or is_too_old(due):
                found.append(MISSED)
            elif one.catch_up is CatchUp.LAST and not is_newest(due):
                found.append(COALESCED)
            else:
                found.append(STARTED)
                is_catching_up = True
        elif one.catch_up is CatchUp.ALL and is_catching_up:
            found.append(STARTED)
        elif one.overlap is Overlap.SKIP and unended:
            found.append(SKIPPED)
        elif one.overlap is Overlap.CANCEL and any(other > due and not is_late(other) for other in dues):
            found.append(COALESCED)
        else:
            found.append(STARTED)
        unended += found[-1] is STARTED
    return found


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    trigger=st.sampled_from(
        [
            {"every_seconds": 2, "wait": False},
            {"every_seconds": 7.5, "wait": False},
            {"every_seconds": 45, "wait": False},
            {"cron": "* * * * *"},
            {"cron": "*/7 12 * * *"},
        ]
    ),
    catch_up=st.sampled_from(CatchUp),
    overlap=st.sampled_from(Overlap),
    window=st.sampled_from([None, 10.0, 60.0]),
    limit=st.sampled_from([None, 5]),
    unended=st.integers(0, 2),
    lengths=st.lists(st.floats(0.5, 100), min_size=2, max_size=5),
    passed=st.floats(0, 60),
)
def test_each_time_has_the_outcome_that_the_rule_gives_it(
    trigger: dict[str, Any],
    catch_up: CatchUp,
    overlap: Overlap,
    window: float | None,
    limit: int | None,
    unended: int,
    lengths: list[float],
    passed: float,
) -> None:
    """Under all policies, with stretches with and without a scheduler by turns."""
    policies = {"catch_up": catch_up, "overlap": overlap, "catch_up_window_seconds": window}
    one = schedule(trigger, max_iterations=limit, **policies)
    moments = [NOON - timedelta(seconds=0.25)]
    moments += [moments[0] + timedelta(seconds=sum(lengths[: n + 1])) for n in range(len(lengths))]
    absences = [planning.Absence(*pair) for pair in zip(moments[::2], moments[1::2], strict=False)]
    now = moments[-1] + timedelta(seconds=passed)
    dues = [due for due in islice(planning.times(one, after=NOON - MINUTE), 500) if due <= now]
    plan = planning.plan(one, now=now, unended=unended, absences=absences)
    told = [planned.outcome for planned in plan.occurrences for _ in range(planned.number)]
    assert told == expected(one, dues, now=now, unended=unended, absences=absences)
    numbers = [n for planned in plan.occurrences for n in range(planned.iteration, planned.iteration + planned.number)]
    assert numbers == list(range(1, len(dues) + 1))
    assert all(planned.due == dues[planned.iteration - 1] for planned in plan.occurrences)
    assert all(planned.number == 1 for planned in plan.occurrences if planned.outcome is STARTED)
