"""The extension in JupyterLab."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Request, expect

from cloudo_kernel.models import StartExecution
from tests.acceptance.page import BOOT, RUN, button, newest, run
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)
ASKING = "system.message('Which colour?', {'properties': {'colour': {'element': 'text'}}}).wait()"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Serve) -> RunningServer:
    """A server with JupyterLab, and executions of a few flows."""
    workspace = tmp_path_factory.mktemp("workspace")
    write_flow(workspace, "reports/quick", "n * 2", parameters="n = 21", metadata={"title": "Quick report"})
    write_flow(workspace, "reports/weekly/asking", "who", parameters="who: str  # whom to greet")
    write_flow(workspace, "failing", "1 / 0")
    running = start(workspace)
    with running.client() as api:
        run(api, "failing")
        run(api, "reports/quick")
    return running


@pytest.fixture(scope="module")
def requests() -> list[str]:
    """What the page has asked of Cloudo."""
    return []


@pytest.fixture(scope="module")
def lab(context: BrowserContext, server: RunningServer, requests: list[str]) -> Iterator[Page]:
    page = context.new_page()

    def note(request: Request) -> None:
        if "/cloudo/" in request.url:
            requests.append(request.url.removeprefix(server.url))

    page.on("request", note)
    page.goto(f"{server.url}lab")
    expect(page.locator(".jp-Launcher")).to_be_visible(timeout=BOOT)
    yield page
    page.close()


def sidebar(page: Page) -> Locator:
    side = page.locator("#cloudo-sidebar")
    if not side.is_visible():
        page.locator(".jp-SideBar [data-id=cloudo-sidebar]").click()
    expect(side.get_by_role("heading", name="Flows")).to_be_visible()
    return side


def item(side: Locator, text: str) -> Locator:
    return side.locator(".cloudo-side-row").filter(has_text=text)


def test_before_a_panel_opens_there_are_three_requests(lab: Page, requests: list[str]) -> None:
    until(lambda: len(requests) >= 3, seconds=20)
    # The counts are asked for again and again.
    assert set(requests) == {
        "lab/extensions/cloudo/static/remoteEntry.js",
        "cloudo/api/1/execution/count",
        "cloudo/api/1/message?unanswered=true&limit=100",
    }
    took = lab.evaluate("performance.getEntriesByName('cloudo:activate').map((one) => one.duration)")
    assert len(took) == 1
    assert took[0] < 200  # some 2 ms on an idle machine; the target is 20


def test_sidebar_has_the_tree_of_flows_and_plays_one(lab: Page, server: RunningServer) -> None:
    side = sidebar(lab)
    expect(side.locator("summary").get_by_text("reports", exact=True)).to_be_visible()
    expect(item(side, "Quick report").get_by_role("img", name="Success, last run")).to_be_visible()
    item(side, "Quick report").first.get_by_role("link").focus()
    lab.keyboard.press("Tab")
    expect(button(side, "Play reports/quick")).to_be_focused()
    lab.keyboard.press("Enter")
    with server.client() as api:
        until(lambda: len(api.executions().items) == 3)
    expect(side.get_by_label("Executions", exact=True).locator(".cloudo-side-row")).to_have_count(3)


def test_sidebar_filters_flows_and_lists_failures_first(lab: Page) -> None:
    side = sidebar(lab)
    side.get_by_label("Filter flows").fill("weekly")
    expect(item(side, "asking")).to_be_visible()
    expect(item(side.get_by_label("Flows", exact=True), "Quick report")).to_have_count(0)
    side.get_by_label("Filter flows").fill("")
    rows = side.get_by_label("Executions", exact=True).locator(".cloudo-side-row")
    expect(rows.first).to_contain_text("reports/quick")
    side.get_by_label("Failed first").check()
    expect(rows.first).to_contain_text("failing")
    side.get_by_label("Failed first").uncheck()


def test_sidebar_asks_for_inputs(lab: Page, server: RunningServer) -> None:
    side = sidebar(lab)
    item(side, "asking").hover()
    button(side, "Play reports/weekly/asking").click()
    dialog = lab.get_by_role("dialog")
    dialog.get_by_label("who").fill("Ada")
    lab.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    with server.client() as api:
        until(lambda: newest(api, "reports/weekly/asking").is_ended)
        assert newest(api, "reports/weekly/asking").input_value["who"] == "Ada"


def test_badge_counts_input_requests_and_they_are_answered_in_place(lab: Page, server: RunningServer) -> None:
    write_flow(server.workspace, "colour", ASKING)
    side = sidebar(lab)
    tab = lab.locator(".jp-SideBar [data-id=cloudo-sidebar]")
    with server.client() as api:
        started = api.start_execution(StartExecution(flow_name="colour"))
        expect(tab).to_have_attribute("data-cloudo-questions", "1", timeout=RUN)
        side.get_by_label("Input requests").locator("summary").click()
        side.get_by_label("colour").fill("green")
        side.get_by_label("Input requests").locator("[type=submit]").first.click()
        until(lambda: api.execution(started.id).is_ended)
    expect(tab).to_have_attribute("data-cloudo-questions", "")


def test_dashboard_and_an_execution_come_back_after_a_reload_and_follow_the_theme(lab: Page) -> None:
    lab.locator(".jp-LauncherCard").filter(has_text="Cloudo dashboard").click()
    dashboard = lab.locator("#cloudo-dashboard")
    dashboard.get_by_role("link", name="Schedules", exact=True).click()
    expect(dashboard.get_by_role("heading", name="Schedules", exact=True)).to_be_visible()
    item(sidebar(lab).get_by_label("Executions", exact=True), "failing").get_by_role("link").click()
    execution = lab.locator("[id^='cloudo-execution:']")
    expect(execution.get_by_text("ZeroDivisionError").first).to_be_visible()
    lab.wait_for_timeout(1_500)  # JupyterLab saves its layout at most once a second
    lab.reload()
    expect(execution.get_by_text("ZeroDivisionError").first).to_be_visible(timeout=BOOT)
    lab.locator(".lm-DockPanel-tabBar .lm-TabBar-tab").filter(has_text="Cloudo").first.click()
    expect(dashboard.get_by_role("heading", name="Schedules", exact=True)).to_be_visible()
    light = colour(dashboard)
    choose_dark(lab)
    expect(lab.locator("body[data-jp-theme-light=false]")).to_have_count(1)
    until(lambda: colour(dashboard) != light, seconds=20)


def choose_dark(page: Page) -> None:
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.get_by_text("Theme", exact=True).first.hover()
    page.get_by_text("JupyterLab Dark", exact=True).click()


def colour(panel: Locator) -> str:
    return str(panel.evaluate("(one) => getComputedStyle(one).backgroundColor"))
