"""What every implementation of `Api` does alike."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from cloudo_kernel import errors
from cloudo_kernel.api import Api
from cloudo_kernel.models import (
    BulkRequest,
    CreateSchedule,
    CreateWebhook,
    ExecutionFilter,
    ExecutionType,
    FlowSource,
    Kernel,
    StartExecution,
    Status,
    Trigger,
)
from tests.contract.conftest import End
from tests.flows import notebook, write_flow

UNKNOWN = "01a20713-815a-789c-b71f-4353094d94ca"
NOW = timedelta(0)


# Flows


def test_kernels_are_listed(end: End) -> None:
    assert Kernel(name="cloudo", title="Cloudo", language="python") in end.api.kernels()


def test_flows_are_listed_with_what_they_take(end: End) -> None:
    name = end.flow(parameters="n = 1  # how many\nwho: str = 'you'")
    flow = end.api.flow(name)
    assert flow in end.api.flows()
    assert flow.source is FlowSource.WORKSPACE
    assert flow.input_schema["properties"]["n"]["default"] == 1
    assert flow.input_schema["additionalProperties"] is False
    assert flow.modified_at.tzinfo is not None
    assert flow.broken is None


def test_the_quick_filter_finds_part_of_a_name(end: End) -> None:
    name = end.flow()
    assert [flow.name for flow in end.api.flows(q=name[-12:])] == [name]
    assert end.api.flows(q="no flow is called so") == ()


def test_a_flow_tells_of_its_last_executions_newest_first(end: End) -> None:
    name = end.flow()
    ids = [end.later(name).id for _ in range(6)]
    assert [one.id for one in end.api.flow(name).last_executions] == ids[:0:-1]


@pytest.mark.parametrize("name", ["a b/täglich", "100%", "a+b", "a#b", "a?b=c", "日本/語", "x" * 60, "a&b", "a...b"])
def test_a_name_may_be_almost_anything(end: End, name: str) -> None:
    made = end.api.create_flow(name, source=notebook("1"))
    assert made.name == name
    assert end.api.flow(name).name == name
    assert end.later(name).flow_name == name
    end.api.delete_flow(name)
    with pytest.raises(errors.FlowNotFound):
        end.api.flow(name)


@pytest.mark.parametrize("name", ["../a", "/a", "a\0b", "a\\b", "a//b", "a/../b", "a/./b", ".."])
@pytest.mark.parametrize(
    ("verb", "field"),
    [
        (lambda api, name: api.create_flow(name, source=notebook("1")), "name"),
        (lambda api, name: api.flow(name), "name"),
        (lambda api, name: api.delete_flow(name), "name"),
        (lambda api, name: api.start_execution(StartExecution(flow_name=name)), "flow_name"),
    ],
)
def test_a_name_that_leaves_the_flows_is_refused(
    end: End, verb: Callable[[Api, str], object], field: str, name: str
) -> None:
    with pytest.raises(errors.NameInvalid) as caught:
        verb(end.api, name)
    assert caught.value.field == field


def test_a_flow_is_copied_changed_moved_and_deleted(end: End) -> None:
    name = end.flow(parameters="n = 1")
    copy, moved = f"{name}-copy", f"{name}-moved"
    assert end.api.create_flow(copy, copy_of=name).input_schema == end.api.flow(name).input_schema
    changed = end.api.change_flow(copy, source=notebook("1", parameters="m = 1"))
    assert list(changed.input_schema["properties"]) == ["m"]
    assert end.api.change_flow(copy, new_name=moved).name == moved
    with pytest.raises(errors.FlowNotFound):
        end.api.flow(copy)
    end.api.delete_flow(moved)
    with pytest.raises(errors.FlowNotFound):
        end.api.delete_flow(moved)


def test_a_script_is_copied_changed_moved_and_started_like_a_notebook(end: End) -> None:
    script = "def handler(system, this):\n    this.success(this.get('input_value')['word'])\n"
    name, copy, moved = (f"contract/{uuid.uuid4().hex}" for _ in range(3))
    made = end.api.create_flow(name, source=script)
    assert (made.kind, made.path) == ("script", f"flows/{name}.py")
    assert end.api.create_flow(copy, copy_of=name).kind == "script"
    assert end.api.change_flow(copy, source=f'"""Says it."""\n{script}', new_name=moved).title == "Says it."
    assert (end.workspace / "flows" / f"{moved}.py").is_file()
    for source in (notebook("1"), "print(1)", "def handler(system, this)"):
        with pytest.raises(errors.MalformedRequest) as caught:
            end.api.change_flow(moved, source=source)
        assert caught.value.field == "source"
    started = end.api.start_execution(StartExecution(flow_name=moved, inputs={"word": "hi"}))
    ended = end.api.wait(started.id)
    assert (ended.status, ended.message, ended.type) == (Status.ENDED_SUCCESS, "hi", ExecutionType.FLOW)
    assert end.api.execution_source(ended.id) == f'"""Says it."""\n{script}'
    again = end.api.retry_execution(ended.id, {"word": "again"})
    assert end.api.wait(again.id).message == "again"
    end.api.delete_flow(moved)
    with pytest.raises(errors.FlowNotFound):
        end.api.flow(moved)


def test_a_script_of_a_request_has_its_handler_called(end: End) -> None:
    script = "def handler(system, this):\n    return this.success(this.get('type'))\n"
    started = end.api.start_execution(StartExecution(script=script))
    assert end.api.wait(started.id).message == "SCRIPT"
    assert end.api.execution_source(started.id) == script
    assert end.api.wait(end.api.retry_execution(started.id).id).message == "SCRIPT"


def test_a_flow_does_not_replace_another(end: End) -> None:
    name, other = end.flow(), end.flow()
    with pytest.raises(errors.FlowExists):
        end.api.create_flow(name, source=notebook("1"))
    with pytest.raises(errors.FlowExists):
        end.api.change_flow(name, new_name=other)


@pytest.mark.parametrize("given", [{}, {"source": notebook("1"), "copy_of": "x"}, {"source": "no notebook"}])
def test_a_new_flow_needs_one_source_that_is_a_notebook(end: End, given: dict[str, str]) -> None:
    with pytest.raises((errors.MalformedRequest, errors.FlowBroken)):
        end.api.create_flow("made of nothing", **given)


def test_an_unknown_flow_is_not_found_and_a_similar_one_named(end: End) -> None:
    name = end.flow()
    with pytest.raises(errors.FlowNotFound) as caught:
        end.api.start_execution(StartExecution(flow_name=f"{name}x"))
    assert caught.value.field == "flow_name"
    assert repr(name) in str(caught.value)


def test_a_broken_flow_says_why_and_is_not_started(end: End) -> None:
    name = end.flow(parameters="n = = 1")
    assert end.api.flow(name).broken
    with pytest.raises(errors.FlowBroken) as caught:
        end.api.start_execution(StartExecution(flow_name=name))
    assert name in str(caught.value)


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
    assert (execution.trigger, execution.user_name) == (Trigger.CLI, "ada")
    assert execution.attempt == 0
    assert execution.started_at is None
    assert end.api.execution(execution.id) == execution


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
    between = datetime.now(UTC)
    time.sleep(0.002)  # ids and times count in milliseconds
    second = end.later(name)
    end.api.cancel_execution(first.id)
    for where, wanted in [
        (ExecutionFilter(flow_name=name), [second.id, first.id]),
        (ExecutionFilter(flow_name=name, status=(Status.PENDING,)), [second.id]),
        (ExecutionFilter(flow_name=name, status=(Status.PENDING, Status.ENDED_CANCELLED)), [second.id, first.id]),
        (ExecutionFilter(flow_name=name, since=between), [second.id]),
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


# Waiting


def test_a_wait_is_over_at_its_time(end: End) -> None:
    execution = end.later(end.flow())
    begun = time.monotonic()
    assert end.api.wait(execution.id, timeout=timedelta(seconds=0.5)).status is Status.PENDING
    assert 0.4 < time.monotonic() - begun < 5
    assert end.api.wait(execution.id, timeout=NOW).status is Status.PENDING


def test_many_threads_wait_and_all_are_told(end: End) -> None:
    execution = end.later(end.flow())
    with ThreadPoolExecutor(20) as threads:
        waits = [threads.submit(end.api.wait, execution.id) for _ in range(20)]
        end.other.cancel_execution(execution.id)
        assert {wait.result(timeout=20).status for wait in waits} == {Status.ENDED_CANCELLED}


def test_waiting_for_what_has_ended_returns_at_once(end: End) -> None:
    execution = end.later(end.flow())
    end.api.cancel_execution(execution.id)
    assert end.api.wait(execution.id).is_ended


# Events


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


# Settings, and oneself


def test_a_setting_is_saved_listed_and_forgotten(end: End) -> None:
    saved = end.api.save_setting("team.name/ä", {"a": [1, None]})
    assert (saved.value, saved.modified_by) == ({"a": [1, None]}, "ada")
    assert end.api.setting("team.name/ä") == saved
    assert saved in end.api.settings()
    end.api.delete_setting("team.name/ä")
    for verb in (end.api.setting, end.api.delete_setting):
        with pytest.raises(errors.SettingNotFound, match=r"team\.name/ä"):
            verb("team.name/ä")


def test_a_setting_is_created_once(end: End) -> None:
    assert end.api.create_setting("team.once", None).value is None
    with pytest.raises(errors.SettingExists):
        end.api.create_setting("team.once", 2)
    assert end.api.setting("team.once").value is None
    end.api.delete_setting("team.once")


def test_the_history_of_a_setting_tells_who_made_what_of_what(end: End) -> None:
    for value in (1, {"b": 2}):
        end.api.save_setting("team.story", value)
    end.api.delete_setting("team.story")
    events = end.api.events(after=0, subject_id="team.story").items
    assert [(event.type, event.user_name) for event in events] == [
        *[("SettingSaved", "ada")] * 2,
        ("SettingDeleted", "ada"),
    ]
    assert [event.data for event in events] == [{"after": 1}, {"before": 1, "after": {"b": 2}}, {"before": {"b": 2}}]


def test_a_documented_setting_has_a_default_and_takes_only_what_fits(end: End) -> None:
    name = "client.execution.retention_time.minutes"
    assert (end.api.setting(name).value, end.api.setting(name).modified_at) == (10080, None)
    for refused in (name, "user.ada@example.com.execution.retention_time.minutes"):
        with pytest.raises(errors.SettingInvalid, match="a number of minutes from 0 to") as caught:
            end.api.save_setting(refused, "long")
        assert caught.value.field == refused
    assert end.api.setting(name).value == 10080


def test_a_setting_of_the_whole_store_is_the_same_for_every_user(end: End) -> None:
    with pytest.raises(errors.SettingInvalid, match="applies to the whole store"):
        end.api.save_setting("user.ada.execution.max_running", 3)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("", 1, errors.CloudoError),
        ("x" * 201, 1, errors.SettingInvalid),
        ("a\nb", 1, errors.SettingInvalid),
        ("a", float("nan"), errors.MalformedRequest),
        ("a", {"when": object()}, errors.MalformedRequest),
        ("a", "x" * 1_100_000, errors.CloudoError),
    ],
)
def test_what_cannot_be_a_setting_is_refused(end: End, name: str, value: object, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        end.api.save_setting(name, value)


def test_a_users_own_setting_takes_the_place_of_everybodys(end: End) -> None:
    flow = end.flow()

    def minutes_kept() -> float:
        execution = end.later(flow)
        end.api.cancel_execution(execution.id)
        ended = end.api.execution(execution.id)
        assert ended.expires_at is not None
        assert ended.ended_at is not None
        return (ended.expires_at - ended.ended_at) / timedelta(minutes=1)

    assert minutes_kept() == 10080
    end.api.save_setting("client.execution.retention_time.minutes", 30)
    end.api.save_setting("user.grace.execution.retention_time.minutes", 10)
    assert minutes_kept() == 30
    end.api.save_setting("user.ada.execution.retention_time.minutes", 20)
    assert minutes_kept() == 20
    for name in ("client", "user.grace", "user.ada"):
        end.api.delete_setting(f"{name}.execution.retention_time.minutes")
    assert end.api.flow("examples/greeting").name == "examples/greeting"
    end.api.save_setting("user.ada.flow.library.fallback", False)
    with pytest.raises(errors.FlowNotFound):
        end.api.flow("examples/greeting")
    end.api.delete_setting("user.ada.flow.library.fallback")


def test_everyone_learns_who_they_are_and_how_the_service_does(end: End) -> None:
    assert end.api.user().name == "ada"
    health = end.api.health()
    assert health.status == "ok"
    assert health.version
    assert health.workers == 1


# With a kernel


def test_a_run_leaves_outputs_log_progress_and_notebook(end: End) -> None:
    name = end.flow("this.log('working', n)", "this.set_output('twice', n * 2)\nn * 2", parameters="n = 1")
    execution = end.api.start_execution(StartExecution(flow_name=name, inputs={"n": 21}))
    ended = end.api.wait(execution.id, timeout=timedelta(seconds=60))
    assert ended.status is Status.ENDED_SUCCESS, ended
    assert ended.output_value == {"twice": 42}
    assert [line.text for line in ended.log or ()] == ["working 21"]
    assert end.api.execution_log(execution.id).items == ended.log
    assert ended.progress.done == ended.progress.total > 0
    assert "42" in end.api.execution_notebook(execution.id)
    types = [event.type for event in end.api.events(after=0, limit=500, subject_id=execution.id).items]
    assert types[0] == "ExecutionCreated"
    assert types[-1] == "ExecutionEnded"
    end.api.delete_execution(execution.id)
    assert ended.notebook is not None
    assert not (end.workspace / ended.notebook).exists()


def test_a_failure_shows_its_cell_and_keeps_the_notebook(end: End) -> None:
    execution = end.api.start_execution(StartExecution(flow_name=end.flow("print('so far')", "1 / 0")))
    ended = end.api.wait(execution.id, timeout=timedelta(seconds=60))
    assert ended.status is Status.ENDED_ERROR, ended
    assert ended.error is not None
    assert ended.error.name == "ZeroDivisionError"
    assert ended.error.traceback
    assert "so far" in end.api.execution_notebook(execution.id)


def test_a_script_runs_like_a_flow(end: End) -> None:
    execution = end.api.start_execution(StartExecution(script="this.set_output('here', True)"))
    assert execution.type is ExecutionType.SCRIPT
    assert execution.flow_name is None
    assert end.api.wait(execution.id, timeout=timedelta(seconds=60)).output_value == {"here": True}


def test_cancelling_a_tree_ends_what_is_there_and_refuses_when_nothing_is(end: End) -> None:
    execution = end.later(end.flow())
    assert end.api.cancel_execution(execution.id, tree=True).status is Status.ENDED_CANCELLED
    with pytest.raises(errors.IllegalTransition):
        end.api.cancel_execution(execution.id, tree=True)
    asked = {"action": "cancel", "ids": [execution.id], "tree": True}
    [item] = end.api.bulk_executions(BulkRequest.model_validate(asked)).items
    assert item.error is not None
    assert item.error.code == "illegal_transition"
