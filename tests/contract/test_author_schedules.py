"""Schedules as authors see them, over both ends: `system.schedule`, `system.schedules`, `system.preview`."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

import cloudo_kernel as cloudo
from cloudo_kernel import errors
from cloudo_kernel.flow_api import Schedule, System
from cloudo_kernel.models import FollowingFlow, Overlap, Status
from tests.contract.conftest import End
from tests.flows import write_flow

UNKNOWN = "01a20713-815a-789c-b71f-4353094d94ca"


@pytest.fixture
def system(end: End) -> System:
    return System(end.api)


def test_a_schedule_is_made_found_opened_and_shown(end: End, system: System) -> None:
    name = end.flow(parameters="region = 'north'")
    made = system.schedule(
        system.flow(name),
        daily_at=time(8, 30),
        timezone="Europe/Vienna",
        name="<morning>",
        inputs={"region": "south"},
        overlap="queue",
        end_at="2035-01-01",
        on_error=[name, {"flow": name, "inputs": {"region": "west"}}],
        on_success=[],
    )
    assert made.get("on_error", "on_success", "on_recovery") == (
        (FollowingFlow(flow=name), FollowingFlow(flow=name, inputs={"region": "west"})),
        (),
        None,
    )
    assert made.save(on_error=None).get("on_error") is None
    assert (made.name, made.when) == ("<morning>", "daily at 08:30")
    assert made.get("flow_name", "inputs", "overlap") == (name, {"region": "south"}, Overlap.QUEUE)
    assert made.summary.startswith("next: ")
    assert made.summary.count("08:30") == 3
    assert made.summary.endswith(" … (Europe/Vienna)")
    assert "<morning>" in repr(made)
    assert "&lt;morning&gt;" in made._repr_html_()
    assert system.schedule(made.id).record == made.record
    [listed] = system.schedules(flow_name=name)
    assert (listed.id, "08:30" in listed.summary) == (made.id, True)
    assert [one.id for one in system.schedules("<MORNING")] == [made.id]
    with pytest.raises(errors.MalformedRequest, match="has no field 'nxt'"):
        made.get("nxt")
    made.delete()
    with pytest.raises(errors.ResourceNotFoundError):
        made.load("name")


@pytest.mark.parametrize(
    ("given", "when"),
    [
        ({"trigger": {"daily_at": "8:30", "timezone": "Asia/Tokyo"}}, "daily at 08:30"),
        (
            {"trigger": {"cron": "0 9 * * 1-5"}, "timezone": "UTC"},
            "cron 0 9 * * 1-5 (at 09:00 on Monday through Friday)",
        ),
        ({"monthly": "last friday 18:00"}, "monthly on the last Friday at 18:00"),
        ({"monthly": {"day": 1, "at": time(8, 30)}, "max_iterations": 2}, "monthly on the 1st at 08:30"),
        ({"delay_seconds": timedelta(hours=2)}, "once, after 2 hours"),
        ({"at": datetime(2035, 5, 1, 12, tzinfo=UTC), "timezone": "UTC"}, "once at Tue 1 May 2035 12:00"),
        ({"at": "2035-05-01 12:00", "timezone": "Asia/Tokyo"}, "once at Tue 1 May 2035 12:00"),
        ({"every_seconds": 3600, "wait": False, "start": "2035-05-01T12:00Z"}, "every hour on the grid"),
    ],
)
def test_a_time_is_a_trigger_or_said_in_words(end: End, system: System, given: dict[str, Any], when: str) -> None:
    made = system.schedule(end.flow(), **given)
    assert made.when == when
    made.delete()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "trigger"),
        ({"trigger": "daily"}, "trigger"),
        ({"trigger": {"daily_at": "08:30"}, "cron": "@daily"}, "cron"),
        ({"daily_at": "08:30", "cron": "@daily"}, None),
        ({"daily_at": "25:00"}, "daily_at"),
        ({"cron": "0 0 31 2 *"}, "trigger.cron"),
        ({"every_seconds": -1}, "every_seconds"),
        ({"monthly": {"day": 0, "at": "08:30"}}, "monthly.day"),
        ({"every_seconds": 60, "overlap": "maybe"}, "overlap"),
        ({"every_seconds": 60, "ovrlap": "skip"}, "ovrlap"),
        ({"every_seconds": 60, "inputs": {"a": object()}}, "inputs['a']"),
        ({"daily_at": "08:30", "timezone": "Europe/Vien"}, "timezone"),
        ({"at": "2001-01-01T00:00Z"}, "confirmed"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field(
    end: End, system: System, given: dict[str, Any], field: str | None
) -> None:
    name = end.flow()
    with pytest.raises((errors.MalformedRequest, errors.NotConfirmed)) as caught:
        system.schedule(name, **given)
    assert caught.value.field == field
    assert system.schedules(flow_name=name) == ()


def test_unknown_flows_and_ids_are_named(system: System) -> None:
    with pytest.raises(errors.FlowNotFound, match="no flow 'nowhere'"):
        system.schedule("nowhere", daily_at="08:30")
    with pytest.raises(errors.ScheduleNotFound):
        system.schedule(UNKNOWN)


def test_a_schedule_is_changed_paused_resumed_and_run_out_of_turn(end: End, system: System) -> None:
    name = end.flow("this.set_output('region', region)", parameters="region = 'north'")
    made = system.schedule(name, every_seconds=1e6, start="2035-01-01T00:00Z", wait=False)
    assert made.pause().summary == "paused"
    assert made.resume().summary.startswith("next: Mon 1 Jan 2035 ")
    made.save(daily_at="09:15", timezone="Asia/Tokyo", inputs={"region": "south"})
    assert system.schedule(made.id).summary.count("09:15") == 3
    with pytest.raises(errors.MalformedRequest):
        made.save()
    with pytest.raises(errors.InputsInvalid):
        made.save(inputs={"region": 5})
    run = made.trigger()
    assert run.wait(timeout_seconds=60).get("status", "schedule_id") == (Status.ENDED_SUCCESS, made.id)
    assert run.outputs == {"region": "south"}
    assert [one.execution_id for one in made.occurrences()] == [run.id]
    made.delete()


def test_a_preview_says_what_is_unusual_and_saves_nothing(end: End, system: System) -> None:
    preview = system.preview(at="2035-10-28T02:30", timezone="Europe/Vienna")
    assert "occurs twice" in preview.notes[0]
    assert not preview.needs_confirmation
    assert system.preview({"every_seconds": 0.5}).needs_confirmation
    assert len(system.preview(daily_at="08:30").times) == 10
    with pytest.raises(errors.MalformedRequest, match=r"There is no time zone 'Vienna'\. Did you mean Europe/Vienna"):
        system.preview(daily_at="08:30", timezone="Vienna")


def test_a_running_flow_schedules_as_its_user_and_is_no_parent(end: End, system: System) -> None:
    name = end.flow("1", parameters="n = 1")
    flow = end.flow(
        f"made = system.schedule({name!r}, every_seconds=1e6, start='2035-01-01T00:00Z', inputs={{'n': 2}})\n"
        "made.save(name='renamed').pause().resume()\n"
        "run = made.trigger()\n"
        f"daily = system.schedule({name!r}, daily_at='08:30', timezone='Europe/Vienna')\n"
        "[would] = daily.backfill('2026-01-01', '2026-01-02', dry_run=True)\n"
        "[done] = daily.backfill('2026-01-01', '2026-01-02')\n"
        "assert (would.due, would.execution_id) == (done.due, None)\n"
        "daily.delete()\n"
        "assert system.schedule(made.id).id == system.schedules('renamed', limit=1)[0].id == made.id\n"
        f"assert len(system.preview(daily_at='08:30').times) == 10\n"
        "this.set_output('ids', [made.id, run.id, run.get('parent_id'), len(made.occurrences())])\n"
        "this.set_output('filled', done.execution_id)\n"
        "made"
    )
    run = system.flow(flow).run()
    schedule_id, execution_id, parent_id, number = run.outputs["ids"]
    assert (parent_id, number) == (None, 1)
    assert end.api.execution(run.outputs["filled"]).parent_id is None
    made = system.schedule(schedule_id)
    assert made.get("user_name") == run.get("user_name") == end.api.execution(execution_id).user_name
    assert end.api.wait(execution_id).input_value["n"] == 2
    made.delete()


def test_without_a_server_or_worker_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("CLOUDO_URL", "JPY_PARENT_PID"):
        monkeypatch.delenv(variable, raising=False)
    write_flow(tmp_path, "quick", "this.set_output('n', 1)")
    system = System(cloudo.connect(str(tmp_path)).api)
    with pytest.warns(UserWarning, match="nothing will start it before a Jupyter server"):
        made = system.schedule("quick", daily_at="08:30")
    assert isinstance(made, Schedule)
    assert made.summary.endswith(", if a server or a worker runs by then")
    assert made.trigger().run().outputs == {"n": 1}  # this process asked for it, so that it is run
    system.api.close()
