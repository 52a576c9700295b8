"""Schedules that are changed, paused and resumed: no time is lost, and none comes twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import NoResultFound

from cloudo_kernel import errors, planning
from cloudo_kernel.models import ChangeSchedule, ScheduleTrigger
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from tests.unit.conftest import Clock
from tests.unit.schedules.steps import GRID, MINUTE, make, occurrences, run, told

pytestmark = pytest.mark.db


def test_it_pauses_after_errors_in_a_row_and_resumes(api: Service, store: Store, clock: Clock) -> None:
    made = make(api, GRID, pause_on_error_count=2)
    for fails in (True, False, True, True):
        api.run_due_schedules()
        run(store, fails=fails)
        clock.now += MINUTE
    paused = api.schedule(made.id)
    assert (paused.enabled, paused.next_run) == (False, None)
    assert paused.pause_reason == "2 executions in a row ended in error"
    clock.now += timedelta(seconds=30)
    resumed = api.resume_schedule(made.id)
    assert (resumed.enabled, resumed.pause_reason) == (True, None)
    assert resumed.next_run == datetime(2026, 11, 23, 12, 5, tzinfo=UTC), "the times that passed are gone"


def test_editing_in_place_keeps_what_was(api: Service, store: Store, clock: Clock) -> None:
    made = make(api, {"daily_at": "13:00"}, timezone="Europe/Vienna", inputs={"n": 2})
    api.run_due_schedules()
    later = ScheduleTrigger(daily_at="14:30")
    changed = api.change_schedule(made.id, ChangeSchedule(trigger=later, overlap="allow"))
    assert (changed.next_run, changed.timezone) == (datetime(2026, 11, 23, 13, 30, tzinfo=UTC), "Europe/Vienna")
    assert (changed.inputs, changed.overlap, changed.iterations) == ({"n": 2}, "allow", 1)
    again = api.change_schedule(made.id, ChangeSchedule(trigger=ScheduleTrigger(daily_at="13:00")))
    assert again.next_run == datetime(2026, 11, 24, 12, tzinfo=UTC), "what has run today does not run again"
    moved = api.change_schedule(made.id, ChangeSchedule(timezone="Asia/Tokyo"))
    assert moved.next_run == datetime(2026, 11, 24, 4, tzinfo=UTC)
    with pytest.raises(errors.InputsInvalid):
        api.change_schedule(made.id, ChangeSchedule(inputs={"n": "many"}))
    with pytest.raises(errors.Conflict, match="no time left"):
        api.change_schedule(made.id, ChangeSchedule(trigger=later, end_at=clock.now - MINUTE))


def test_editing_one_that_waits_for_an_end_does_not_start_it_twice(api: Service, store: Store, clock: Clock) -> None:
    made = make(api, {"every_seconds": 60})
    api.run_due_schedules()
    changed = api.change_schedule(made.id, ChangeSchedule(trigger=ScheduleTrigger(every_seconds=300)))
    assert changed.next_run is None
    assert api.run_due_schedules() == 0
    run(store)
    assert api.schedule(made.id).next_run == clock.now + 5 * MINUTE


def test_a_change_of_something_else_leaves_the_next_time(api: Service, store: Store, clock: Clock) -> None:
    """Also one that counts from the end of the last run, and one that has come while nobody was there."""
    waiting, daily = make(api, {"every_seconds": 600}), make(api, {"daily_at": "13:00"}, timezone="UTC")
    api.run_due_schedules()
    clock.now += 3 * MINUTE
    run(store)
    clock.now += 2 * MINUTE
    for change in ({"name": "other"}, {"inputs": {"n": 2}}, {"jitter_seconds": 5}, {"end_at": "2035-01-01"}):
        changed = api.change_schedule(waiting.id, ChangeSchedule.model_validate(change))
        assert changed.next_run == datetime(2026, 11, 23, 12, 13, tzinfo=UTC), change
    assert api.resume_schedule(waiting.id).next_run == changed.next_run
    clock.now += timedelta(hours=2)
    assert api.change_schedule(daily.id, ChangeSchedule(name="late")).next_run == daily.next_run
    api.run_due_schedules()
    assert told(api, daily) == ["STARTED 1"]
    ended = api.change_schedule(daily.id, ChangeSchedule.model_validate({"end_at": "2026-11-24T12:00Z"}))
    assert ended.next_run is None
    later = api.change_schedule(daily.id, ChangeSchedule.model_validate({"end_at": "2026-11-24T13:00Z"}))
    assert later.next_run == datetime(2026, 11, 24, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (ChangeSchedule(enabled=False), "paused"),
        (ChangeSchedule(trigger=ScheduleTrigger(daily_at="23:00")), "changed"),
        (ChangeSchedule(end_at=datetime(2026, 11, 23, 11, tzinfo=UTC)), "changed"),
    ],
)
@pytest.mark.parametrize("trigger", [GRID, {"every_seconds": 60}, {"cron": "* * * * *"}, {"delay_seconds": 0}])
def test_times_that_came_before_a_change_are_missed_with_the_reason(
    api: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch, trigger: dict[str, Any], change: Any, what: str
) -> None:
    monkeypatch.setattr(planning, "MAX_AT_ONCE", 2)
    made = make(api, trigger)
    number = 1 if trigger.get("delay_seconds") == 0 or trigger == {"every_seconds": 60} else 5
    clock.now += 4 * MINUTE
    changed = api.change_schedule(made.id, change)
    assert told(api, made) == [f"MISSED 1-{number}" if number > 1 else "MISSED 1"]
    assert {one.reason for one in occurrences(api, made)} == {f"the schedule was {what} before the run started"}
    assert changed.iterations == number
    assert changed.next_run is None or changed.next_run > clock.now
    assert api.run_due_schedules() == 0


def test_a_time_that_came_before_a_failure_paused_it_is_missed(api: Service, store: Store, clock: Clock) -> None:
    made = make(api, GRID, pause_on_error_count=1)
    api.run_due_schedules()
    clock.now += 2 * MINUTE
    run(store, fails=True)
    assert api.schedule(made.id).enabled is False
    api.run_due_schedules()
    assert told(api, made) == ["STARTED 1", "MISSED 2-3"]
    assert (api.schedule(made.id).next_run, api.run_due_schedules()) == (None, 0)
    assert api.resume_schedule(made.id).next_run == clock.now + MINUTE


@pytest.mark.parametrize("trigger", [GRID, {"every_seconds": 60}])
def test_another_limit_leaves_the_times_as_they_are(
    api: Service, store: Store, clock: Clock, trigger: dict[str, Any]
) -> None:
    made = make(api, {**trigger, "max_iterations": 5})
    api.run_due_schedules()
    run(store)
    before = api.schedule(made.id)
    assert before.next_run == clock.now + MINUTE
    raised = api.change_schedule(made.id, ChangeSchedule(max_iterations=50))
    assert (raised.next_run, raised.start, raised.max_iterations) == (before.next_run, made.start, 50)
    reached = api.change_schedule(made.id, ChangeSchedule(max_iterations=1))
    assert (reached.next_run, reached.enabled) == (None, True)
    again = api.change_schedule(made.id, ChangeSchedule(max_iterations=None))
    assert (again.next_run, again.max_iterations) == (before.next_run, None)
    other = ChangeSchedule(trigger=ScheduleTrigger(daily_at="23:00"), max_iterations=3)
    assert api.change_schedule(made.id, other).max_iterations == 3
    with pytest.raises(errors.MalformedRequest) as refused:
        api.change_schedule(make(api, {"delay_seconds": 60}).id, ChangeSchedule(max_iterations=2))
    assert refused.value.field == "max_iterations"


def test_one_that_would_never_run_is_refused(api: Service, clock: Clock) -> None:
    with pytest.raises(errors.MalformedRequest, match="before its first time") as refused:
        make(api, {"daily_at": "23:00"}, end_at=clock.now + timedelta(hours=1), timezone="UTC")
    assert refused.value.field == "end_at"


def test_a_source_that_is_not_pinned_any_more_is_forgotten(api: Service, store: Store) -> None:
    made = make(api, {"daily_at": "23:00"}, pin_source=True)
    digest = store.schedules.look(made.id).source_sha256
    assert digest is not None
    assert "n: int = 1" in store.executions.text(digest)
    api.change_schedule(made.id, ChangeSchedule(pin_source=False))
    with pytest.raises(NoResultFound):
        store.executions.text(digest)
