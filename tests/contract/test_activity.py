"""Recent executions for lists of flows and charts, over both ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cloudo_kernel import errors
from cloudo_kernel.models import CreateSchedule, ScheduleTrigger, StartExecution, Status
from tests.contract.conftest import End
from tests.flows import write_flow

pytestmark = pytest.mark.db


def test_each_flow_has_its_recent_executions(end: End) -> None:
    flow, idle = end.flow(), end.flow()
    done = [end.api.start_execution(StartExecution(flow_name=flow)).id for _ in range(2)]
    for one in done:
        end.api.wait(one, timeout=timedelta(seconds=60))
    pending = end.later(flow).id
    made = end.api.create_schedule(
        CreateSchedule(flow_name=idle, trigger=ScheduleTrigger(daily_at="08:30"), timezone="UTC")
    )
    found = {one.flow_name: one for one in end.api.flow_activity()}
    assert found.keys() == {one.name for one in end.api.flows()}
    assert [one.id for one in found[flow].recent] == [pending, *reversed(done)]
    newest = found[flow].recent[1]
    assert newest.status is Status.ENDED_SUCCESS
    assert newest.started_at is not None
    assert newest.ended_at is not None
    assert 0 < (found[flow].median_seconds or 0) < 60
    assert (found[idle].recent, found[idle].median_seconds, found[idle].next_run) == ((), None, made.next_run)
    assert [one.recent for one in end.api.flow_activity(recent=1) if one.flow_name == flow] == [found[flow].recent[:1]]
    with pytest.raises(errors.MalformedRequest):
        end.api.flow_activity(recent=51)


def test_only_named_flows_are_asked_for(end: End) -> None:
    one, other = end.flow(), "with, a comma"
    write_flow(end.workspace, other, "1")
    pending = end.later(other).id
    found = end.api.flow_activity(names=(other, "no/such", "../flows/x", one, other))
    assert [activity.flow_name for activity in found] == sorted((one, other), key=str.casefold)
    assert [run.id for activity in found for run in activity.recent] == [pending]
    with pytest.raises(errors.MalformedRequest):
        end.api.flow_activity(names=["x"] * 501)


def test_ends_are_counted_by_hour(end: End) -> None:
    before = end.api.execution_activity(hours=2).buckets
    assert [one.start.minute for one in before] == [0, 0]
    assert before[1].start - before[0].start == timedelta(hours=1)
    failed = end.api.start_execution(StartExecution(flow_name=end.flow("1 / 0")))
    end.api.wait(failed.id, timeout=timedelta(seconds=60))
    end.api.cancel_execution(end.later(end.flow()).id)
    after = end.api.execution_activity(hours=2).buckets
    assert sum(one.ended_error for one in after) > sum(one.ended_error for one in before)
    assert sum(one.ended_cancelled for one in after) > sum(one.ended_cancelled for one in before)
    assert len(end.api.execution_activity().buckets) == 24
    assert after[-1].start <= datetime.now(UTC) < after[-1].start + timedelta(hours=1, minutes=1)
    with pytest.raises(errors.MalformedRequest):
        end.api.execution_activity(hours=0)
