"""Flows, the same in every implementation of `Api`."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from cloudo_kernel import errors
from cloudo_kernel.api import Api
from cloudo_kernel.models import (
    ExecutionType,
    FlowSource,
    Kernel,
    StartExecution,
    Status,
)
from tests.contract.conftest import End
from tests.flows import notebook


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


def test_inputs_are_read_from_yaml(end: End) -> None:
    assert end.api.read_inputs("region: north\ntop: [1, no]").inputs == {"region": "north", "top": [1, "no"]}
    for text, words in (("a: 1\na: 2", "Line 2"), ("x" * 20_000, "16 KiB")):
        with pytest.raises(errors.MalformedRequest, match=words) as caught:
            end.api.read_inputs(text)
        assert caught.value.field == "yaml"
