"""The library flows that make schedules: a real server, real kernels, answers over its API."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import psutil
import pytest

from cloudo_kernel.client import Client
from cloudo_kernel.errors import ResponseInvalid
from cloudo_kernel.models import Execution, ExecutionFilter, Message, Occurrence, Schedule, StartExecution, Status
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer, Servers, until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with Servers(tmp_path_factory, extensions=WITHOUT_LAB) as servers:
        server = servers.start(None, "--Cloudo.user_name=ada")
        write_flow(
            server.workspace, "quick", "this.set_output('n', n)", parameters="n = 1\niterations = 0\nregion = ''"
        )
        write_flow(server.workspace, "reports/needs", "1", parameters="region: str")
        yield server


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        client.save_setting("client.timezone", "Europe/Vienna")
        yield client


def start(api: Client, name: str, /, **inputs: Any) -> Execution:
    return api.start_execution(StartExecution(flow_name=name, inputs=inputs))


def asked(api: Client, execution: Execution, *, after: str = "") -> Message:
    """Return what the execution asks next."""
    found: list[Message] = []

    def is_asked() -> bool:
        record = api.execution(execution.id)
        assert not record.is_ended, record
        open_ones = api.messages(execution_id=execution.id, unanswered=True).items
        found[:] = [one for one in open_ones if one.id > after]
        return bool(found) and record.status is Status.WAITING

    until(is_asked, seconds=60, what=lambda: str(api.execution(execution.id)))
    return api.message(found[0].id)


def made(api: Client, execution: Execution) -> tuple[Execution, list[Schedule]]:
    """Wait for the end, and return the record and the schedules."""
    record = api.wait(execution.id, timeout=timedelta(seconds=90))
    assert record.status is Status.ENDED_SUCCESS, record
    return record, [api.schedule(one) for one in record.output_value["schedules"]]


def test_every_day_is_asked_for_confirmed_and_survives_a_kill(api: Client, server: RunningServer) -> None:
    execution = start(api, "Daily", flow_name="quick", inputs={"n": 7})
    form = asked(api, execution)
    assert (form.subject, form.expires_at) == ("Run daily: quick", None)
    assert form.body is not None
    fields = form.body["properties"]
    assert {key: fields[key].get("default") for key in ("flow_name", "scheduled_at", "timezone", "inputs")} == {
        "flow_name": "quick",
        "scheduled_at": "08:30:00",
        "timezone": None,
        "inputs": {"n": 7},
    }
    kill_kernel(server)
    with pytest.raises(ResponseInvalid, match="Did you mean Europe/Vienna") as caught:
        api.answer_message(form.id, {"flow_name": "quick", "timezone": "Vienna"})
    assert caught.value.field == "timezone"
    api.answer_message(form.id, {"flow_name": "quick", "scheduled_at": "07:15:00", "timezone": "Asia/Tokyo"})
    record, [schedule] = made(api, execution)
    assert record.attempt == 2  # it was replayed
    assert (schedule.trigger.daily_at, schedule.timezone, schedule.inputs) == ("07:15", "Asia/Tokyo", {"n": 7})
    assert (schedule.flow_name, schedule.user_name) == ("quick", "ada")
    assert record.message is not None
    assert record.message.startswith("next: ")
    assert record.message.count("07:15") == 3
    assert record.message.endswith("(Asia/Tokyo)")
    assert [one.id for one in api.schedules(flow_name="quick").items] == [schedule.id]
    html = json.dumps(json.loads(api.execution_notebook(execution.id))["cells"][-1]["outputs"])
    assert "daily at 07:15" in html
    api.delete_schedule(schedule.id)


def kill_kernel(server: RunningServer) -> None:
    """Kill the kernel of the one run that there is; those that stand by stay."""
    kernels = [one for one in psutil.Process(server.process.pid).children(recursive=True) if is_in_run(one)]
    assert len(kernels) == 1
    os.kill(kernels[0].pid, signal.SIGKILL)


def is_in_run(process: psutil.Process) -> bool:
    parent = process.parent()
    return process.name() == "cloudo-kernel" and parent is not None and parent.name() != "cloudo-standby"


def test_several_flows_are_one_form_and_a_schedule_each(api: Client) -> None:
    execution = start(api, "Recurring", flow_name=["quick", "reports/needs"])
    form = asked(api, execution)
    assert form.body is not None
    defaults = {key: one.get("default") for key, one in form.body["properties"].items()}
    assert (defaults["flow_name"], defaults["interval"], defaults["wait"]) == (["quick", "reports/needs"], 60, True)
    assert defaults["max_iterations"] is None
    answer: dict[str, Any] = {
        "flow_name": ["quick", "reports/needs"],
        "interval": 0.5,
        "wait": False,
        "max_iterations": 2,
    }
    with pytest.raises(ResponseInvalid, match="reports/needs: The flow needs the input 'region'") as caught:
        api.answer_message(form.id, answer)
    assert caught.value.field == "inputs.reports/needs.region"
    answer["inputs"] = {"reports/needs": {"region": "north"}}
    api.answer_message(form.id, answer)
    sure = asked(api, execution, after=form.id)
    assert sure.body is not None
    assert "below one second" in sure.body["properties"]["notes"]["description"]
    api.answer_message(sure.id, {"change": True})
    form = asked(api, execution, after=sure.id)
    assert form.body is not None
    kept = form.body["properties"]
    assert (kept["interval"]["default"], kept["inputs"]["default"]) == (
        0.5,
        {"quick": {}, "reports/needs": {"region": "north"}},
    )
    assert api.schedules().items == ()
    # An answer of the former form: seconds, and the same inputs for each flow as JSON.
    api.answer_message(form.id, {**answer, "interval": 3600, "inputs": '{"region": "south"}'})
    _, schedules = made(api, execution)
    assert [one.flow_name for one in schedules] == ["quick", "reports/needs"]
    for schedule in schedules:
        assert (schedule.trigger.every_seconds, schedule.inputs) == (3600, {"region": "south"})
        api.delete_schedule(schedule.id)


def test_given_a_flow_and_a_time_nothing_is_asked(api: Client) -> None:
    started = {
        "Delayed": start(api, "Delayed", flow_name="quick", delay=0, inputs={"n": 2}),
        "Recurring": start(api, "Recurring", flow_name=["quick"], interval=3600, max_iterations=0, inputs={"n": 3}),
        "Scheduled": start(api, "Scheduled", flow_name="quick", at="2035-11-24 08:30", timezone="Asia/Tokyo"),
        "Daily": start(api, "Daily", flow_name=["quick", "quick"], scheduled_at="8:30"),
    }
    records = {name: made(api, execution) for name, execution in started.items()}
    for execution in started.values():
        assert api.messages(execution_id=execution.id).items == ()
    assert records["Scheduled"][0].message == "next: Sat 24 Nov 2035 08:30 (Asia/Tokyo)"
    assert records["Daily"][0].message.startswith("2 schedules, each next: ")
    assert "then every hour, counted from the end of the last run" in str(records["Recurring"][0].message)
    assert records["Recurring"][1][0].max_iterations is None

    def occurrences(schedule: Schedule) -> tuple[Occurrence, ...]:
        return api.occurrences(schedule.id).items

    for name, child, told in (
        ("Delayed", "scheduled quick", {"n": 2, "iterations": 1}),
        ("Recurring", "quick iteration #1", {"n": 3, "iterations": 1}),
    ):
        [schedule] = records[name][1]
        until(partial(occurrences, schedule), what=lambda: str(api.schedules()))
        run = api.wait(str(occurrences(schedule)[0].execution_id), timeout=timedelta(seconds=60))
        assert (run.name, run.parent_id, run.input_value) == (child, None, told)
        assert run.status is Status.ENDED_SUCCESS
    for _, schedules in records.values():
        for schedule in schedules:
            api.delete_schedule(schedule.id)


def test_a_moment_in_the_past_is_asked_about_and_may_be_changed(api: Client) -> None:
    execution = start(api, "Scheduled", flow_name="quick", at="2001-01-01T08:30")
    sure = asked(api, execution)
    assert sure.body is not None
    assert "is in the past: it runs at once" in sure.body["properties"]["notes"]["description"]
    api.answer_message(sure.id, {"change": True})
    form = asked(api, execution, after=sure.id)
    assert form.body is not None
    assert form.body["properties"]["at"]["default"] == "2001-01-01T08:30:00"
    # In Vienna this local time comes twice; an answer says which one, by its offset.
    api.answer_message(form.id, {"flow_name": "quick", "at": "2035-10-28T02:30+01:00", "timezone": "Europe/Vienna"})
    record, [schedule] = made(api, execution)
    assert record.message == "next: Sun 28 Oct 2035 02:30+01:00 (Europe/Vienna)"
    api.delete_schedule(schedule.id)


def test_a_flow_that_cannot_be_scheduled_is_named_and_nobody_is_asked(api: Client) -> None:
    for inputs in ({"flow_name": "qick"}, {"flow_name": ["quick", "qick"], "delay": 5}):
        record = api.wait(start(api, "Delayed", **inputs).id, timeout=timedelta(seconds=60))
        assert record.status is Status.ENDED_ERROR
        assert "There is no flow 'qick'" in str(record.message)
        assert api.messages(execution_id=record.id).items == ()
    both = ["quick", "reports/needs"]
    needs = [
        start(api, "Recurring", flow_name=both, interval=3600),
        start(api, "Delayed", flow_name=both, delay=0),
        start(api, "Scheduled", flow_name=both, at="2001-01-01T08:30", confirmed=True),
        start(api, "Daily", flow_name=both, scheduled_at="08:30"),
    ]
    for one in needs:
        record = api.wait(one.id, timeout=timedelta(seconds=60))
        assert record.status is Status.ENDED_ERROR
        assert str(record.message).startswith("reports/needs: The flow needs the input 'region'")
    assert api.schedules().items == ()
    assert api.executions(ExecutionFilter(flow_name="quick", since=needs[0].created_at)).items == ()  # not even at once


def test_a_copy_in_the_workspace_takes_the_place_of_the_shipped_one(api: Client, server: RunningServer) -> None:
    copied = api.create_flow("Delayed", copy_of="Delayed")
    assert copied.source == "workspace"
    path = server.workspace / "flows" / "Delayed.ipynb"
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        cell["source"] = [line.replace("**timing", '**timing, name="mine"') for line in cell["source"]]
    api.change_flow("Delayed", source=json.dumps(notebook))
    _, [schedule] = made(api, start(api, "Delayed", flow_name="quick", delay=3600))
    assert schedule.name == "mine"
    api.delete_schedule(schedule.id)
    api.delete_flow("Delayed")
    assert api.flow("Delayed").source == "library"
