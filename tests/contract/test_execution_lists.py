"""Filters, order and counts of lists of executions, over both ends."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from cloudo_kernel import errors
from cloudo_kernel.models import Execution, ExecutionFilter, ExecutionOrder, Origin, StartExecution, Status
from tests.contract.conftest import End
from tests.server import until

pytestmark = pytest.mark.db


def ids_of(end: End, order: ExecutionOrder = ExecutionOrder.NEWEST, **where: object) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = end.api.executions(ExecutionFilter.model_validate(where), limit=2, cursor=cursor, order=order)
        found += [one.id for one in page.items]
        if page.next is None:
            return found
        cursor = page.next


def several(end: End, number: int = 5, **fields: object) -> list[Execution]:
    flow = end.flow()
    return [end.later(flow, **fields) for _ in range(number)]


def test_lists_run_in_both_orders(end: End) -> None:
    ids = [one.id for one in several(end)]
    where: dict[str, Any] = {"flow_name": end.api.execution(ids[0]).flow_name}
    assert ids_of(end, **where) == ids[::-1]
    assert ids_of(end, ExecutionOrder.OLDEST, **where) == ids
    assert ids_of(end, ExecutionOrder.OLDEST, **where, status=["PENDING", "ENDED_ERROR"]) == ids
    assert ids_of(end, ExecutionOrder.OLDEST, **where, q=ids[1][:30]) == [one for one in ids if one[:30] == ids[1][:30]]


def test_executions_are_found_by_ids(end: End) -> None:
    ids = [one.id for one in several(end, 3)]
    assert ids_of(end, ids=ids[:2]) == [ids[1], ids[0]]
    assert ids_of(end, ids=[*ids, "x"], status=["ENDED_ERROR"]) == []
    with pytest.raises(ValueError, match="500"):
        ExecutionFilter(ids=("x",) * 501)


def test_lists_are_sorted_by_duration(end: End) -> None:
    flow = end.flow("import time; time.sleep(seconds)", parameters="seconds = 0.0")
    runs = [end.api.start_execution(StartExecution(flow_name=flow, inputs={"seconds": n})) for n in (0.9, 0, 0.4)]
    end.later(flow)  # never started
    until(lambda: all(end.api.execution(one.id).is_ended for one in runs), seconds=60)
    durations = {one.id: _seconds(end.api.execution(one.id)) for one in runs}
    shortest = sorted(durations, key=lambda one: durations[one])
    assert ids_of(end, ExecutionOrder.SHORTEST, flow_name=flow) == shortest
    assert ids_of(end, ExecutionOrder.LONGEST, flow_name=flow) == shortest[::-1]
    assert ids_of(end, ExecutionOrder.LONGEST, flow_name=flow, q=shortest[0]) == [shortest[0]]
    assert ids_of(end, ExecutionOrder.SHORTEST, flow_name=flow, status=["RUNNING"]) == []


def _seconds(execution: Execution) -> float:
    assert execution.started_at is not None
    assert execution.ended_at is not None
    return (execution.ended_at - execution.started_at).total_seconds()


def test_the_descendants_of_an_execution_are_found(end: End) -> None:
    inner = end.flow("system.flow(below).run()", parameters="below: str")
    leaf = end.flow("1")
    source = f"this.flow({inner!r}, below={leaf!r})\nthis.flow({leaf!r})"
    top = end.api.start_execution(StartExecution(script=source))
    until(lambda: end.api.execution(top.id).is_ended, seconds=60)
    assert end.api.execution(top.id).status is Status.ENDED_SUCCESS
    below = ids_of(end, ExecutionOrder.OLDEST, ancestor_id=top.id)
    assert [end.api.execution(one).flow_name for one in below] == [inner, leaf, leaf]
    assert end.api.execution(below[1]).parent_id == below[0]
    assert ids_of(end, ancestor_id=top.id) == below[::-1]
    assert ids_of(end, ancestor_id=top.id, flow_name=leaf, q=leaf) == below[:0:-1]
    assert ids_of(end, ancestor_id=below[0]) == [below[1]]
    assert ids_of(end, ancestor_id="unknown") == []
    assert end.api.execution_count(ExecutionFilter(ancestor_id=top.id)).total == 3
    three = [top.id, *below[:2]]
    assert ids_of(end, ids=three, top_level=True) == [top.id]
    listed = {one.id: one.has_children for one in end.api.executions(ExecutionFilter(ids=tuple(three))).items}
    assert listed == {top.id: True, below[0]: True, below[1]: False}
    assert end.api.execution(top.id).has_children is None
    end.api.delete_execution(below[0])  # its child moves up
    assert end.api.execution(below[1]).parent_id == top.id
    end.api.delete_execution(top.id)
    assert ids_of(end, ids=below, top_level=True) == below[:0:-1]


def test_executions_are_found_by_tag(end: End) -> None:
    tag = uuid.uuid4().hex
    flow = end.flow()
    tagged = [end.later(flow, tags=[tag, "shared", tag]).id for _ in range(3)]
    end.later(flow, tags=[f"{tag}0"])
    for order in (ExecutionOrder.NEWEST, ExecutionOrder.OLDEST):
        expected = tagged if order is ExecutionOrder.OLDEST else tagged[::-1]
        assert ids_of(end, order, tag=tag) == expected
        assert ids_of(end, order, tag=tag, flow_name=flow, status=["PENDING"]) == expected
        assert ids_of(end, order, tag=tag, q=flow) == expected
    end.api.cancel_execution(tagged[0])
    assert ids_of(end, tag=tag, status=["ENDED_CANCELLED"]) == [tagged[0]]
    again = end.api.retry_execution(tagged[0])
    assert ids_of(end, tag=tag)[0] == again.id
    end.api.delete_execution(tagged[0])
    assert tagged[0] not in ids_of(end, tag=tag)
    end.api.wait(again.id)


def test_executions_are_found_by_trigger(end: End) -> None:
    [one] = several(end, 1)
    where: dict[str, Any] = {"flow_name": one.flow_name}
    assert ids_of(end, **where, trigger=[Origin.CLI]) == [one.id]
    assert ids_of(end, **where, trigger=[Origin.UI, Origin.CLI], status=["PENDING"]) == [one.id]
    assert ids_of(end, **where, trigger=[Origin.WEBHOOK, Origin.FLOW]) == []


def test_executions_are_found_by_time(end: End) -> None:
    made = several(end)
    where: dict[str, Any] = {"flow_name": made[0].flow_name}
    span: dict[str, Any] = {**where, "since": made[1].created_at, "until": made[3].created_at}
    assert ids_of(end, **span) == [made[2].id, made[1].id]
    assert ids_of(end, ExecutionOrder.OLDEST, **span) == [made[1].id, made[2].id]
    assert ids_of(end, **where, until=made[0].created_at) == []
    assert ids_of(end, until=made[0].created_at - timedelta(days=3650)) == []


def test_executions_are_counted_by_status(end: End) -> None:
    made = several(end, 4, tags=["counted"])
    where = ExecutionFilter(flow_name=made[0].flow_name)
    found = end.api.execution_count(where)
    assert (found.total, found.by_status[Status.PENDING], found.by_status[Status.ENDED_ERROR]) == (4, 4, 0)
    assert found.by_status.keys() == set(Status)
    end.api.cancel_execution(made[0].id)
    until(lambda: end.api.execution_count(where).by_status[Status.ENDED_CANCELLED] == 1)
    again = end.api.execution_count(where)
    assert again.as_of > found.as_of
    assert again.total == 4
    for more, total in (
        ({"status": ["PENDING"]}, 3),
        ({"tag": "counted"}, 4),
        ({"tag": "other"}, 0),
        ({"q": "no such text"}, 0),
        ({"trigger": ["cli"], "ids": [made[0].id]}, 1),
        ({"since": made[1].created_at, "until": made[3].created_at}, 2),
    ):
        one = ExecutionFilter.model_validate({"flow_name": made[0].flow_name, **more})
        assert end.api.execution_count(one).total == total, more
    assert end.api.execution_count().total >= 4
    with pytest.raises(errors.MalformedRequest):
        end.api.execution_count(ExecutionFilter(q="x" * 1001))
