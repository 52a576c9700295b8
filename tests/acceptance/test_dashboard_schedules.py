"""Schedules in the dashboard: made by the arrow beside Play, followed, changed and deleted in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from cloudo_kernel.client import Client
from cloudo_kernel.dashboard.schedule_calls import ScheduleCalls
from cloudo_kernel.models import (
    CreateSchedule,
    ExecutionFilter,
    OccurrenceOutcome,
    Overlap,
    Schedule,
    ScheduleTrigger,
    Trigger,
)
from tests.acceptance.page import RUN, Open, button, check, row
from tests.flows import write_flow
from tests.server import RunningServer, start_server, until

pytestmark = pytest.mark.timeout(240)

HOSTILE = "<img src=x onerror=alert(1)>"
expect.set_options(timeout=20_000)

#: A flow such as those of the library: asks for the time, and makes one schedule for each flow.
PLANNER = """
import json, urllib.request
names = [flow_name] if isinstance(flow_name, str) else flow_name
body = {"properties": {"cron": {"element": "string", "label": "Cron", "default": "30 8 * * *"}}, "required": ["cron"]}
answer = system.message(f"When shall {', '.join(names)} run?", body, timeout_seconds=0).wait().get("response")
for name in names:
    schedule = {"flow_name": name, "trigger": {"cron": answer["cron"]}, "timezone": "Europe/Vienna"}
    headers = {"Authorization": "token TOKEN", "Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request("URLcloudo/api/1/schedule", json.dumps(schedule).encode(), headers))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    workspace = tmp_path_factory.mktemp("workspace")
    for name in ("reports/one", "reports/two"):
        write_flow(workspace, name, "n", parameters="n: int = 1  # how many")
    write_flow(workspace, "failing", "1 / 0")
    write_flow(workspace, "hostile", "1", metadata={"title": HOSTILE})
    running = start_server(workspace, tmp_path_factory.mktemp("home"))
    source = PLANNER.replace("TOKEN", running.token).replace("URL", running.url)
    write_flow(workspace, "Scheduled", source, parameters="flow_name: str | list[str]")
    write_flow(workspace, "Daily", "1 / 0", parameters="flow_name: str | list[str]")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


@pytest.fixture(autouse=True)
def no_schedules(api: Client) -> None:
    for one in api.schedules().items:
        api.delete_schedule(one.id)


def make(api: Client, flow_name: str = "reports/one", *, trigger: dict[str, Any] | None = None, **more: Any) -> Schedule:
    when = ScheduleTrigger(**(trigger or {"daily_at": "08:30"}))
    return api.create_schedule(CreateSchedule(flow_name=flow_name, trigger=when, timezone="Europe/Vienna", **more))


def choose(page: Page, word: str) -> None:
    """Choose from the arrow's menu."""
    button(page, "Schedule or customise").click()
    page.get_by_role("menuitem", name=word, exact=True).click()


def message(page: Page) -> Locator:
    return page.locator(".cloudo-message")


def test_the_arrow_leads_to_the_question_and_the_schedule_stands_in_both_views(show: Open, api: Client) -> None:
    page = show("flows")
    check(page, "reports/one")
    choose(page, "Schedule run…")
    expect(page.get_by_text("Scheduled is asking for the time…")).to_be_visible()
    expect(message(page).get_by_label("Cron")).to_be_focused(timeout=RUN)
    expect(message(page)).to_contain_text("When shall reports/one run?")
    expect(page.get_by_text("is asking for the time")).to_have_count(0)
    page.keyboard.press("Enter")
    toast = page.locator(".cloudo-toast").filter(has_text="Scheduled: next")
    expect(toast).to_contain_text(re.compile(r"next \w{3} \d+ \w{3} 08:30 \(Europe/Vienna\)"), timeout=RUN)
    made = api.schedules().items[0]
    assert made.flow_name == "reports/one"
    expect(row(page, "reports/one").locator("td.cloudo-col-next time")).to_have_attribute("datetime", re.compile("^20"))
    toast.get_by_role("link", name="Show schedule").click()
    expect(page).to_have_url(re.compile(f"schedules/{made.id}$"))
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Schedules").click()
    line = row(page, "reports/one")
    expect(line).to_contain_text("Active")
    expect(line).to_contain_text("Europe/Vienna")
    expect(line).to_contain_text("none yet")
