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
    write_flow(workspace, "failing", "1 / 0")
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
    expect(bar.locator(".cloudo-status-bar")).to_be_hidden()
