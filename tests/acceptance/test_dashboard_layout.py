"""What the dashboard shows where: children below their parent, actions at hand, first steps where there is nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, ViewportSize, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import CreateSchedule, ExecutionFilter, ScheduleTrigger, StartExecution
from tests.acceptance.page import RUN, Open, button, check, ready, row
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)

NARROW: ViewportSize = {"width": 390, "height": 844}
CHILDREN = 202
expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    write_flow(workspace, "child", "this.set_output('n', n)", parameters="n = 0")
    write_flow(workspace, "endless", "import time\nwhile True: time.sleep(0.05)")
    born = f"[this.flow('child', name=f'child {{n}}', run=False) for n in range({CHILDREN - 1})]"
    last = "last = this.flow('endless', name='the last one', wait=False)"
    write_flow(workspace, "parent", f"children = {born}", last, "this.wait_for(last, return_when='ALL_ENDED')")
    for number in range(20):
        write_flow(workspace, f"many/flow {number:02}", "1")
    return serve(workspace)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def test_the_children_of_an_execution_are_listed_and_followed(show: Open, api: Client) -> None:
    parent = api.start_execution(StartExecution(flow_name="parent"))
    page = show(f"executions/{parent.id}")
    children = page.get_by_role("region", name="Children")
    expect(children.get_by_role("listitem").last).to_contain_text("Runningthe last one", timeout=RUN)
    page.reload(wait_until="commit")
    ready(page)
    expect(children.get_by_role("listitem")).to_have_count(200)
    expect(children.get_by_role("heading")).to_have_text("Children200+, 200 running")
    button(children, "Load more").click()
    expect(children.get_by_role("listitem")).to_have_count(CHILDREN)
    expect(button(children, "Load more")).to_be_hidden()
    link = children.get_by_role("link", name="the last one")
    link.focus()
    button(page, "Cancel").click()
    expect(children.get_by_role("listitem").last).to_contain_text("Cancelled", timeout=RUN)
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("the last one")
    expect(page.get_by_role("link", name="its parent")).to_be_visible()
    trail = page.get_by_role("navigation", name="Back").get_by_role("link")
    expect(trail).to_have_text(["Executions", "parent"])
    expect(trail.last).to_have_attribute("href", re.compile(parent.id))
    expect(children).to_be_hidden()


def test_the_timeline_shows_when_each_descendant_ran(show: Open, api: Client) -> None:
    nap = "import time; time.sleep(1)"
    inner = f"this.script({nap!r}, name='inside the first')"
    source = f"this.script({inner!r}, name='first')\nthis.script({nap!r}, name='second')"
    parent = api.start_execution(StartExecution(script=source))
    until(lambda: api.execution(parent.id).is_ended, seconds=60)
    page = show(f"executions/{parent.id}")
    timeline = page.get_by_role("list", name="Timeline")
    expect(timeline.get_by_role("listitem")).to_have_count(3)
    expect(timeline.get_by_role("link")).to_have_text(["first", "inside the first", "second"])
    expect(timeline.get_by_role("listitem").nth(1)).to_contain_text("Level 2: inside the first")
    expect(timeline.get_by_role("listitem").first).to_contain_text("Started after")
    own = page.locator(".cloudo-timeline-own .cloudo-track-run").bounding_box()
    first, inner_one, second = (one.bounding_box() for one in timeline.locator(".cloudo-track-run").all())
    assert own is not None
    assert first is not None
    assert inner_one is not None
    assert second is not None
    assert first["x"] <= inner_one["x"] < inner_one["x"] + inner_one["width"] <= second["x"] + 1
    assert own["x"] <= first["x"] < first["x"] + first["width"] <= second["x"] + 1
    assert second["x"] + second["width"] <= own["x"] + own["width"] + 1
    assert first["width"] > 0.2 * own["width"]
    timeline.get_by_role("link", name="first", exact=True).press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("first")


def test_children_are_below_their_parent_in_the_list_by_mouse_and_keyboard(show: Open, api: Client) -> None:
    source = "this.script('1', name='middle', run=False)\nimport time\nwhile True: time.sleep(0.05)"
    top = api.start_execution(StartExecution(script=source, name="top"))
    page = show("executions")
    names = page.locator("tbody .cloudo-title")
    toggle = button(row(page, "top"), "Children of top")
    expect(toggle).to_have_attribute("aria-expanded", "false", timeout=RUN)
    shown = names.count()
    expect(names.first).to_have_text("top")
    toggle.click()
    expect(names.nth(1)).to_have_text("middle")
    expect(row(page, "middle")).to_have_attribute("aria-level", "2")
    middle = api.executions(ExecutionFilter(parent_id=top.id)).items[0].id
    expect(row(page, "middle")).not_to_have_attribute("aria-expanded", "false")
    page.reload(wait_until="commit")
    ready(page)
    expect(names.nth(1)).to_have_text("middle")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    api.start_execution(StartExecution(flow_name="child", name="beside", delay_seconds=1e6))
    expect(names.first).to_have_text("beside")

    row(page, "top").focus()
    page.keyboard.press("ArrowLeft")
    expect(names).to_have_count(shown + 1)
    page.keyboard.press("ArrowRight")
    expect(row(page, "middle")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(row(page, "middle")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(row(page, "top")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Show the rows below it")
    page.keyboard.press("Escape")

    api.cancel_execution(top.id)
    expect(row(page, "middle")).to_contain_text("Cancelled", timeout=RUN)
    until(lambda: api.execution(top.id).is_ended, seconds=60)
    api.delete_execution(top.id)
    expect(page.locator("[aria-level='1']").filter(has_text="middle")).to_be_visible()
    page.reload(wait_until="commit")
    ready(page)
    expect(toggle).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)
    page = show("executions?status=ENDED_CANCELLED&q=middle")
    expect(names).to_have_text(["middle"])
    assert api.execution(middle).parent_id is None


def test_the_bar_of_what_runs_grows(show: Open, api: Client) -> None:
    parent = api.start_execution(StartExecution(script="this.flow('endless')"))
    page = show(f"executions/{parent.id}")
    bar = page.get_by_role("list", name="Timeline").locator(".cloudo-track-run")
    expect(bar).to_have_attribute("data-status", "RUNNING", timeout=RUN)
    track = page.locator(".cloudo-timeline-own .cloudo-track")
    expect(track).to_have_attribute("title", "Started after 0.0 s")
    total = page.locator(".cloudo-timeline-own > :last-child")
    before = total.inner_text()
    expect(total).not_to_have_text(before)
    button(page, "Cancel").click()
    expect(bar).to_have_attribute("data-status", "ENDED_CANCELLED", timeout=RUN)


def test_a_link_that_is_drawn_anew_keeps_the_focus(show: Open, api: Client) -> None:
    started = api.start_execution(StartExecution(flow_name="endless"))
    page = show(f"executions/{started.id}")
    status = page.locator(".cloudo-heading .cloudo-status")
    expect(status).to_have_text("Running", timeout=RUN)
    link = page.locator(".cloudo-facts").get_by_role("link", name="endless")
    link.focus()
    api.cancel_execution(started.id)
    expect(status).to_have_text("Cancelled", timeout=RUN)
    expect(page.locator(".cloudo-facts")).to_contain_text("Ended")
    expect(link).to_be_focused()


def test_flows_are_listed_by_folder_and_the_address_has_it(
    show: Open, context: BrowserContext, server: RunningServer
) -> None:
    page = show("flows")
    heading = page.get_by_role("row", name=re.compile("^many ?20$"))
    expect(heading).to_have_attribute("aria-expanded", "true")
    expect(row(page, "flow 07")).to_have_attribute("aria-level", "2")
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-expanded", "false")
    expect(row(page, "flow 07")).to_have_count(0)
    page.reload(wait_until="commit")
    ready(page)
    expect(heading).to_have_attribute("aria-expanded", "false")
    expect(row(page, "flow 07")).to_have_count(0)
    painted = context.new_page()  # as the server sends it: the page's own scripts are kept away
    painted.route("**/cloudo/static/*", lambda route: route.abort())
    painted.goto(f"{server.url}cloudo/")
    folder_button = painted.locator(".cloudo-folder").filter(has_text="many").get_by_role("button")
    expect(folder_button).to_have_attribute("aria-expanded", "false")
    expect(row(painted, "endless")).to_be_visible()
    expect(row(painted, "flow 07")).to_have_count(0)
    painted.close()
    page.get_by_label("Select all").check()
    expect(page.get_by_role("toolbar")).not_to_contain_text("hidden")
    button(page, "Clear").click()
    page.get_by_role("link", name="Executions").click()
    page.get_by_role("link", name="Flows", exact=True).click()
    heading.focus()
    page.keyboard.press("ArrowRight")
    expect(row(page, "flow 07")).to_be_visible()
    button(page, "Modified").click()
    expect(heading).to_have_count(0)
    folder = page.get_by_label("Folder", exact=True)
    expect(folder.locator("option", has_text="many (20)")).to_have_count(1)
    folder.select_option("many")
    expect(page.locator("tbody tr")).to_have_count(20)
    expect(page).to_have_url(re.compile(r"folder=many"))
    expect(heading).to_have_count(0)
    page = show("flows?folder=gone")
    expect(page.get_by_role("heading", name="No matching flows")).to_be_visible()
    button(page, "Clear the filter").click()
    expect(row(page, "endless")).to_be_visible()
    expect(folder).to_have_value("")


def test_the_actions_stay_at_hand_and_hide_no_row_that_has_the_focus(show: Open) -> None:
    page = show("flows")
    expect(page.get_by_text("Select one or more flows")).to_be_visible()
    check(page, "parent")
    expect(page.get_by_text("Select one or more flows")).to_be_hidden()
    expect(button(page, "Play")).to_be_in_viewport()
    page.get_by_label("Select parent", exact=True).focus()
    bottom = page.get_by_role("toolbar").bounding_box()
    for _ in range(25):
        page.keyboard.press("ArrowUp")
        line, bar = page.locator("tr:focus").bounding_box(), page.get_by_role("toolbar").bounding_box()
        assert line
        assert bar
        assert bottom
        assert line["y"] >= bar["y"] + bar["height"] - 8  # what of the bar is its margin may cover a line's own


def test_on_a_phone_all_are_selected_at_once_and_actions_come_with_a_selection(show: Open, api: Client) -> None:
    for _ in range(3):
        api.start_execution(StartExecution(flow_name="child", delay_seconds=1e6))
    page = show("executions")
    page.set_viewport_size(NARROW)
    expect(page.get_by_role("toolbar")).to_be_hidden()
    page.get_by_label("Select all").check()
    expect(button(page, "Cancel")).to_be_in_viewport()
    expect(page.get_by_text(" selected")).to_be_visible()
    button(page, "Clear").click()
    first = page.locator("tbody .cloudo-title").first.get_attribute("href")
    page.get_by_role("combobox", name="Sort", exact=True).select_option("Started ↑")
    expect(page).to_have_url(re.compile("sort=started$"))
    expect(page.locator("tbody .cloudo-title").last).to_have_attribute("href", first or "")
    expect(page.get_by_role("toolbar")).to_be_hidden()
    row(page, "child").get_by_role("checkbox").check()
    expect(button(page, "Cancel")).to_be_enabled()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_on_a_phone_a_flow_is_created_and_played_without_the_bar(show: Open) -> None:
    page = show("flows")
    page.set_viewport_size(NARROW)
    expect(page.get_by_role("toolbar")).to_be_hidden()
    expect(button(page, "New flow…")).to_be_in_viewport()
    expect(button(row(page, "child"), "Play child")).to_be_visible()
    check(page, "child")
    expect(button(page, "Play")).to_be_in_viewport()
    button(page, "Clear").click()
    expect(page.get_by_role("toolbar")).to_be_hidden()


def test_on_a_phone_a_list_with_rows_offers_a_new_one(show: Open, api: Client) -> None:
    trigger = ScheduleTrigger(daily_at="08:30")
    made = api.create_schedule(CreateSchedule(flow_name="child", trigger=trigger, timezone="UTC"))
    page = show("schedules")
    page.set_viewport_size(NARROW)
    expect(page.locator("tbody tr")).to_have_count(1)
    button(page, "New schedule").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    api.delete_schedule(made.id)


@pytest.mark.parametrize(("view", "step"), [("webhooks", "New webhook…"), ("tokens", "New token…")])
def test_an_empty_list_offers_the_first_step_and_nothing_else(show: Open, view: str, step: str) -> None:
    page = show(view)
    expect(page.get_by_role("toolbar")).to_be_hidden()
    button(page, step).click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_an_address_that_is_none_leads_to_the_dashboard(context: BrowserContext, server: RunningServer) -> None:
    page = context.new_page()
    for path in ("nowhere", "executions/one", "webhooks/a b"):
        reply = page.goto(f"{server.url}cloudo/{path}")
        assert reply
        assert reply.status == 404
        expect(page.get_by_role("heading")).to_have_text("Page not found")
    page.get_by_role("link", name="Open the dashboard").click()
    ready(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Flows")
    until(lambda: page.evaluate("location.pathname").endswith("/cloudo/"))
