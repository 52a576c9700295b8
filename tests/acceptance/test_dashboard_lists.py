"""The lists of executions and flows, and the home page: filters, order, actions on everything that matches."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import (
    BulkAction,
    BulkRequest,
    CreateSchedule,
    ExecutionFilter,
    ScheduleTrigger,
    StartExecution,
    Status,
)
from tests.acceptance.page import RUN, Open, button, newest, ready, row, run
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)

MANY = 130


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    write_flow(workspace, "many", "1")
    write_flow(workspace, "etl/load", "print('loaded')", metadata={"tags": ["nightly"], "title": "Loads"})
    write_flow(workspace, "failing", "1 / 0")
    write_flow(workspace, "idle", "1", metadata={"tags": ["nightly"]})
    write_flow(workspace, "torn", "1", parameters="def (")
    return serve(workspace)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def paused(api: Client) -> Iterator[None]:
    """A queue that starts nothing."""
    api.pause_queue()
    yield
    api.resume_queue()


@pytest.mark.usefixtures("paused")
def test_everything_that_matches_is_cancelled_and_deleted_after_a_question(show: Open, api: Client) -> None:
    started = api.bulk_executions(BulkRequest(action=BulkAction.START, flow_names=("many",) * MANY))
    other = api.start_execution(StartExecution(flow_name="etl/load")).id
    page = show("executions?flow=many")
    bar = page.get_by_role("toolbar")
    expect(page.locator(".cloudo-more")).to_contain_text(f"100 of {MANY} executions")
    page.get_by_label("Select all").check()
    expect(bar).to_contain_text("100 selected")
    button(bar, f"Select all {MANY}").click()
    expect(bar).to_contain_text(f"All {MANY} matching selected")
    expect(button(bar, "Pause")).to_be_disabled()
    button(bar, "Cancel").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Cancel {MANY} executions?")
    later = api.start_execution(StartExecution(flow_name="many")).id
    button(dialog, f"Cancel {MANY} executions").click()
    expect(page.locator(".cloudo-toast")).to_contain_text(f"Cancel: {MANY} executions")
    expect(page.locator(".cloudo-selected-count")).to_be_hidden()
    expect(row(page, "many")).to_contain_text("Pending")  # it came after the question
    where = ExecutionFilter(flow_name="many")
    until(lambda: api.execution_count(where).by_status[Status.ENDED_CANCELLED] == MANY)
    assert {api.execution(one).status for one in (other, later)} == {Status.PENDING}

    page = show("executions?flow=many&status=ENDED_CANCELLED")
    page.get_by_label("Select all").check()
    button(bar, f"Select all {MANY}").click()
    row(page, "many").get_by_role("checkbox").uncheck()  # a row that is left out ends "all"
    expect(bar).to_contain_text("99 selected")
    page.get_by_label("Select all").check()
    button(bar, f"Select all {MANY}").click()
    button(bar, "Delete").click()
    expect(dialog).to_contain_text(f"Delete {MANY} executions?")
    button(dialog, "Cancel").click()
    expect(bar).to_contain_text(f"All {MANY} matching selected")
    button(bar, "Delete").click()
    button(dialog, "Delete").click()
    expect(page.get_by_text("No matching executions")).to_be_visible()
    assert [one.id for one in api.executions(where).items] == [later]
    assert started.done == MANY
    api.cancel_execution(other)
    api.cancel_execution(later)


def test_the_list_is_sorted_by_duration_and_the_address_has_it(show: Open, api: Client) -> None:
    tag = f"naps-{uuid.uuid4().hex[:8]}"
    lasted: dict[str, float] = {}

    def nap(name: str, seconds: float) -> None:
        source = f"import time; time.sleep({seconds})"
        started = api.start_execution(StartExecution(script=source, name=name, tags=(tag,)))
        until(lambda: api.execution(started.id).is_ended, seconds=60)
        ended = api.execution(started.id)
        lasted[name] = (ended.ended_at - ended.started_at).total_seconds()

    def longest_first() -> list[str]:
        """Return the names; how long a run takes to start is not known."""
        return sorted(lasted, key=lasted.__getitem__, reverse=True)

    for name, seconds in (("middle", 1.5), ("longest", 4), ("shortest", 0)):
        nap(name, seconds)
    page = show(f"executions?tag={tag}")
    titles = page.locator("tbody .cloudo-title")
    expect(titles).to_have_text(["shortest", "longest", "middle"])
    button(page, "Duration").click()
    expect(titles).to_have_text(longest_first())
    assert page.url.endswith(f"?tag={tag}&sort=-duration")
    nap("between", 2.7)
    expect(titles).to_have_text(longest_first())
    page.reload(wait_until="commit")
    ready(page)
    expect(page.get_by_role("columnheader", name="Duration")).to_have_attribute("aria-sort", "descending")
    button(page, "Duration").click()
    expect(titles).to_have_text(longest_first()[::-1])


def test_filters_are_set_saved_opened_and_deleted(show: Open, api: Client) -> None:
    run(api, "etl/load")
    failed = run(api, "failing")
    page = show("executions")
    menu = page.get_by_role("button", name=re.compile("^Filters"))
    menu.click()
    expect(page.get_by_role("menuitem", name="Save these filters…")).to_have_attribute("aria-disabled", "true")
    page.get_by_role("menuitem", name="Flow, tag, user, time…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Flow", exact=True).fill("failing")
    dialog.get_by_label("Started by").select_option("REST")
    button(dialog, "Apply").click()
    expect(page).to_have_url(re.compile(r"flow=failing&trigger=api$"))
    menu.click()
    page.get_by_role("menuitem", name="Today", exact=True).click()
    expect(page).to_have_url(re.compile("range=today"))
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(button(page, "Remove the filter Today")).to_be_visible()
    menu.click()
    page.get_by_role("menuitem", name="Save these filters…").click()
    dialog.get_by_label("Name").fill("Failures of today")
    button(dialog, "Save").click()
    expect(menu).to_have_text("Failures of today")
    settings = [one for one in api.settings() if one.name.endswith(".dashboard.filters")]
    assert [one.value for one in settings] == [{"Failures of today": "flow=failing&range=today&trigger=api"}]
    assert settings[0].name.startswith("user.")

    page = show("executions?tag=none")
    expect(page.get_by_text("No matching executions")).to_be_visible()
    menu.click()
    page.get_by_role("menuitem", name="Failures of today", exact=True).click()
    expect(page).to_have_url(re.compile(r"executions\?flow=failing&range=today&trigger=api$"))
    expect(row(page, "failing").get_by_role("link", name="failing")).to_have_attribute("href", re.compile(failed))
    menu.click()
    page.get_by_role("menuitem", name="Yesterday").click()
    expect(page.get_by_text("No matching executions")).to_be_visible()
    page.go_back(wait_until="commit")
    page = show("executions?flow=failing&range=today&trigger=api")
    menu.click()
    page.get_by_role("menuitem", name="Delete “Failures of today”").click()
    expect(menu).to_have_text("Filters")
    assert api.setting(settings[0].name).value == {}


def test_the_oldest_come_first_on_request_and_new_ones_join_the_end(show: Open, api: Client) -> None:
    first, second = run(api, "etl/load"), run(api, "failing")
    page = show(f"executions?since={datetime.now(UTC) - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}&sort=started")
    heading = page.get_by_role("columnheader", name="Started")
    expect(heading).to_have_attribute("aria-sort", "ascending")
    links = page.locator("tbody .cloudo-title")
    expect(links.last).to_have_attribute("href", re.compile(second))
    third = run(api, "etl/load")
    expect(links.last).to_have_attribute("href", re.compile(third), timeout=RUN)
    heading.get_by_role("button").click()
    expect(links.first).to_have_attribute("href", re.compile(third))
    expect(page).to_have_url(re.compile("sort=-started"))
    page.reload(wait_until="commit")
    ready(page)
    expect(links.first).to_have_attribute("href", re.compile(third))
    assert first < second < third


def test_home_shows_what_has_failed_since_the_last_visit(show: Open, api: Client) -> None:
    old = run(api, "failing")
    for one in api.settings():
        if one.name.endswith(".dashboard.last_visit"):
            api.delete_setting(one.name)
    page = show("home")
    recent = page.get_by_role("region", name="Recent failures")
    expect(recent.get_by_role("listitem").first).to_contain_text("failing")

    def visit() -> str:
        return next((one.name for one in api.settings() if one.name.endswith(".dashboard.last_visit")), "")

    until(lambda: bool(visit()))
    ended = api.execution(old).ended_at
    assert ended
    # The visit before was two hours ago, as far as the store knows; all failures of this test are newer.
    earlier = (ended - timedelta(hours=2)).isoformat()
    api.save_setting(visit(), {"seen": earlier, "before": earlier})
    page = show("home")
    failures = page.get_by_role("region", name="Failures since your last visit")
    expect(failures).to_contain_text("You were last here 2 hours ago.")
    expect(failures.get_by_role("listitem").first).to_contain_text("ZeroDivisionError")
    page = show("home")  # a reload is the same visit
    expect(failures.get_by_role("listitem").first).to_be_visible()
    button(failures, "Mark as seen").click()
    expect(failures).to_contain_text("Nothing has failed since your last visit.")
    run(api, "failing")
    expect(failures.get_by_role("listitem")).to_have_count(1)
    page = show("home")
    expect(failures.get_by_role("listitem")).to_have_count(1)


def test_a_flow_shows_its_recent_runs_as_bars_and_is_played_from_its_row(show: Open, api: Client) -> None:
    first = run(api, "etl/load")
    page = show("flows?q=etl")
    line = row(page, "Loads")
    bars = line.locator(".cloudo-run-bar")
    expect(bars.last).to_have_attribute("href", re.compile(first))
    shown = bars.count()
    expect(bars.last).to_have_attribute("aria-label", re.compile(r"^Success, \d+\.\d s, "))
    expect(line.get_by_role("group", name=re.compile(r"^Recent runs: \d+, 0 failed$"))).to_be_visible()
    expect(line).to_contain_text(re.compile(r"median \d+\.\d s"))
    button(line, "Play etl/load").click()
    expect(bars).to_have_count(min(shown + 1, 12))
    expect(bars.last).to_have_attribute("data-status", "ENDED_SUCCESS", timeout=RUN)
    second = newest(api, "etl/load").id
    bars.last.click()
    expect(page).to_have_url(re.compile(second))
    page = show("flows?q=torn")
    expect(button(row(page, "torn"), "Play torn")).to_be_disabled()


def test_flows_are_filtered_by_kind_and_tag_in_the_address(show: Open, api: Client) -> None:
    run(api, "failing")
    trigger = ScheduleTrigger(daily_at="08:30")
    api.create_schedule(CreateSchedule(flow_name="etl/load", trigger=trigger, timezone="UTC"))
    page = show("flows")
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    other = api.create_schedule(CreateSchedule(flow_name="idle", trigger=trigger, timezone="UTC"))
    planned = row(page, "idle").locator(".cloudo-col-next")
    expect(planned).not_to_be_empty()
    api.delete_schedule(other.id)
    expect(planned).to_be_empty()
    # Only the flow of the schedule was asked for, and perhaps, each half a minute, whether the list is the same.
    assert not [url for url in asked if "/flow?" in url and "runs=false" not in url]
    names = page.locator("tbody .cloudo-path")
    chip = page.get_by_role("group", name="Filters").get_by_role("button")
    for kind, name in (("Failing", "failing"), ("Scheduled", "etl/load"), ("Broken", "torn")):
        chip.filter(has_text=kind).click()
        expect(names).to_have_text([name])
        expect(chip.filter(has_text=kind)).to_contain_text("1")
        chip.filter(has_text=kind).click()
    chip.filter(has_text="Never run").click()
    chip.filter(has_text="Failing").click()
    expect(page).to_have_url(re.compile("kind=never%2Cfailing"))
    expect(names.filter(has_text="idle")).to_have_count(1)
    expect(names.filter(has_text="failing")).to_have_count(1)
    expect(names.filter(has_text="etl/load")).to_have_count(0)
    page = show("flows?kind=samples")
    expect(names.filter(has_text="examples/greeting")).to_have_count(1)
    expect(names.filter(has_text="idle")).to_have_count(0)
    page = show("flows")
    row(page, "Loads").get_by_role("button", name="nightly").click()
    expect(page).to_have_url(re.compile(r"flows\?tag=nightly$"))
    expect(names).to_have_count(2)
    chip.filter(has_text="Failing").click()
    expect(page.get_by_text("No matching flows")).to_be_visible()
    button(page, "Clear the filter").click()
    expect(names.filter(has_text="failing")).to_have_count(1)


#: Notes each change of the first row's height and each element that moves, while the script takes over.
WATCH = """
new PerformanceObserver((list) => (window.shifts ??= []).push(...list.getEntries().map((one) => one.value)))
    .observe({type: 'layout-shift', buffered: true})
"""


def test_the_first_rows_stay_where_they_are_when_their_data_come(
    context: BrowserContext, server: RunningServer, api: Client
) -> None:
    run(api, "etl/load")
    page = context.new_page()
    page.add_init_script(WATCH)
    page.route("**/cloudo/static/**", lambda route: route.abort())
    page.goto(f"{server.url}cloudo/flows", wait_until="domcontentloaded")
    line = row(page, "Loads")
    painted = (line.bounding_box(), line.locator(".cloudo-run-bar").count())
    page.unroute_all()
    page.reload(wait_until="commit")
    ready(page)
    expect(line.locator(".cloudo-run-bar")).to_have_count(painted[1])
    box = line.bounding_box()
    assert box
    assert painted[0]
    assert abs(box["y"] - painted[0]["y"]) < 1
    assert abs(box["height"] - painted[0]["height"]) < 1
    assert sum(page.evaluate("window.shifts ?? []")) < 0.01
    page.close()
