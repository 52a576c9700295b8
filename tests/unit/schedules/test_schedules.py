"""Schedules from the service down to the rows, by a clock that the tests move; nothing runs."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from cloudo_kernel import errors, planning
from cloudo_kernel.models import Backfill, ChangeSchedule, Origin, PreviewSchedule, ScheduleTrigger
from cloudo_kernel.service import Service
from cloudo_kernel.settings import RETENTION, TIMEZONE
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow
from tests.unit.conftest import Clock
from tests.unit.overtaken import Overtaken
from tests.unit.schedules.steps import GRID, MINUTE, away, executions, make, occurrences, run, told

pytestmark = pytest.mark.db


def test_a_moment_starts_one_execution_with_what_the_flow_knows(api: Service, clock: Clock) -> None:
    made = make(api, {"at": "2026-11-23T13:00:00", "timezone": "Europe/Vienna"}, inputs={"n": 5})
    assert api.run_due_schedules() == 1, "13:00 in Vienna is now"
    [started] = executions(api, made)
    assert started.name == "scheduled report"
    assert started.input_value == {"n": 5, "iterations": 1}
    assert (started.trigger, started.user_name, started.scheduled_for) == (Origin.SCHEDULE, "ada", clock.now)
    after = api.schedule(made.id)
    assert (after.next_run, after.iterations, after.next_runs) == (None, 1, ())
    assert after.last_occurrence is not None
    assert after.last_occurrence.execution_id == started.id
    assert api.run_due_schedules() == 0


def test_a_flow_that_takes_any_inputs_is_told_everything(api: Service, clock: Clock) -> None:
    made = make(api, {**GRID, "max_iterations": 3}, flow_name="anything")
    api.run_due_schedules()
    [started] = executions(api, made)
    assert started.name == "anything iteration #1"
    assert started.input_value == {
        "start": clock.now.timestamp(),
        "iterations": 1,
        "max_iterations": 3,
        "scheduled_for": "2026-11-23T12:00:00.000000Z",
    }


def test_the_grid_does_not_drift_and_ends_at_its_limit(api: Service, store: Store, clock: Clock) -> None:
    made = make(api, {**GRID, "max_iterations": 4})
    start = clock.now
    for _ in range(6):
        api.run_due_schedules()
        run(store)
        clock.now += timedelta(seconds=61)  # each look is a second later than the one before
    assert [one.due for one in occurrences(api, made)] == [start + n * MINUTE for n in range(4)]
    assert [one.lateness_seconds for one in occurrences(api, made)] == [0, 1, 2, 3]
    assert api.schedule(made.id).next_run is None


def test_an_interval_from_the_end_waits_for_it(api: Service, store: Store, clock: Clock) -> None:
    made = make(api, {"every_seconds": 60})
    api.run_due_schedules()
    clock.now += 10 * MINUTE
    assert (api.run_due_schedules(), api.schedule(made.id).next_run) == (0, None)
    run(store, fails=True)
    assert api.schedule(made.id).next_run == clock.now + MINUTE, "the loop goes on after a failure"
    clock.now += MINUTE
    assert api.run_due_schedules() == 1
    assert told(api, made) == ["STARTED 1", "STARTED 2"]


def test_what_was_read_ahead_and_changed_since_starts_as_it_is_now(api: Service, store: Store, clock: Clock) -> None:
    """What is due soon is read before it is: a change in between, or an execution out of turn, has to count."""
    soon = {"every_seconds": 60, "wait": False, "start": "2026-11-23T12:00:05Z"}
    names = ("plain", "changed", "paused", "deleted", "busy")
    made = {name: make(api, soon, name=name, inputs={"n": 1}) for name in names}
    while store.schedules.read_ahead():
        pass
    assert store.schedules._ahead.keys() == {one.id for one in made.values()}
    api.change_schedule(made["changed"].id, ChangeSchedule(inputs={"n": 2}))
    api.pause_schedule(made["paused"].id)
    api.delete_schedule(made["deleted"].id)
    api.trigger_schedule(made["busy"].id)
    late = make(api, soon, name="late")
    clock.now += timedelta(seconds=5)
    assert api.run_due_schedules() == 4
    assert [executions(api, made[name])[0].input_value["n"] for name in ("plain", "changed")] == [1, 2]
    assert [executions(api, made[name]) for name in ("paused", "deleted")] == [[], []]
    assert occurrences(api, made["busy"])[-1].outcome == "SKIPPED"
    assert told(api, late) == ["STARTED 1"]
    for moved in (timedelta(seconds=30), timedelta(hours=-2), timedelta(hours=2, seconds=40)):
        clock.now += moved
        while store.schedules.read_ahead():
            pass
        api.run_due_schedules()
    assert told(api, made["plain"]) == ["STARTED 1", "SKIPPED 2"], "the clock was set back and forward again"


@pytest.mark.parametrize("catch_up", ["last", "none", "all"])
def test_a_month_of_seconds_leaves_one_row_and_the_newest_time_starts(
    api: Service, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, catch_up: str
) -> None:
    monkeypatch.setattr(planning, "MAX_CAUGHT_UP", 400)
    monkeypatch.setattr(planning, "MAX_AT_ONCE", 150)
    made = make(api, {"every_seconds": 1, "wait": False}, catch_up=catch_up)
    away(store, clock, timedelta(days=30, milliseconds=500))
    looks = 0
    while api.run_due_schedules():
        looks += 1
    first, *others = occurrences(api, made)
    assert (first.due, first.iteration, first.execution_id) == (made.start, 1, None)
    assert first.until == made.start + timedelta(seconds=first.count - 1)
    assert (others[0].due, others[-1].due) == (first.until + timedelta(seconds=1), made.start + timedelta(days=30))
    assert api.schedule(made.id).iterations == 30 * 86_400 + 1
    assert {one.outcome.value for one in others} == {"STARTED"}
    if catch_up == "all":
        assert (len(others), looks) == (400, 3)
        assert first.reason == "more than 400 runs were missed, and the newest 400 are caught up"
    else:
        assert (len(others), looks) == (1, 1)
        assert first.outcome == {"last": "COALESCED", "none": "MISSED"}[catch_up]


def test_what_one_slow_look_finds_is_not_late_and_is_accounted_for_in_bounded_steps(api: Service, clock: Clock) -> None:
    made = make(api, {"every_seconds": 1, "wait": False})
    clock.now += timedelta(minutes=30)
    looks = 0
    while api.run_due_schedules():
        looks += 1
    assert looks > 2
    assert api.schedule(made.id).iterations == 1801
    assert len(executions(api, made)) == 1


def test_a_deleted_flow_breaks_its_schedule_and_says_so(api: Service, store: Store, clock: Clock) -> None:
    made = make(api, GRID, flow_name="anything")
    api.delete_flow("anything")
    assert "no flow 'anything'" in str(api.schedule(made.id).broken)
    api.run_due_schedules()
    [skipped] = occurrences(api, made)
    assert (skipped.outcome, "no flow 'anything'" in str(skipped.reason)) == ("SKIPPED", True)
    write_flow(api._catalog.workspace.root, "anything", "1")
    clock.now += MINUTE
    api.run_due_schedules()
    assert (told(api, made), api.schedule(made.id).broken) == (["SKIPPED 1", "STARTED 2"], None)


def test_inputs_that_no_longer_fit_break_it_and_pinned_source_does_not(api: Service, clock: Clock) -> None:
    plain, pinned = (make(api, GRID, inputs={"n": 2}, pin_source=pin) for pin in (False, True))
    write_flow(api._catalog.workspace.root, "report", "1", parameters="n: str = 'x'")
    assert "n" in str(api.schedule(plain.id).broken)
    assert api.schedule(pinned.id).broken is None
    api.run_due_schedules()
    assert (told(api, plain), told(api, pinned)) == (["SKIPPED 1"], ["STARTED 1"])
    [started] = executions(api, pinned)
    assert "n: int = 1" in api.execution_source(started.id)
    api.cancel_execution(started.id)
    api.delete_execution(started.id)
    clock.now += MINUTE
    api.run_due_schedules()
    assert told(api, pinned) == ["STARTED 1", "STARTED 2"], "its source outlives its executions"


def test_an_input_that_the_flow_has_lost_stays_readable_and_does_no_harm(api: Service) -> None:
    made = make(api, GRID, inputs={"n": 2})
    write_flow(api._catalog.workspace.root, "report", "1", parameters="m: int = 1")
    api.run_due_schedules()
    [started] = executions(api, made)
    assert started.input_value == {"n": 2}
    assert api.schedule(made.id).broken is None


def test_a_renamed_flow_takes_its_schedules_along(api: Service) -> None:
    made = make(api, GRID)
    api.change_flow("report", new_name="reports/daily")
    assert api.schedule(made.id).flow_name == "reports/daily"
    assert api.flow("reports/daily").next_run == made.next_run


def test_run_now_is_out_of_turn(api: Service, clock: Clock) -> None:
    made = make(api, {"daily_at": "23:00"})
    first, second = api.trigger_schedule(made.id), api.trigger_schedule(made.id)
    assert first.id != second.id
    after = api.schedule(made.id)
    assert (after.iterations, after.next_run) == (0, made.next_run)
    assert [one.reason for one in occurrences(api, made)] == ["started by ada, out of turn"] * 2
    assert [one.schedule_id for one in (first, second)] == [made.id] * 2


@pytest.mark.parametrize(
    "trigger", [GRID, {"every_seconds": 60}, {"at": "2026-11-23T12:00:00Z"}, {"cron": "0 12 * * *"}]
)
def test_run_now_takes_no_planned_time_s_place(api: Service, clock: Clock, trigger: dict[str, Any]) -> None:
    """Not even in the same microsecond."""
    made = make(api, trigger, overlap="allow", confirmed=True, timezone="UTC")
    assert made.next_run == clock.now
    api.trigger_schedule(made.id)
    assert api.run_due_schedules() == 1
    api.trigger_schedule(made.id)
    told_of = [(one.due - clock.now, one.iteration) for one in occurrences(api, made)]
    tick = timedelta(microseconds=1)
    assert told_of == [(0 * tick, 1), (tick, None), (2 * tick, None)]


def test_backfill_runs_the_past_in_order_and_never_twice(api: Service, store: Store, clock: Clock) -> None:
    made = make(api, {"cron": "0 * * * *"})
    span = Backfill(start=datetime(2026, 11, 23, 6), end=datetime(2026, 11, 23, 9, 30))  # noqa: DTZ001 local
    with pytest.raises(errors.MalformedRequest, match="past"):
        api.backfill_schedule(made.id, Backfill(start=clock.now, end=clock.now + MINUTE))
    told_first = api.backfill_schedule(made.id, span.model_copy(update={"dry_run": True}))
    assert [(one.due.hour, one.execution_id) for one in told_first] == [(hour, None) for hour in (6, 7, 8, 9)]
    assert api.occurrences(made.id).items == ()
    filled = api.backfill_schedule(made.id, span)
    assert [one.due.hour for one in filled] == [6, 7, 8, 9]
    assert api.backfill_schedule(made.id, span) == ()
    ids = [one.execution_id for one in filled]
    assert [claim.id for claim in store.queue.claim("w", free=100, private=False)] == ids[:1]
    assert api.schedule(made.id).iterations == 0
    with pytest.raises(errors.MalformedRequest, match="past times"):
        api.backfill_schedule(make(api, {"every_seconds": 60}).id, span)


@pytest.mark.parametrize("seconds", [1 / 3, 0.7, 60])
def test_backfill_goes_along_the_grid_from_before_its_start(api: Service, clock: Clock, seconds: float) -> None:
    made = make(api, {**GRID, "every_seconds": seconds}, overlap="allow", catch_up="all", confirmed=True)
    span = Backfill(start=clock.now - timedelta(seconds=100 * seconds), end=clock.now + timedelta(seconds=2 * seconds))
    clock.now += timedelta(seconds=5 * seconds)
    api.run_due_schedules()
    filled = api.backfill_schedule(made.id, span)
    assert (len(filled), filled[-1].due < made.start) == (100, True), "what has run does not run again"
    exact = [made.start - timedelta(microseconds=round(n * seconds * 1e6)) for n in range(100, 0, -1)]
    assert [one.due for one in filled] == exact


def test_backfill_replaces_what_was_missed(api: Service, store: Store, clock: Clock) -> None:
    made = make(api, {**GRID, "max_iterations": 3}, catch_up="none")
    start = clock.now
    away(store, clock, 10 * MINUTE)
    api.run_due_schedules()
    assert told(api, made) == ["MISSED 1-3"]
    api.backfill_schedule(made.id, Backfill(start=start, end=start + 2 * MINUTE))
    assert told(api, made) == ["STARTED None", "STARTED None", "MISSED 3"]


def test_a_preview_shows_zone_and_utc_and_what_is_odd(api: Service, store: Store) -> None:
    store.settings.save(TIMEZONE, "Europe/Vienna", user_name="ada")
    daily = api.preview_schedule(PreviewSchedule(trigger=ScheduleTrigger(daily_at="08:30")))
    assert (daily.timezone, len(daily.times), daily.needs_confirmation) == ("Europe/Vienna", 10, False)
    assert daily.times[0].text == "Tue 24 Nov 08:30"
    assert daily.times[0].local == "2026-11-24T08:30:00+01:00"
    earlier = PreviewSchedule(trigger=ScheduleTrigger(daily_at="08:30"), after=datetime(2020, 1, 1, tzinfo=UTC))
    assert api.preview_schedule(earlier).times[0].local == "2020-01-01T08:30:00+01:00"
    past = api.preview_schedule(PreviewSchedule(trigger=ScheduleTrigger(at=datetime(2020, 1, 1, tzinfo=UTC))))
    assert past.needs_confirmation
    assert past.notes


@pytest.mark.parametrize(
    ("trigger", "field"),
    [
        ({"every_seconds": 0.5}, "confirmed"),
        ({"at": "2020-01-01T00:00:00Z"}, "confirmed"),
        ({"cron": "0 0 31 2 *"}, "trigger.cron"),
        ({"cron": "0 0 * * * *"}, "trigger.cron"),
        ({"daily_at": "08:30", "timezone": "Mars/Olympus"}, "timezone"),
        ({"at": "9999-12-31T23:59:59"}, "trigger.at"),
    ],
)
def test_what_is_odd_is_refused_at_the_door(api: Service, trigger: dict[str, Any], field: str) -> None:
    with pytest.raises(errors.CloudoError) as refused:
        make(api, trigger)
    assert refused.value.field == field
    assert api.schedules().items == ()


def test_a_moment_in_the_past_runs_at_once_if_that_is_meant(api: Service, clock: Clock) -> None:
    made = make(api, {"at": "2020-01-01T00:00:00Z"}, confirmed=True)
    assert made.next_run == clock.now
    assert api.run_due_schedules() == 1
    assert told(api, made) == ["STARTED 1"]


def test_several_who_look_at_once_start_each_occurrence_once(api: Service, workspace: Workspace, clock: Clock) -> None:
    made = [make(api, GRID, overlap="allow") for _ in range(40)]
    stores = [Store.open(workspace.database_url, clock=clock) for _ in range(3)]
    services = [Service(store, Catalog(workspace), user_name="cloudo") for store in stores]
    for _ in range(5):
        threads = [threading.Thread(target=service.run_due_schedules) for service in services for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clock.now += MINUTE
    for store in stores:
        store.close()
    for one in made:
        assert told(api, one) == [f"STARTED {n}" for n in range(1, 6)]
        assert len(executions(api, one)) == 5


def test_old_occurrences_and_finished_ones_are_forgotten(api: Service, store: Store, clock: Clock) -> None:
    once, grid = make(api, {"delay_seconds": 0}), make(api, GRID)
    begin = clock.now
    api.run_due_schedules()
    run(store)
    store.settings.save(RETENTION, 60, user_name="ada")
    clock.now += timedelta(hours=2)
    api.run_due_schedules()
    past = begin - timedelta(days=99)
    [filled] = api.backfill_schedule(grid.id, Backfill(start=past, end=past + timedelta(seconds=1)))
    api.delete_expired()
    assert [one.id for one in api.schedules().items] == [grid.id]
    kept = occurrences(api, grid)
    assert kept[0] == filled, "what was decided just now is kept, however long ago it was due"
    assert [(one.due, one.count) for one in kept[1:]] == [(begin + MINUTE, 1), (begin + 2 * MINUTE, 119)]
    with pytest.raises(errors.ScheduleNotFound):
        api.schedule(once.id)


def test_deleting_one_leaves_its_executions(api: Service) -> None:
    made = make(api, GRID)
    api.run_due_schedules()
    api.delete_schedule(made.id)
    assert len(executions(api, made)) == 1
    assert api.run_due_schedules() == 0
    for verb in (api.schedule, api.delete_schedule, api.pause_schedule, api.trigger_schedule, api.occurrences):
        with pytest.raises(errors.ScheduleNotFound):
            verb(made.id)


def test_health_tells_of_schedules_that_nobody_looks_after(api: Service, store: Store, clock: Clock) -> None:
    made = make(api, GRID)
    clock.now += timedelta(seconds=1)
    assert api.health().overdue_schedules == 0, "the scheduler may be at it"
    for _ in range(2):
        store.workers.beat("w", has_scheduler=True)
        clock.now += timedelta(seconds=1)
    assert api.health().overdue_schedules == 1, "it lived, and has not started it"
    store.queue.release("w", lost=False)
    assert api.health().overdue_schedules == 1
    api.pause_schedule(made.id)
    assert api.health().overdue_schedules == 0


def test_a_pause_between_the_end_of_a_run_and_its_note_is_kept(api: Service, store: Store, clock: Clock) -> None:
    overtaken = Overtaken(store)
    made = make(api, {"every_seconds": 60})  # counted from the end of the last run
    api.run_due_schedules()
    pause = text("UPDATE schedules SET enabled = :no, revision = revision + 1").bindparams(no=False)
    overtaken.at("UPDATE schedules", lambda connection: connection.execute(pause))
    run(store)
    assert overtaken.is_done
    after = api.schedule(made.id)
    assert (after.enabled, after.next_run) == (False, None)
