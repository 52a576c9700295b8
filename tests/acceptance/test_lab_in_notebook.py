"""The extension in Notebook 7, whose pages have a single document each."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.acceptance.page import BOOT, button, command, newest
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Serve) -> RunningServer:
    workspace = tmp_path_factory.mktemp("workspace")
    for name in ("failing", "open"):
        write_flow(workspace, name, "print('so far')", "1 / 0")
    return start(workspace)


def choose(page: Page, entry: str) -> None:
    """Choose an entry of the context menu of the flow in the list of files."""
    page.locator(".jp-DirListing-item").filter(has_text="failing.ipynb").click(button="right")
    page.locator(".lm-Menu-item:not(.lm-mod-hidden)").filter(has_text=entry).click()


def marks(page: Page) -> Locator:
    return page.locator(".cloudo-cell-run")


def test_the_list_of_files_runs_a_flow_and_shows_its_runs(context: BrowserContext, server: RunningServer) -> None:
    page = context.new_page()
    page.goto(f"{server.url}tree/flows")
    expect(page.locator(".jp-DirListing-item").filter(has_text="failing.ipynb")).to_be_visible(timeout=BOOT)
    choose(page, "Run as flow")
    started = page.locator(".cloudo-lab-actions").get_by_role("region", name="Started 1 execution")
    with server.client() as api:
        until(lambda: newest(api, "failing").is_ended)
    with context.expect_page() as opened:  # where JupyterLab has a panel, Notebook has a tab of the browser
        started.get_by_role("link", name="failing", exact=True).click()
    expect(opened.value.get_by_text("ZeroDivisionError").first).to_be_visible(timeout=BOOT)
    opened.value.close()
    with context.expect_page() as opened:
        choose(page, "Show runs")
    expect(opened.value.get_by_role("button", name="Remove the filter", exact=False)).to_have_count(1, timeout=BOOT)
    opened.value.close()
    command(page, "Show Cloudo's sidebar")
    executions = page.locator("#cloudo-sidebar").get_by_label("Executions", exact=True)
    expect(executions.locator(".cloudo-side-row")).to_have_count(1)
    page.close()


def test_an_open_notebook_runs_as_a_flow_and_takes_its_outputs_over(
    context: BrowserContext, server: RunningServer
) -> None:
    page = context.new_page()
    page.goto(f"{server.url}notebooks/flows/open.ipynb")
    expect(page.locator(".jp-CodeCell").first).to_be_visible(timeout=BOOT)
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("  # changed")
    button(page, "Run as flow").click()
    expect(page.locator(".cloudo-run-strip").get_by_role("status")).to_contain_text("ZeroDivisionError")
    expect(marks(page).filter(has_text="done")).to_contain_text("so far")
    expect(marks(page).filter(has_text="failed")).to_contain_text("division by zero")
    command(page, "Edit Notebook Metadata")  # opens the property inspector
    page.locator(".jp-Collapse-header").filter(has_text="Flow").click()
    page.locator(".cloudo-properties").get_by_label("Title").fill("In Notebook")
    path = server.workspace / "flows" / "open.ipynb"
    assert "# changed" in path.read_text()
    with context.expect_page() as opened:
        button(page, "Open executed notebook").click()
    expect(opened.value.get_by_text("division by zero")).to_be_visible(timeout=BOOT)
    opened.value.close()
    button(page, "Take over outputs").click()
    expect(marks(page)).to_have_count(0)
    expect(page.locator(".jp-OutputArea-output").filter(has_text="so far")).to_have_count(1)
    page.keyboard.press("Control+s")
    until(lambda: "division by zero" in path.read_text())
    with server.client() as api:
        assert api.flow("open").title == "In Notebook"
    page.close()
