"""The extension in JupyterLab."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Request, expect

from cloudo_kernel.models import StartExecution
from tests.acceptance.page import BOOT, RUN, button, command, newest, run
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
        if "/cloudo/" in request.url and "/kernelspecs/" not in request.url:  # the launcher loads the logo
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
        side.get_by_role("textbox", name="colour").fill("green")
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


# --- the context menu ---------------------------------------------------------------------------------

FLOW_ENTRIES = ["Run as flow", "Run with inputs…", "Schedule run…", "Run recurring…", "Create webhook…", "Show runs"]
FILE_ENTRIES = ["Add to flows…", "Run once as it is"]


def browse(page: Page, folder: str) -> None:
    """Show a folder in the file browser."""
    page.keyboard.press("Escape")
    if not page.locator("#filebrowser").is_visible():
        page.locator(".jp-SideBar [data-id=filebrowser]").click()
    page.locator(".jp-FileBrowser .jp-BreadCrumbs-home").click()
    expect(page.locator(".jp-BreadCrumbs-item")).to_have_count(0)
    for part in folder.split("/") if folder else ():
        page.locator(".jp-DirListing-item").filter(has_text=part).first.dblclick()
        expect(page.locator(".jp-BreadCrumbs-item").filter(has_text=part)).to_be_visible()


def file(page: Page, name: str) -> Locator:
    return page.locator(".jp-DirListing-item").filter(has_text=name).first


def entries(page: Page, target: Locator) -> list[str]:
    """Open the context menu; return our entries."""
    page.keyboard.press("Escape")
    target.click(button="right")
    expect(page.locator(".lm-Menu").first).to_be_visible()
    words = page.locator(".lm-Menu .lm-Menu-item:not(.lm-mod-hidden) .lm-Menu-itemLabel").all_inner_texts()
    return [word for word in words if word in FLOW_ENTRIES + FILE_ENTRIES]


def choose(page: Page, target: Locator, entry: str) -> None:
    entries(page, target)
    page.locator(".lm-Menu-item:not(.lm-mod-hidden)").filter(has_text=entry).click()


def test_a_flow_has_the_verbs_of_flows_and_runs(lab: Page, server: RunningServer) -> None:
    browse(lab, "flows")
    assert entries(lab, file(lab, "failing.ipynb")) == FLOW_ENTRIES
    with server.client() as api:
        before = newest(api, "failing").id
        choose(lab, file(lab, "failing.ipynb"), "Run as flow")
        until(lambda: newest(api, "failing").id != before)
    expect(lab.locator(".cloudo-lab-actions").get_by_role("region", name="Started 1 execution")).to_be_visible()


def test_a_flow_is_run_with_inputs_scheduled_and_called(lab: Page, server: RunningServer) -> None:
    browse(lab, "flows/reports")
    choose(lab, file(lab, "quick.ipynb"), "Run with inputs…")
    dialog = lab.locator("dialog.cloudo-dialog[open]")
    dialog.get_by_label("n", exact=True).fill("5")
    lab.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    with server.client() as api:
        until(lambda: newest(api, "reports/quick").input_value == {"n": 5})
    for entry, title in (("Schedule run…", "Schedule run"), ("Run recurring…", "Run recurring")):
        choose(lab, file(lab, "quick.ipynb"), entry)
        expect(dialog.get_by_role("heading", name=title)).to_be_visible(timeout=RUN)
        expect(dialog.locator("[type=submit]").first).to_be_visible(timeout=RUN)
        lab.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
    choose(lab, file(lab, "quick.ipynb"), "Create webhook…")
    dialog.get_by_label("Name", exact=True).fill("from-lab")
    dialog.locator("[type=submit]").click()
    with server.client() as api:
        until(lambda: [one.flow_name for one in api.webhooks().items] == ["reports/quick"])
    expect(dialog.get_by_role("heading", name="Key of from-lab")).to_be_visible()
    lab.keyboard.press("Escape")
    expect(lab.locator("[id='cloudo-webhook:from-lab']").get_by_role("heading", name="from-lab")).to_be_visible()


def test_runs_of_a_flow_are_shown(lab: Page) -> None:
    browse(lab, "flows/reports")
    choose(lab, file(lab, "quick.ipynb"), "Show runs")
    dashboard = lab.locator("#cloudo-dashboard")
    expect(dashboard.get_by_role("heading", name="Executions", exact=False)).to_be_visible()
    expect(dashboard.get_by_role("button", name="Remove the filter", exact=False)).to_have_count(1)


def test_a_notebook_outside_of_flows_runs_once_and_is_added(lab: Page, server: RunningServer) -> None:
    source = (server.workspace / "flows" / "reports" / "quick.ipynb").read_text()
    for name in ("copied", "moved"):
        (server.workspace / f"{name}.ipynb").write_text(source)
    browse(lab, "")
    button(lab, "Refresh the file browser.").click()
    assert entries(lab, file(lab, "copied.ipynb")) == FILE_ENTRIES
    choose(lab, file(lab, "copied.ipynb"), "Run once as it is")
    with server.client() as api:
        until(lambda: newest(api).name == "copied")
        assert newest(api).type == "SCRIPT"
        for name, word in (("copied", "Copy"), ("moved", "Move")):
            choose(lab, file(lab, f"{name}.ipynb"), "Add to flows…")
            dialog = lab.locator(".jp-Dialog")
            dialog.get_by_label("Name of the flow").fill(f"team/{name}")
            dialog.get_by_role("button", name=word).click()
            expect(lab.get_by_text(f"team/{name} was").first).to_be_visible()
            assert api.flow(f"team/{name}").path == f"flows/team/{name}.ipynb"
    assert (server.workspace / "copied.ipynb").exists()
    assert not (server.workspace / "moved.ipynb").exists()


def test_a_name_that_exists_is_an_error_that_says_so(lab: Page) -> None:
    browse(lab, "")
    choose(lab, file(lab, "copied.ipynb"), "Add to flows…")
    dialog = lab.locator(".jp-Dialog")
    dialog.get_by_label("Name of the flow").fill("failing")
    dialog.get_by_role("button", name="Copy").click()
    expect(lab.locator(".Toastify__toast").filter(has_text="already a flow 'failing'")).to_be_visible()


def test_the_open_notebook_is_saved_and_run_from_the_palette(lab: Page, server: RunningServer) -> None:
    browse(lab, "flows")
    file(lab, "failing.ipynb").dblclick()
    notebook = lab.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    notebook.locator(".jp-Cell .cm-content").last.click()
    lab.keyboard.press("Control+End")
    lab.keyboard.type("  # changed")
    tab = lab.locator(".lm-DockPanel-tabBar .lm-TabBar-tab").filter(has_text="failing.ipynb")
    assert entries(lab, tab) == FLOW_ENTRIES
    lab.keyboard.press("Escape")
    with server.client() as api:
        before = newest(api, "failing").id
        command(lab, "Run as flow")
        until(lambda: newest(api, "failing").id != before)
    assert "# changed" in (server.workspace / "flows" / "failing.ipynb").read_text()
