"""Starting, listing and ending executions, the same in every implementation of `Api`."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import pytest

from cloudo_kernel import errors
from cloudo_kernel.models import (
    CreateSchedule,
    CreateWebhook,
    ExecutionFilter,
    ExecutionType,
    Origin,
    StartExecution,
    Status,
)
from tests.contract.conftest import End
from tests.flows import write_flow

pytestmark = pytest.mark.db

UNKNOWN = "01a20713-815a-789c-b71f-4353094d94ca"


# Starting


def test_a_start_leaves_a_record(end: End) -> None:
    name = end.flow(parameters="n = 1")
    due = datetime(2099, 1, 2, 3, 4, 5, 678901, UTC)
    request = StartExecution(flow_name=name, name="mine", inputs={"n": 2.5}, tags=("a", "b"), scheduled_at=due)
    execution = end.api.start_execution(request)
    assert execution.status is Status.PENDING
    assert execution.type is ExecutionType.FLOW
    assert (execution.name, execution.flow_name, execution.input_value) == ("mine", name, {"n": 2.5})
    assert (execution.tags, execution.scheduled_for) == (("a", "b"), due)
    assert (execution.trigger, execution.user_name) == (Origin.CLI, "ada")
    assert execution.attempt == 0
    assert execution.started_at is None
    assert end.api.execution(execution.id) == execution


def test_an_execution_has_the_tags_of_its_flow_too(end: End) -> None:
    name = end.flow(metadata={"tags": ["night", "a"]})
    started = end.later(name, tags=("a", "b"))
    assert started.tags == ("a", "b", "night")
    end.api.cancel_execution(started.id)
    assert end.api.retry_execution(started.id).tags == ("a", "b", "night")
    many = end.flow(metadata={"tags": [f"t{number}" for number in range(150)]})
    assert len(end.later(many, tags=("a",)).tags) == 100


@pytest.mark.parametrize(
    ("inputs", "field"),
    [({}, "n"), ({"n": "1"}, "n"), ({"n": 1, "m": 2}, "m"), ({"n": 1, "who": 5}, "who"), ({"n": None}, "n")],
)
def test_inputs_that_do_not_fit_are_refused_and_leave_nothing(end: End, inputs: dict[str, object], field: str) -> None:
    name = end.flow(parameters="n: int\nwho: str = 'you'")
    with pytest.raises(errors.InputsInvalid) as caught:
        end.api.start_execution(StartExecution(flow_name=name, inputs=inputs))
    assert caught.value.field == field
    assert end.api.executions(ExecutionFilter(flow_name=name)).items == ()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_inputs_that_are_no_json_are_refused(end: End, value: object) -> None:
    with pytest.raises(errors.InputsInvalid):
        end.api.start_execution(StartExecution(flow_name=end.flow(parameters="n = 1"), inputs={"n": value}))


@pytest.mark.parametrize("value", ["ü\0\U0001f600", 2**70, -0.1, True, None, [], {"a": [{}]}])
def test_inputs_arrive_as_they_were_given(end: End, value: object) -> None:
    execution = end.later(end.flow(), inputs={"any name": value})
    assert end.api.execution(execution.id).input_value == {"any name": value}


def test_nothing_to_run_and_too_much_to_run_are_malformed(end: End) -> None:
    for request in (StartExecution(), StartExecution(flow_name="a", script="1")):
        with pytest.raises(errors.MalformedRequest):
            end.api.start_execution(request)


def test_one_key_starts_one_execution_however_often_and_at_once(end: End) -> None:
    name = end.flow(parameters="n = 1")
    request = StartExecution(flow_name=name, delay_seconds=1e6)
    with ThreadPoolExecutor(8) as threads:
        starts = [threads.submit(end.api.start_execution, request, idempotency_key=name) for _ in range(16)]
        assert len({start.result().id for start in starts}) == 1
    with pytest.raises(errors.IdempotencyConflict):
        end.api.start_execution(StartExecution(flow_name=name, inputs={"n": 2}), idempotency_key=name)
    assert len(end.api.executions(ExecutionFilter(flow_name=name)).items) == 1


def test_without_a_key_each_start_is_its_own(end: End) -> None:
    name = end.flow()
    assert end.later(name).id != end.later(name).id


# Listing


def test_pages_are_complete_newest_first_and_without_repetition(end: End) -> None:
    name = end.flow()
    ids = [end.later(name).id for _ in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        page = end.api.executions(ExecutionFilter(flow_name=name), limit=3, cursor=cursor)
        seen += [execution.id for execution in page.items]
        cursor = page.next
        if cursor is None:
            break
        end.later(name)  # what comes meanwhile does not shift the pages
    assert seen == ids[::-1]


@pytest.mark.parametrize("cursor", ["zzz", "1", "9" * 5000, "2026-01-01T00:00:00", "²", "\x00"])
def test_a_cursor_that_no_page_gave_is_refused(end: End, cursor: str) -> None:
    name = end.flow()
    trigger = {"daily_at": "08:30"}
    schedule = end.api.create_schedule(CreateSchedule.model_validate({"flow_name": name, "trigger": trigger}))
    webhook = end.api.create_webhook(CreateWebhook(name=schedule.id, flow_name=name))
    execution = end.later(name)
    lists: list[Callable[..., object]] = [
        end.api.executions,
        end.api.messages,
        end.api.schedules,
        partial(end.api.occurrences, schedule.id),
        partial(end.api.deliveries, webhook.name),
    ]
    if cursor != "1":  # of lines, it is the number
        lists.append(partial(end.api.execution_log, execution.id))
    for listed in lists:
        with pytest.raises(errors.MalformedRequest) as caught:
            listed(cursor=cursor)
        assert caught.value.field == "cursor"


def test_a_list_leaves_out_logs_and_large_values(end: End) -> None:
    name = end.flow()
    small = end.later(name, inputs={"small": 1})
    large = end.later(name, inputs={"large": "x" * 10_000})
    first, second = end.api.executions(ExecutionFilter(flow_name=name)).items
    assert first.log is None
    assert list(first.input_value) == ["left_out"]
    assert second.input_value == small.input_value
    assert end.api.execution(large.id).input_value == large.input_value
    assert end.api.execution(large.id).log == ()


def test_filters_restrict_what_is_listed(end: End) -> None:
    name = end.flow()
    first = end.later(name, name="the first of them")
    time.sleep(0.002)  # ids and times count in milliseconds
    second = end.later(name)
    end.api.cancel_execution(first.id)
    for where, wanted in [
        (ExecutionFilter(flow_name=name), [second.id, first.id]),
        (ExecutionFilter(flow_name=name, status=(Status.PENDING,)), [second.id]),
        (ExecutionFilter(flow_name=name, status=(Status.PENDING, Status.ENDED_CANCELLED)), [second.id, first.id]),
        (ExecutionFilter(flow_name=name, since=second.created_at), [second.id]),
        (ExecutionFilter(flow_name=name, user_name="ada"), [second.id, first.id]),
        (ExecutionFilter(flow_name=name, user_name="nobody"), []),
        (ExecutionFilter(flow_name=name, q="first of"), [first.id]),
        (ExecutionFilter(q=second.id), [second.id]),
        (ExecutionFilter(parent_id=first.id), []),
        (ExecutionFilter(flow_name=name, schedule_id="none"), []),
    ]:
        assert [execution.id for execution in end.api.executions(where).items] == wanted, where


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_page_has_a_sensible_size(end: End, limit: int) -> None:
    with pytest.raises(errors.MalformedRequest) as caught:
        end.api.executions(limit=limit)
    assert caught.value.field == "limit"


# Ending


def test_cancelling_what_is_pending_ends_it(end: End) -> None:
    execution = end.later(end.flow())
    cancelled = end.api.cancel_execution(execution.id)
    assert cancelled.status is Status.ENDED_CANCELLED
    assert cancelled.ended_at is not None
    assert cancelled.message
    with pytest.raises(errors.IllegalTransition) as caught:
        end.api.cancel_execution(execution.id)
    assert execution.id in str(caught.value)


def test_only_what_has_ended_is_deleted(end: End) -> None:
    execution = end.later(end.flow())
    with pytest.raises(errors.ExecutionNotEnded):
        end.api.delete_execution(execution.id)
    end.api.cancel_execution(execution.id)
    end.api.delete_execution(execution.id)
    with pytest.raises(errors.ExecutionNotFound):
        end.api.execution(execution.id)


# Pausing, and trying again


def test_what_is_pending_is_paused_and_resumed(end: End) -> None:
    execution = end.later(end.flow())
    assert end.api.pause_execution(execution.id).status is Status.PAUSED
    with pytest.raises(errors.IllegalTransition, match="PAUSED"):
        end.api.pause_execution(execution.id)
    assert end.api.resume_execution(execution.id).status is Status.PENDING
    with pytest.raises(errors.IllegalTransition, match="PENDING"):
        end.api.resume_execution(execution.id)
    end.api.pause_execution(execution.id)
    assert end.api.cancel_execution(execution.id).status is Status.ENDED_CANCELLED
    for ask in (end.api.pause_execution, end.api.resume_execution):
        with pytest.raises(errors.IllegalTransition, match="ENDED_CANCELLED"):
            ask(execution.id)


def test_a_retry_is_a_new_execution_like_the_first(end: End) -> None:
    name = end.flow(parameters="n = 1\nm = 1")
    first = end.later(name, name="mine", inputs={"n": 2}, tags=("a",))
    with pytest.raises(errors.ExecutionNotEnded):
        end.api.retry_execution(first.id)
    end.api.cancel_execution(first.id)
    again = end.api.retry_execution(first.id)
    assert again.id != first.id
    assert again.retry_of == first.id
    assert (again.name, again.flow_name, again.tags, again.input_value) == ("mine", name, ("a",), {"n": 2})
    assert (again.scheduled_for, again.attempt) == (None, 0)
    assert end.api.retry_execution(first.id, {"m": 3}).input_value == {"m": 3}
    assert end.api.retry_execution(first.id, {}).input_value == {}


def test_a_retry_runs_the_flow_as_it_is_now(end: End) -> None:
    name = end.flow(parameters="n = 1")
    first = end.later(name, inputs={"n": 2})
    end.api.cancel_execution(first.id)
    write_flow(end.workspace, name, "1", parameters="m = 1")
    with pytest.raises(errors.InputsInvalid) as caught:
        end.api.retry_execution(first.id)
    assert caught.value.field == "n"
    assert end.api.retry_execution(first.id, {"m": 3}).source_sha256 != first.source_sha256
    end.api.delete_flow(name)
    with pytest.raises(errors.FlowNotFound):
        end.api.retry_execution(first.id)


def test_a_retried_script_runs_its_own_source(end: End) -> None:
    first = end.api.start_execution(StartExecution(script="1 + 1", delay_seconds=1e6))
    end.api.cancel_execution(first.id)
    again = end.api.retry_execution(first.id)
    assert (again.type, again.source_sha256) == (ExecutionType.SCRIPT, first.source_sha256)


def test_inputs_of_a_retry_that_are_no_json_are_refused(end: End) -> None:
    first = end.later(end.flow(parameters="n = 1"))
    end.api.cancel_execution(first.id)
    with pytest.raises(errors.InputsInvalid):
        end.api.retry_execution(first.id, {"n": object()})


READS = ["execution", "execution_log", "execution_notebook", "execution_source", "wait"]
WISHES = ["cancel_execution", "pause_execution", "resume_execution", "retry_execution"]


@pytest.mark.parametrize("verb", [*READS, *WISHES, "delete_execution"])
@pytest.mark.parametrize("execution_id", [UNKNOWN, "a/b", "..", "?"])
def test_an_execution_that_is_not_there_is_not_found(end: End, verb: str, execution_id: str) -> None:
    with pytest.raises(errors.ExecutionNotFound) as caught:
        getattr(end.api, verb)(execution_id)
    assert execution_id in str(caught.value)


def test_what_has_not_run_has_a_source_but_no_notebook(end: End) -> None:
    name = end.flow("print('hello')")
    execution = end.later(name)
    assert end.api.execution_source(execution.id) == (end.workspace / "flows" / f"{name}.ipynb").read_text()
    assert end.api.execution_log(execution.id).items == ()
    with pytest.raises(errors.NotebookNotFound):
        end.api.execution_notebook(execution.id)
