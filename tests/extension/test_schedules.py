"""Schedules over REST: addresses, statuses, bodies that do not fit."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.extension.conftest import StartServer, client, error_of
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, until

DAILY = {"flow_name": "quick", "trigger": {"daily_at": "08:30"}, "timezone": "Europe/Vienna"}


@pytest.fixture
def made(http: httpx.Client) -> dict[str, Any]:
    reply = http.post("/schedule", json=DAILY)
    assert reply.status_code == 201, reply.text
    assert reply.headers["Location"].endswith(f"/cloudo/api/1/schedule/{reply.json()['id']}")
    return dict(reply.json())


def test_the_record_shows_the_trigger_as_it_was_given(made: dict[str, Any]) -> None:
    assert made["trigger"] == {"daily_at": "08:30"}
    assert (made["timezone"], made["overlap"], made["catch_up"]) == ("Europe/Vienna", "skip", "last")
    assert made["next_run"].endswith("Z")


def test_every_address_answers(http: httpx.Client, made: dict[str, Any]) -> None:
    path = f"/schedule/{made['id']}"
    assert http.get(path).json()["id"] == made["id"]
    assert made["id"] in [one["id"] for one in http.get("/schedule", params={"flow_name": "quick"}).json()["items"]]
    assert http.patch(path, json={"name": "later"}).json()["name"] == "later"
    assert http.post(f"{path}/pause").json()["enabled"] is False
    assert http.post(f"{path}/resume").json()["enabled"] is True
    started = http.post(f"{path}/trigger")
    assert (started.status_code, started.json()["schedule_id"]) == (201, made["id"])
    span = {"start": "2026-01-01T00:00:00", "end": "2026-01-03T00:00:00"}
    assert len(http.post(f"{path}/backfill", json=span).json()["items"]) == 2
    assert len(http.get(f"{path}/occurrence", params={"limit": 2}).json()["items"]) == 2
    assert http.post("/schedule/preview", json={"trigger": {"cron": "@daily"}}).json()["times"]
    assert http.delete(path).status_code == 204
    assert http.get(path).status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"flow_name": "nope"}, 404, "flow_name"),
        ({"flow_name": ""}, 400, "flow_name"),
        ({"trigger": {}}, 400, "trigger"),
        ({"trigger": {"daily_at": "8 o'clock"}}, 400, "trigger.daily_at"),
        ({"trigger": {"daily_at": "08:30", "cron": "@daily"}}, 400, "trigger"),
        ({"trigger": {"every_seconds": 0}}, 400, "trigger.every_seconds"),
        ({"trigger": {"every_seconds": 1e300}}, 400, "trigger.every_seconds"),
        ({"trigger": {"every_seconds": 0.2}}, 422, "confirmed"),
        ({"trigger": {"at": "yesterday"}}, 400, "trigger.at"),
        ({"trigger": {"at": "1901-01-01T00:00:00Z"}}, 422, "confirmed"),
        ({"trigger": {"cron": "0 0 31 2 *"}}, 400, "trigger.cron"),
        ({"trigger": {"delay_seconds": -1}}, 400, "trigger.delay_seconds"),
        ({"trigger": {"monthly": {"day": 0, "at": "08:30"}}}, 400, "trigger.monthly.day"),
        ({"trigger": {"monthly": {"day": "31", "at": "08:30"}}}, 400, "trigger.monthly.day"),
        ({"trigger": {"monthly": {"day": 31}}}, 400, "trigger.monthly.at"),
        ({"trigger": {"delay_seconds": 5, "max_iterations": 2}}, 400, "trigger"),
        ({"timezone": "../../etc/passwd"}, 400, "timezone"),
        ({"trigger": {"daily_at": "08:30", "timezone": "Asia/Tokyo"}}, 400, "timezone"),
        ({"overlap": "sometimes"}, 400, "overlap"),
        ({"inputs": {"n": "x"}}, 422, "n"),
        ({"inputs": {"surprise": 1}}, 422, "surprise"),
        ({"end_at": "9999-12-31T23:59:59.999999"}, 400, "end_at"),
        ({"trigger": {"at": "9999-12-31T23:59:59-05:00"}}, 400, "trigger.at"),
        ({"nonsense": 1}, 400, "nonsense"),
    ],
)
def test_what_does_not_fit_is_named(http: httpx.Client, change: dict[str, Any], status: int, field: str | None) -> None:
    reply = http.post("/schedule", json=DAILY | change)
    assert reply.status_code == status, reply.text
    assert error_of(reply).get("field") == field, reply.text


def test_a_monthly_trigger_is_created_previewed_changed_and_backfilled(http: httpx.Client) -> None:
    trigger = {"monthly": {"day": 31, "at": "08:30"}, "timezone": "Europe/Berlin"}
    preview = http.post("/schedule/preview", json={"trigger": trigger, "after": "2027-01-31T12:00:00Z"}).json()
    assert preview["description"] == "monthly on the 31st, or the last day of shorter months, at 08:30"
    assert [time["local"] for time in preview["times"]][:3] == [
        "2027-02-28T08:30:00+01:00",
        "2027-03-31T08:30:00+02:00",
        "2027-04-30T08:30:00+02:00",
    ]
    made = http.post("/schedule", json={"flow_name": "quick", "trigger": trigger, "jitter_seconds": 30}).json()
    assert (made["trigger"], made["timezone"]) == ({"monthly": trigger["monthly"]}, "Europe/Berlin")
    assert len(made["next_runs"]) == 10
    path, first_monday = f"/schedule/{made['id']}", {"monthly": {"day": "first monday", "at": "02:30"}}
    changed = http.patch(path, json={"trigger": first_monday}).json()
    assert http.get(path).json()["trigger"] == changed["trigger"] == first_monday
    span = {"start": "2026-01-01T00:00:00", "end": "2026-04-01T00:00:00"}
    past = [f"2026-{day}T01:30:00.000000Z" for day in ("01-05", "02-02", "03-02")]
    for is_dry in (True, False):
        run = http.post(f"{path}/backfill", json={**span, "dry_run": is_dry}).json()["items"]
        assert [one["due"] for one in run] == past
    assert http.post(f"{path}/backfill", json=span).json()["items"] == []


def test_changes_that_do_not_fit_change_nothing(http: httpx.Client, made: dict[str, Any]) -> None:
    path = f"/schedule/{made['id']}"
    for change in ({}, {"flow_name": "other"}, {"trigger": {"cron": "nonsense"}}, {"jitter_seconds": -1}):
        assert http.patch(path, json=change).status_code == 400, change
    before = http.get(path).json()
    assert {**before, "broken": None} == {**made, "broken": None}
    assert http.post(f"{path}/backfill", json={"start": "2026-01-02T00:00:00"}).status_code == 400
    assert http.get(f"{path}/occurrence", params={"cursor": "x"}).status_code == 400


def test_a_server_with_schedules_counts_as_active(start: StartServer) -> None:
    server = start(None, "--Cloudo.activity_seconds=0.1", extensions=WITHOUT_LAB)
    write_flow(server.workspace, "quick", "1")

    def last_activity() -> str:
        with client(server) as http:
            return str(http.get(f"{server.url}api/status", params={"no_track_activity": 1}).json()["last_activity"])

    with client(server) as http:
        made = http.post("/schedule", json=DAILY).json()
        before = last_activity()
        until(lambda: last_activity() > before)
        assert http.delete(f"/schedule/{made['id']}").status_code == 204
    until(lambda: last_activity() == last_activity())


@pytest.mark.parametrize(
    ("given", "status", "field", "what"),
    [
        ({"url": "http://10.0.0.1/"}, 422, "on_error", "'10.0.0.1' may not be called"),
        ({"url": "https://a:b@example.com/"}, 400, "on_error.url", "without user name and password"),
        ([{"flow": "quick"}, {"uri": "x"}], 400, "on_error", "takes the name of a flow, "),
        ("no such flow", 404, "on_error", "There is no flow 'no such flow'"),
    ],
)
def test_what_cannot_follow_is_refused(
    http: httpx.Client, made: dict[str, Any], given: Any, status: int, field: str, what: str
) -> None:
    for reply in (
        http.post("/schedule", json={**DAILY, "on_error": given}),
        http.patch(f"/schedule/{made['id']}", json={"on_error": given}),
    ):
        error = error_of(reply)
        assert (reply.status_code, error["field"]) == (status, field), error
        assert what in error["message"]
    following = {"on_error": ["failing", {"url": "https://example.com/hook"}], "on_success": []}
    changed = http.patch(f"/schedule/{made['id']}", json=following).json()
    assert changed["on_error"] == [
        {"flow": "failing", "inputs": {}},
        {"url": "https://example.com/hook", "secret": None},
    ]
    assert (changed["on_success"], changed["on_recovery"]) == ([], None)
