"""What becomes of the times of a schedule: overlap, catch-up, windows, limits, jitter."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

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


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        (CatchUp.LAST, [COALESCED] * 10 + [STARTED]),
        (CatchUp.ALL, [STARTED] * 11),
        (CatchUp.NONE, [MISSED] * 10 + [STARTED]),
    ],
)
def test_catching_up_after_ten_minutes(catch_up: CatchUp, expected: list[OccurrenceOutcome]) -> None:
    plan = planning.plan(schedule(catch_up=catch_up), now=NOON + 10 * MINUTE, unended=1 if catch_up != "none" else 0)
    assert outcomes(plan) == expected
    assert [one.iteration for one in plan.occurrences] == list(range(1, 12))
    assert plan.next_run == NOON + 11 * MINUTE
    queued = [one.is_queued for one in plan.occurrences]
    assert queued == ([False] + [True] * 10 if catch_up is CatchUp.ALL else [False] * 11), "one after another"


def test_what_is_too_old_for_the_window_is_missed() -> None:
    late = schedule(catch_up=CatchUp.ALL, catch_up_window_seconds=150)
    assert outcomes(planning.plan(late, now=NOON + 5 * MINUTE, unended=0)) == [MISSED] * 3 + [STARTED] * 3
    daily = schedule({"daily_at": "12:00"}, catch_up_window_seconds=3600)
    assert outcomes(planning.plan(daily, now=NOON + timedelta(hours=2), unended=0)) == [MISSED]


def test_a_moment_that_passed_while_nobody_was_there_is_caught_up_once() -> None:
    once = schedule({"at": NOON.isoformat()})
    plan = planning.plan(once, now=NOON + timedelta(days=3), unended=0)
    assert (outcomes(plan), plan.next_run) == ([STARTED], None)


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
