"""A verb is declared once, and each end has it."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cloudo_kernel import errors
from cloudo_kernel.api import VERBS, Api, AuthorApi, errors_of
from cloudo_kernel.api.run import RUN_VERBS, RunVerbs
from cloudo_kernel.api.verb import verbs_of
from cloudo_kernel.client import Client
from cloudo_kernel.flow_api.calls import RunApi, from_wire, to_wire
from cloudo_kernel.models import ChangeSchedule, JsonObject, StartExecution, Status
from cloudo_kernel.processes.channel import Channel, answer, hang_up, pair
from cloudo_kernel.service import Service
from cloudo_kernel.worker.flow_requests import FlowRequests

#: Ends, and what they implement.
ENDS = [(Service, Api), (Client, Api), (RunApi, AuthorApi), (RunApi, RunVerbs)]
ENDS += [(FlowRequests, AuthorApi), (FlowRequests, RunVerbs)]


def public(kind: type[Any]) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize("kind", [Api, RunVerbs])
def test_each_method_is_declared_as_a_verb(kind: type[Any]) -> None:
    assert verbs_of(kind).keys() == public(kind)
    for name, verb in verbs_of(kind).items():
        assert verb.name == name
        assert verb.documentation, name
        assert {"return", *verb.defaults} == set(inspect.get_annotations(verb.declaration)), name


@pytest.mark.parametrize(("end", "api"), ENDS)
def test_each_end_implements_each_verb_as_it_is_declared(end: type[Any], api: type[Any]) -> None:
    for name, verb in verbs_of(api).items():
        method = getattr(end, name)
        assert method is not verb.declaration, f"{end.__name__} does not implement {name}"
        assert inspect.signature(method) == inspect.signature(verb.declaration), name


def test_the_service_has_the_verbs_of_a_run_that_are_not_about_the_run_itself() -> None:
    written = {
        name
        for name in vars(FlowRequests)
        if name in RUN_VERBS and not hasattr(getattr(FlowRequests, name), "__wrapped__")
    }
    assert {name for name in RUN_VERBS if not hasattr(Service, name)} <= written


@pytest.mark.parametrize("name", VERBS)
def test_a_docstring_names_errors_that_exist(name: str) -> None:
    """Errors of REST are read from there, so a misspelt one would be missing without notice."""
    _, _, raises = VERBS[name].documentation.partition("Raises")
    for word in re.findall(r"`([A-Z]\w+)`", raises):
        assert issubclass(getattr(errors, word), errors.CloudoError), word
    assert bool(raises) == bool(errors_of(name))


def test_arguments_reach_the_worker_as_they_were_given() -> None:
    verb = RUN_VERBS["change_schedule"]
    given = verb.arguments("x", ChangeSchedule(name="y"))
    sent = to_wire(given, now=lambda: 0.0)
    assert sent == {"schedule_id": "x", "request": {"name": "y"}}
    assert from_wire(verb, sent, now=lambda: 0.0) == given
    assert from_wire(verb, sent, now=lambda: 0.0)["request"].model_fields_set == {"name"}


@pytest.mark.parametrize("content", [b"text", b"\xff\x00"])
def test_bytes_reach_the_worker_as_they_were_given(content: bytes) -> None:
    verb = RUN_VERBS["save_file"]
    sent = to_wire(verb.arguments("x", content), now=lambda: 0.0)
    assert sent.keys() == {"path", "content", "encoding"}
    assert from_wire(verb, sent, now=lambda: 0.0) == {"path": "x", "content": content}


def test_a_wait_that_is_repeated_ends_at_the_same_moment() -> None:
    verb = RUN_VERBS["wait_for"]
    sent = to_wire(verb.arguments(["x"], timeout=timedelta(seconds=60)), now=lambda: 1000.0)
    assert sent == {"ids": ["x"], "first": False, "until": 1060.0}
    assert from_wire(verb, sent, now=lambda: 1040.0)["timeout"] == timedelta(seconds=20)


def test_a_status_reaches_the_worker_as_one() -> None:
    assert from_wire(RUN_VERBS["end"], {"status": "ENDED_ERROR", "message": None}, now=lambda: 0.0) == {
        "status": Status.ENDED_ERROR,
        "message": None,
    }


#: Calls of a flow, and the arguments that its worker gets, by name. Durable flows have recorded them.
SENT: dict[str, tuple[Callable[[RunApi], Any], JsonObject]] = {
    "flows": (lambda api: api.flows(), {"q": None}),
    "start_child": (
        lambda api: api.start_execution(StartExecution(flow_name="x")),
        {"request": {"flow_name": "x"}, "is_held": False, "init": None},
    ),
    "release_execution": (lambda api: api.release_execution("x"), {"execution_id": "x", "after": []}),
    "executions": (
        lambda api: api.executions(),
        {"where": None, "limit": 100, "cursor": None, "order": "newest"},
    ),
    "cancel_execution": (lambda api: api.cancel_execution("x"), {"execution_id": "x", "tree": False}),
    "retry_execution": (lambda api: api.retry_execution("x"), {"execution_id": "x", "inputs": None}),
    "wait_for": (lambda api: api.wait("x"), {"ids": ["x"], "first": False, "until": None}),
    "wait_message": (lambda api: api.wait_message("x"), {"message_id": "x", "until": None}),
    "sleep_until": (lambda api: api.sleep_until(1.5), {"when": 1.5, "seconds": None}),
    "acquire_lock": (lambda api: api.acquire_lock("x", call="c"), {"name": "x", "until": None, "call": "c"}),
    "save": (lambda api: api.save(message="m"), {"message": "m"}),
    "set_output": (lambda api: api.set_output("k", 1, append=False), {"key": "k", "value": 1, "append": False}),
    "save_setting": (lambda api: api.save_setting("x", 1), {"name": "x", "value": 1, "secret": None}),
    "files": (lambda api: api.files(), {"folder": ".", "glob": "*"}),
    "file": (lambda api: api.file("x"), {"path": "x", "with_content": True}),
    "save_file": (lambda api: api.save_file("x", b"c"), {"path": "x", "content": "c", "encoding": "text"}),
    "webhook_response": (
        lambda api: api.webhook_response(b"c", status=200, content_type="text/plain"),
        {"content": "c", "encoding": "text", "status": 200, "content_type": "text/plain"},
    ),
    "end": (lambda api: api.end(Status.ENDED_SUCCESS, None), {"status": "ENDED_SUCCESS", "message": None}),
    "step_done": (lambda api: api.step_done(1, "r"), {"number": 1, "result": "r"}),
    "schedules": (
        lambda api: api.schedules(),
        {"flow_name": None, "q": None, "limit": 100, "cursor": None, "order": "newest"},
    ),
    "pause_schedule": (lambda api: api.pause_schedule("x"), {"schedule_id": "x"}),
    "occurrences": (lambda api: api.occurrences("x"), {"schedule_id": "x", "limit": 100, "cursor": None}),
}


@pytest.mark.parametrize("name", SENT)
def test_the_arguments_that_durable_flows_record_have_the_same_names(name: str) -> None:
    call, arguments = SENT[name]
    found: list[tuple[str, JsonObject]] = []

    def note(verb: str, arguments: JsonObject, /, *, is_main: bool) -> None:
        found.append((verb, arguments))
        raise errors.Conflict("enough")

    ours, theirs = pair()
    thread = threading.Thread(target=answer, args=(ours, note), kwargs={"flush": lambda: None})
    thread.start()
    with pytest.raises(errors.Conflict, match="enough"):
        call(RunApi(Channel(theirs)))
    hang_up(ours)
    thread.join(timeout=10)
    assert found == [(name, arguments)]
