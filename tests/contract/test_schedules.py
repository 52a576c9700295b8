"""The verbs about schedules, over both ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cloudo_kernel import errors
from cloudo_kernel.models import (
    Backfill,
    ChangeSchedule,
    CreateSchedule,
    ExecutionFilter,
    OccurrenceOutcome,
    Origin,
    PreviewSchedule,
    Schedule,
    ScheduleOrder,
    ScheduleTrigger,
    Status,
)
from tests.contract.conftest import End
from tests.server import until

pytestmark = pytest.mark.db

DAILY = ScheduleTrigger(daily_at="08:30")
MINUTE = timedelta(minutes=1)


def make(end: End, trigger: ScheduleTrigger = DAILY, flow_name: str | None = None, **more: object) -> Schedule:
    values = {"flow_name": flow_name or end.flow(), "trigger": trigger, "timezone": "Europe/Vienna", **more}
    return end.api.create_schedule(CreateSchedule.model_validate(values))


def test_one_is_made_read_listed_changed_and_deleted(end: End) -> None:
    made = make(end, name="the morning", inputs={"any": [1, None]}, overlap="queue", jitter_seconds=5)
    assert (made.name, made.inputs, made.overlap, made.user_name) == ("the morning", {"any": [1, None]}, "queue", "ada")
    assert made.trigger == DAILY
    assert len(made.next_runs) == 10
    assert made.next_runs[0] == made.next_run
    assert end.api.schedule(made.id) == made
    assert end.api.flow(made.flow_name).next_run == made.next_run
    assert [one.id for one in end.api.schedules(flow_name=made.flow_name).items] == [made.id]
    assert made.id in [one.id for one in end.api.schedules(q="E MORN").items]
    changed = end.api.change_schedule(made.id, ChangeSchedule(timezone="Asia/Tokyo", pause_on_error_count=3))
    assert (changed.timezone, changed.pause_on_error_count, changed.overlap) == ("Asia/Tokyo", 3, "queue")
    assert end.api.change_schedule(made.id, ChangeSchedule(pause_on_error_count=None)).pause_on_error_count is None
    assert end.api.pause_schedule(made.id).next_run is None
    assert end.api.resume_schedule(made.id).next_run == changed.next_run
    end.api.delete_schedule(made.id)
    with pytest.raises(errors.ScheduleNotFound):
        end.api.schedule(made.id)


def test_lists_are_paged(end: End) -> None:
    name = end.flow()
    ids = [make(end, flow_name=name).id for _ in range(5)]
    first = end.api.schedules(flow_name=name, limit=3)
    rest = end.api.schedules(flow_name=name, limit=3, cursor=first.next)
    assert [one.id for one in (*first.items, *rest.items)] == ids[::-1]
    assert rest.next is None
    assert all(one.next_runs == () for one in first.items)


def test_what_is_due_runs_and_leaves_an_occurrence(end: End) -> None:
    name = end.flow("this.set_output('seen', this.get('input_value'))")
    made = make(end, ScheduleTrigger(every_seconds=0.2, max_iterations=3), flow_name=name, confirmed=True)
    until(lambda: len(end.api.occurrences(made.id).items) == 3, seconds=60)
    for number, one in enumerate(end.api.occurrences(made.id).items[::-1], 1):
        assert (one.outcome, one.iteration) == (OccurrenceOutcome.STARTED, number)
        assert one.execution_id is not None
        ended = end.api.wait(one.execution_id, timeout=MINUTE)
        assert (ended.status, ended.trigger, ended.user_name) == (Status.ENDED_SUCCESS, Origin.SCHEDULE, "ada")
        assert ended.output_value["seen"]["iterations"] == number
    assert end.api.schedule(made.id).next_run is None
    assert len(end.api.executions(ExecutionFilter(schedule_id=made.id)).items) == 3


def test_run_now_and_backfill(end: End) -> None:
    made = make(end, ScheduleTrigger(cron="@hourly"))
    started = end.api.trigger_schedule(made.id)
    assert end.api.wait(started.id, timeout=MINUTE).status is Status.ENDED_SUCCESS
    now = datetime.now(UTC)
    span = Backfill(start=now - timedelta(hours=2), end=now)
    would = end.api.backfill_schedule(made.id, span.model_copy(update={"dry_run": True}))
    filled = end.api.backfill_schedule(made.id, span)
    assert [(one.due, one.execution_id) for one in would] == [(one.due, None) for one in filled]
    assert len(filled) == 2
    assert filled[1].execution_id is not None
    assert end.api.wait(filled[1].execution_id, timeout=MINUTE).status is Status.ENDED_SUCCESS
    first = end.api.occurrences(made.id, limit=2)
    rest = end.api.occurrences(made.id, limit=2, cursor=first.next)
    assert [one.execution_id for one in (*first.items, *rest.items)] == [
        started.id, filled[1].execution_id, filled[0].execution_id
    ]  # fmt: skip
    assert rest.next is None


def test_a_preview_saves_nothing(end: End) -> None:
    end_at = datetime(2100, 1, 2, 12, tzinfo=UTC)
    after = datetime(2099, 12, 31, 12, tzinfo=UTC)
    wanted = PreviewSchedule(trigger=DAILY, timezone="Europe/Vienna", end_at=end_at, after=after)
    found = end.api.preview_schedule(wanted)
    assert [time.local for time in found.times] == ["2100-01-01T08:30:00+01:00", "2100-01-02T08:30:00+01:00"]
    assert found.description == "daily at 08:30"


def test_errors_arrive_as_what_they_are(end: End) -> None:
    with pytest.raises(errors.FlowNotFound):
        make(end, flow_name="no/such/flow")
    with pytest.raises(errors.NotConfirmed):
        make(end, ScheduleTrigger(every_seconds=0.5))
    with pytest.raises(errors.MalformedRequest) as refused:
        make(end, ScheduleTrigger(cron="0 0 30 2 *"))
    assert refused.value.field == "trigger.cron"
    strict = end.flow(parameters="n: int")
    with pytest.raises(errors.InputsInvalid):
        make(end, flow_name=strict)
    once = make(end, ScheduleTrigger(delay_seconds=1e6))
    with pytest.raises(errors.MalformedRequest):
        end.api.backfill_schedule(once.id, Backfill(start=once.created_at - MINUTE, end=once.created_at))


def test_schedules_are_listed_by_their_next_time(end: End) -> None:
    flow = end.flow()
    now = datetime.now(UTC)
    triggers = [ScheduleTrigger(at=now + timedelta(days=days)) for days in (3, 1, 2)]
    late, early, between = (make(end, trigger, flow).id for trigger in triggers)
    paused = make(end, triggers[0], flow).id
    end.api.pause_schedule(paused)
    found: list[str] = []
    cursor = None
    while True:
        page = end.api.schedules(flow_name=flow, limit=1, cursor=cursor, order=ScheduleOrder.NEXT)
        found += [one.id for one in page.items]
        if (cursor := page.next) is None:
            break
    assert found == [early, between, late]
    assert [one.id for one in end.api.schedules(flow_name=flow).items] == [paused, between, early, late]
