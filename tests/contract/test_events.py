"""Events, the same in every implementation of `Api`."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from tests.contract.conftest import End

pytestmark = pytest.mark.db


def test_events_come_in_order_and_pages_follow_one_another(end: End) -> None:
    position = end.api.events().next
    assert position is not None
    execution = end.later(end.flow())
    end.api.cancel_execution(execution.id)
    first = end.api.events(after=int(position), limit=1, subject_id=execution.id)
    assert [event.type for event in first.items] == ["ExecutionCreated"]
    assert first.items[0].user_name == "ada"
    rest = end.api.events(after=int(first.next or 0), subject_id=execution.id)
    assert rest.items[-1].type == "ExecutionEnded"
    ids = [event.id for event in (*first.items, *rest.items)]
    assert ids == sorted(set(ids))
    assert end.api.events(after=int(rest.next or 0), subject_id=execution.id).items == ()


def test_a_wait_for_events_ends_with_the_first(end: End) -> None:
    execution = end.later(end.flow())
    position = int(end.api.events().next or 0)
    cancel = threading.Timer(0.3, end.other.cancel_execution, [execution.id])
    cancel.start()
    page = end.api.events(after=position, timeout=timedelta(seconds=20), subject_id=execution.id)
    cancel.join()
    assert {event.subject_id for event in page.items} == {execution.id}
    begun = time.monotonic()
    assert end.api.events(timeout=timedelta(seconds=0.6), subject_id="nobody").items == ()
    assert 0.5 < time.monotonic() - begun < 5
