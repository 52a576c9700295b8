"""What the extension adds to JupyterLab's window: status bar, notifications, menus and launcher."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from cloudo_kernel.models import StartExecution
from tests.acceptance.page import BOOT, RUN, button
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)
GATE = "import pathlib, time\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.02)"
ASKING = "system.message('Which colour?', {'properties': {'colour': {'element': 'text'}}}).wait()"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Serve) -> RunningServer:
    workspace = tmp_path_factory.mktemp("workspace")
    write_flow(workspace, "gated", GATE.format(str(workspace / "open")))
    write_flow(workspace, "colour", ASKING)
    write_flow(workspace, "size", ASKING.replace("colour", "size"))
    for name in ("failing", "wrong"):
        write_flow(workspace, name, "1 / 0")
    write_flow(workspace, "quick", "6 * 7")
    return start(workspace)


@pytest.fixture(scope="module")
def lab(context: BrowserContext, server: RunningServer) -> Iterator[Page]:
    page = context.new_page()
    page.goto(f"{server.url}lab")
    expect(page.locator(".jp-Launcher")).to_be_visible(timeout=BOOT)
    yield page
    page.close()


def panel(page: Page) -> Locator:
    """The dashboard."""
    return page.locator("#cloudo-dashboard")


def toast(page: Page, words: str) -> Locator:
    return page.locator(".Toastify__toast").filter(has_text=words)


def test_status_bar_counts_and_opens_what_it_counts(lab: Page, server: RunningServer) -> None:
    bar = lab.locator("#jp-main-statusbar")
    expect(bar).to_be_visible()
    expect(bar.locator(".cloudo-status-bar")).to_be_hidden()
    with server.client() as api:
        gated = api.start_execution(StartExecution(flow_name="gated"))
        expect(button(bar, "1 running")).to_be_visible(timeout=RUN)
        asking = api.start_execution(StartExecution(flow_name="colour"))
        expect(button(bar, "1 question")).to_be_visible(timeout=RUN)
        button(bar, "1 question").click()
        expect(panel(lab).get_by_role("link", name="Which colour?")).to_be_visible()
        button(bar, "1 running").focus()
        lab.keyboard.press("Enter")
        expect(panel(lab).get_by_role("link", name="gated")).to_be_visible()
        api.cancel_execution(asking.id)
        (server.workspace / "open").touch()
        until(lambda: api.execution(gated.id).is_ended)
    # Else the next test's run could be in one notification with these.
    expect(toast(lab, "Success: gated")).to_be_visible(timeout=RUN)
    expect(bar.locator(".cloudo-status-bar")).to_be_hidden()


def settings(page: Page) -> Locator:
    """Open the form of the extension's settings."""
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.get_by_text("Settings Editor", exact=True).click()
    editor = page.locator("#setting-editor")
    editor.locator("input[type=search]").first.fill("cloudo")
    expect(editor.locator(".jp-PluginList-entry")).to_have_count(1)
    editor.locator(".jp-PluginList-entry").click()
    expect(editor.locator(".jp-SettingsForm")).to_have_count(1)
    return editor


def test_own_runs_are_notified_of_as_the_settings_say(lab: Page, server: RunningServer) -> None:
    with server.client() as api:
        api.start_execution(StartExecution(flow_name="failing"))
        expect(toast(lab, "Error: failing")).to_contain_text("ZeroDivisionError", timeout=RUN)
        button(toast(lab, "Error: failing"), "Show").click()
        expect(lab.locator("[id^='cloudo-execution:']").get_by_text("ZeroDivisionError").first).to_be_visible()
        asking = api.start_execution(StartExecution(flow_name="size"))
        button(toast(lab, "Which size?"), "Answer").click(timeout=RUN)
        question = lab.locator("[id^='cloudo-message:']")
        question.get_by_role("textbox", name="size").fill("green")
        question.locator("[type=submit]").first.click()
        until(lambda: api.execution(asking.id).is_ended)
        expect(toast(lab, "Success: size")).to_be_visible(timeout=RUN)
        editor = settings(lab)
        editor.locator("select").select_option("problems")
        expect(editor.get_by_role("button", name="Restore to Defaults")).to_be_visible()  # it was saved
        api.wait(api.start_execution(StartExecution(flow_name="quick")).id)
        api.start_execution(StartExecution(flow_name="wrong"))
        expect(toast(lab, "Error: wrong")).to_be_visible(timeout=RUN)
    expect(toast(lab, "Success: quick")).to_have_count(0)


def test_order_of_the_sidebar_is_a_setting(lab: Page) -> None:
    settings(lab).get_by_label("Failed executions first").check()
    lab.locator(".jp-SideBar [data-id=cloudo-sidebar]").click()
    switch = lab.locator("#cloudo-sidebar").get_by_label("Failed first")
    expect(switch).to_be_checked()
    with lab.expect_response(lambda reply: "lab/api/settings/cloudo" in reply.url and reply.request.method == "PUT"):
        switch.uncheck()
    lab.reload()
    expect(switch).not_to_be_checked(timeout=BOOT)


TEMPLATES = ["Report", "Check", "Fan-out", "Form", "Webhook", "Empty"]


def menu(page: Page, name: str, entry: str) -> Locator:
    """Open a main menu; return an entry."""
    page.get_by_role("menuitem", name=name, exact=True).click()
    return page.locator(".lm-Menu-item:not(.lm-mod-hidden)").filter(has_text=entry)


def test_new_flows_come_from_templates_and_run_at_once(lab: Page, server: RunningServer) -> None:
    dialog = lab.locator("dialog.cloudo-dialog[open]")
    for template in TEMPLATES:
        if template == "Report":
            menu(lab, "File", "New Launcher").click()
            lab.locator(".jp-LauncherCard:visible").filter(has_text="New flow").click()
        else:
            menu(lab, "Cloudo", "New flow…").click()
        dialog.get_by_label("Template").select_option(template)
        dialog.get_by_label("Name").fill(f"new/{template}")
        lab.keyboard.press("Enter")
        expect(lab.locator(".lm-TabBar-tab.jp-mod-current").filter(has_text=f"{template}.ipynb")).to_be_visible()
    with server.client() as api:
        runs = [api.start_execution(StartExecution(flow_name=f"new/{template}")).id for template in TEMPLATES]
        until(lambda: api.messages(unanswered=True).items, seconds=60)
        question = api.messages(unanswered=True).items[0]
        api.answer_message(question.id, {"send": True, "note": "Thanks"})
        until(lambda: all(api.execution(run).is_ended for run in runs), seconds=60)
        assert [(one.status, one.error) for one in map(api.execution, runs)] == [("ENDED_SUCCESS", None)] * len(runs)
        assert [one.name for one in api.execution_results(runs[0])] == ["best products"]


def test_main_menu_has_the_verbs_of_the_current_document(lab: Page) -> None:
    expect(menu(lab, "Cloudo", "Run with inputs…")).to_be_visible()  # the last flow is open
    lab.keyboard.press("Escape")
    menu(lab, "File", "New Launcher").click()
    expect(lab.locator(".jp-LauncherCard:visible").first).to_be_visible()
    expect(menu(lab, "Cloudo", "Cloudo dashboard")).to_be_visible()
    expect(lab.locator(".lm-Menu-item:not(.lm-mod-hidden)").filter(has_text="Run with inputs…")).to_have_count(0)
    lab.keyboard.press("Escape")
