"""What runs beside what: overlap and catching up, whoever else starts something of the same schedule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from cloudo_kernel import planning
from cloudo_kernel.models import Backfill, Overlap, Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Outcome, Store
from cloudo_kernel.store.tables import schedules
from tests.unit.conftest import Clock
from tests.unit.schedules.steps import GRID, MINUTE, away, executions, make, occurrences, one_by_one, run, told

pytestmark = pytest.mark.db


def test_overlap_skips_queues_and_cancels(api: Service, store: Store, clock: Clock) -> None:
    policies = ("skip", "queue", "cancel", "allow")
    made = {overlap: make(api, GRID, overlap=overlap) for overlap in policies}
    for _ in range(3):
        api.run_due_schedules()
        clock.now += MINUTE
    assert told(api, made["skip"]) == ["STARTED 1", "SKIPPED 2", "SKIPPED 3"]
    statuses = {overlap: [one.status.value for one in executions(api, made[overlap])] for overlap in policies}
    assert statuses["cancel"] == ["ENDED_CANCELLED", "ENDED_CANCELLED", "PENDING"]
    claimed = {claim.id for claim in store.queue.claim("w", free=100, private=False)}
    queued = [one.id for one in executions(api, made["queue"])]
    assert [one in claimed for one in queued] == [True, False, False], "one after another"
    assert all(one.id in claimed for one in executions(api, made["allow"]))
    attempt = api.execution(queued[0]).attempt
    store.reports.finish(queued[0], attempt, Outcome(status=Status.ENDED_ERROR))
    assert queued[1] in {claim.id for claim in store.queue.claim("w", free=100, private=False)}, "whatever its end"


@pytest.mark.parametrize("trigger", [GRID, {"every_seconds": 60}])
def test_nothing_waits_for_an_end_that_came_while_it_was_thought_about(
    api: Service, store: Store, clock: Clock, trigger: dict[str, Any]
) -> None:
    made = make(api, trigger, overlap="queue")
    if trigger is GRID:
        api.run_due_schedules()
        clock.now += MINUTE
    else:
        clock.now += timedelta(seconds=1)
        api.trigger_schedule(made.id)
    [due] = store.schedules.due(most=10)
    firing = api._firing(due, clock.now, api._build_template)
    run(store)
    assert store.occurrences.fire([firing], user_name="cloudo") == 0
    assert api.run_due_schedules() == 1
    assert len(store.queue.claim("w", free=100, private=False)) == 1


def test_one_that_changes_while_it_is_thought_about_is_left_alone_and_the_others_start(
    api: Service, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused, deleted, kept, other = [make(api, {"delay_seconds": 60}) for _ in range(4)]
    clock.now += MINUTE
    fire = store.occurrences.fire

    def interrupted(firings: Any, **more: Any) -> int:
        monkeypatch.undo()
        api.pause_schedule(paused.id)
        api.delete_schedule(deleted.id)
        return fire(firings, **more)

    monkeypatch.setattr(store.occurrences, "fire", interrupted)
    assert api.run_due_schedules() == 2
    assert [len(executions(api, one)) for one in (paused, deleted, kept, other)] == [0, 0, 1, 1]
    assert [told(api, one) for one in (paused, kept, other)] == [["MISSED 1"], ["STARTED 1"], ["STARTED 1"]]
    assert api.run_due_schedules() == 0


def test_downtime_is_caught_up_in_order_one_after_another(api: Service, store: Store, clock: Clock) -> None:
    made = make(api, GRID, catch_up="all")
    away(store, clock, 3 * MINUTE)
    api.run_due_schedules()
    assert told(api, made) == ["STARTED 1", "STARTED 2", "STARTED 3", "STARTED 4"]
    ids = [one.id for one in executions(api, made)]
    for execution_id in ids:
        assert [claim.id for claim in store.queue.claim("w", free=100, private=False)] == [execution_id]
        store.reports.finish(execution_id, 1, Outcome(status=Status.ENDED_SUCCESS))


def test_what_is_queued_comes_after_all_that_runs(api: Service, store: Store, clock: Clock) -> None:
    """Also after what was started out of turn, in whatever order these end."""
    made = make(api, GRID, overlap="queue")
    for moved in (MINUTE, timedelta()):
        api.run_due_schedules()
        clock.now += moved
    api.trigger_schedule(made.id)
    first, queued, out_of_turn = [one.id for one in executions(api, made)]
    clock.now += MINUTE
    api.run_due_schedules()
    claims = {claim.id: claim.attempt for claim in store.queue.claim("w", free=100, private=False)}
    assert claims.keys() == {first, out_of_turn}
    store.reports.finish(out_of_turn, claims[out_of_turn], Outcome(status=Status.ENDED_SUCCESS))
    assert store.queue.claim("w", free=100, private=False) == ()
    store.reports.finish(first, claims[first], Outcome(status=Status.ENDED_SUCCESS))
    assert [claim.id for claim in store.queue.claim("w", free=1, private=False)] == [queued]
    store.reports.finish(queued, 1, Outcome(status=Status.ENDED_SUCCESS))
    assert one_by_one(store) == 1


def test_more_than_is_caught_up_at_once_still_runs_one_after_another(
    api: Service, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MAX_AT_ONCE", 3)
    make(api, GRID, catch_up="all")
    away(store, clock, 7 * MINUTE)
    while api.run_due_schedules():
        pass
    away(store, clock, 5 * MINUTE)  # once more
    while api.run_due_schedules():
        pass
    assert one_by_one(store) == 13


def test_what_was_backfilled_is_not_caught_up_and_nothing_waits_for_it(
    api: Service, store: Store, clock: Clock
) -> None:
    made, begin = make(api, GRID, catch_up="all"), clock.now
    away(store, clock, 4 * MINUTE)
    api.backfill_schedule(made.id, Backfill(start=begin, end=begin + MINUTE))
    api.backfill_schedule(made.id, Backfill(start=begin + 2 * MINUTE, end=begin + 4 * MINUTE))
    run(store)
    api.run_due_schedules()
    assert [one.iteration for one in occurrences(api, made)] == [None, 2, None, None, 5]
    assert len(executions(api, made)) == 5
    run(store)
    assert one_by_one(store) == 2 - 1, "the second of them waited for the first only"
    assert all(one.is_ended for one in executions(api, made))


def test_nothing_starts_beside_what_was_started_out_of_turn_while_it_was_thought_about(
    api: Service, store: Store, clock: Clock
) -> None:
    made = make(api, GRID)
    [due] = store.schedules.due(most=10)
    firing = api._firing(due, clock.now, api._build_template)
    api.trigger_schedule(made.id)
    assert store.occurrences.fire([firing], user_name="cloudo") == 0
    api.run_due_schedules()
    assert [one.outcome.value for one in occurrences(api, made)] == ["SKIPPED", "STARTED"]


def test_two_who_backfill_at_once_run_each_time_once(
    api: Service, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(api, {"cron": "0 * * * *"}, timezone="UTC")
    early, late = (Backfill(start=clock.now - hours * 60 * MINUTE, end=clock.now - MINUTE) for hours in (3, 5))
    start = store.occurrences.start

    def overtaken(*given: Any, **more: Any) -> bool:
        monkeypatch.undo()
        assert len(api.backfill_schedule(made.id, early)) == 3
        return start(*given, **more)

    monkeypatch.setattr(store.occurrences, "start", overtaken)
    assert [one.due.hour for one in api.backfill_schedule(made.id, late)] == [7, 8]
    run(store)
    run(store)
    run(store)
    assert [one.status for one in executions(api, made)] == [Status.ENDED_SUCCESS] * 5


def test_what_cannot_be_started_cancels_nothing(api: Service, store: Store, clock: Clock) -> None:
    made = make(api, GRID, flow_name="anything", overlap="cancel")
    api.run_due_schedules()
    api.delete_flow("anything")
    clock.now += MINUTE
    api.run_due_schedules()
    assert told(api, made) == ["STARTED 1", "SKIPPED 2"]
    assert [one.status for one in executions(api, made)] == [Status.PENDING]


def test_one_in_a_zone_that_only_others_know_keeps_nobody_from_starting(
    api: Service, store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    strange, plain = make(api, {"cron": "* * * * *"}), make(api, GRID)
    in_zone("Mars/Olympus", strange.id, store)
    away(store, clock, 3 * MINUTE)
    api.run_due_schedules()
    assert "A schedule could not be processed" in caplog.text
    assert (told(api, strange), told(api, plain)[-1]) == ([], "SKIPPED 4")
    seen = api.schedule(strange.id)
    assert "no time zone 'Mars/Olympus'" in str(seen.broken)
    assert seen.next_run == strange.next_run
    assert seen.state == "broken"
    assert seen.state_reason == seen.broken
    assert api.pause_schedule(strange.id).enabled is False
    in_zone("UTC", strange.id, store)
    api.resume_schedule(strange.id)
    clock.now += MINUTE
    api.run_due_schedules()
    assert told(api, strange) == ["STARTED 1"]


def in_zone(name: str, schedule_id: str, store: Store) -> None:
    """Let a schedule be in a zone, whether this machine knows it or not."""
    with store._database.write() as connection:
        connection.execute(update(schedules).where(schedules.c.id == schedule_id).values(timezone=name))


def test_caught_up_runs_are_not_cancelled_and_those_that_come_meanwhile_queue_behind_them(
    api: Service, store: Store, clock: Clock
) -> None:
    """With every policy, as long as it catches up; what had not ended before is left alone."""
    made = {overlap: make(api, GRID, overlap=overlap, catch_up="all") for overlap in Overlap}
    for one in made.values():
        api.trigger_schedule(one.id)
    away(store, clock, 2.5 * MINUTE)
    api.run_due_schedules()
    clock.now += MINUTE
    api.run_due_schedules()
    clock.now += MINUTE
    api.run_due_schedules()
    for overlap, one in made.items():
        planned = ["STARTED 1", "STARTED None", "STARTED 2", "STARTED 3", "STARTED 4", "STARTED 5"]
        assert told(api, one) == planned, overlap
        assert {execution.status for execution in executions(api, one)} == {Status.PENDING}, "nothing is cancelled"
    for _ in range(6):
        run(store)
    assert {one.status for overlap in made.values() for one in executions(api, overlap)} == {Status.ENDED_SUCCESS}


def test_the_queue_of_what_came_meanwhile_does_not_grow_for_ever(api: Service, store: Store, clock: Clock) -> None:
    """Each run takes two intervals: `skip` decides again when all that was late has ended."""
    made = make(api, GRID, catch_up="all")
    away(store, clock, 3.5 * MINUTE)
    for _ in range(20):
        api.run_due_schedules()
        claims = store.queue.claim("w", free=100, private=False)
        for claim in claims:
            store.reports.begin(claim.id, claim.attempt)
        for _ in range(2):
            clock.now += MINUTE
            api.run_due_schedules()
        for claim in claims:
            store.reports.finish(claim.id, claim.attempt, Outcome(status=Status.ENDED_SUCCESS))
    outcomes = [one.outcome.value for one in occurrences(api, made)]
    assert outcomes[:9] == ["STARTED"] * 9
    assert outcomes[-6:].count("SKIPPED") >= 3
    unended = [one for one in executions(api, made) if not one.is_ended]
    assert len(unended) <= 3


def test_a_run_of_missed_times_is_cut_by_what_was_backfilled(api: Service, store: Store, clock: Clock) -> None:
    """Before it is noted, and after; its ends are times that were missed."""
    made, begin = make(api, GRID, catch_up="none"), clock.now
    away(store, clock, 9.9 * MINUTE)

    def backfill(first: float, end: float) -> None:
        span = Backfill(start=begin + first * MINUTE, end=begin + end * MINUTE)
        api.backfill_schedule(made.id, span)

    def missed() -> list[tuple[float, float, int, int | None]]:
        return [
            ((one.due - begin) / MINUTE, ((one.until or one.due) - begin) / MINUTE, one.count, one.iteration)
            for one in occurrences(api, made)
            if one.outcome == "MISSED"
        ]

    backfill(0, 0.5)
    backfill(3, 4.5)
    api.run_due_schedules()
    assert missed() == [(1, 9, 7, 2)]
    backfill(1, 2.5)
    assert missed() == [(5, 9, 5, 6)]
    backfill(8, 9.2)
    assert missed() == [(5, 7, 3, 6)]
    backfill(6, 6.5)
    assert missed() == [(5, 7, 2, 6)]
    backfill(0, 9.2)
    assert missed() == []
    assert len(executions(api, made)) == 10
    assert api.schedule(made.id).iterations == 10
