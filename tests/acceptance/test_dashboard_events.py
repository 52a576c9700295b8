"""The event stream of the dashboard: one for all tabs of a browser, and it survives a restart of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import StartExecution
from tests.acceptance.page import RUN, button, check, ready, row
from tests.flows import write_flow
from tests.server import CAN_FORK, RunningServer, start_server

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)
TABS = 8


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[RunningServer]:
    workspace = tmp_path_factory.mktemp("workspace")
    write_flow(workspace, "quick", "this.set_output('n', n)", parameters="n: int")
    running = start_server(workspace, home, is_forked=CAN_FORK)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


#: How many milliseconds a request of JupyterLab takes.
CONTENTS = """async () => {
    const begun = performance.now();
    const reply = await fetch("/api/contents", { signal: AbortSignal.timeout(10_000) });
    if (!reply.ok) throw new Error(reply.status);
    return performance.now() - begun;
}"""


def tab(context: BrowserContext, server: RunningServer, path: str) -> Page:
    page = context.new_page()
    page.goto(f"{server.url}cloudo/{path}")
    ready(page)
    return page


def test_many_tabs_are_live_and_leave_the_browser_connections_for_others(
    context: BrowserContext, server: RunningServer, api: Client
) -> None:
    tabs = [tab(context, server, "executions") for _ in range(TABS)]
    lab = context.new_page()
    lab.goto(f"{server.url}lab")
    started = api.start_execution(StartExecution(flow_name="quick", name="seen everywhere", inputs={"n": 1}))
    for page in tabs:
        expect(row(page, "seen everywhere")).to_contain_text("Success", timeout=RUN)
    # Six streams would take all connections that a browser has for one server.
    times = sorted(lab.evaluate(CONTENTS) for _ in range(5))
    assert times[2] < 1_000, times
    # The tab that came first may leave.
    tabs[0].close()
    api.delete_execution(started.id)
    for page in tabs[1:]:
        expect(page.get_by_text("seen everywhere")).to_have_count(0)
        page.close()
    lab.close()


def test_after_a_restart_the_page_goes_on_and_a_form_keeps_its_text(
    context: BrowserContext, server: RunningServer, home: Path
) -> None:
    page = tab(context, server, "flows")
    check(page, "quick")
    button(page, "Play").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("n", exact=True).fill("42")
    server.process.kill()
    server.process.wait()
    expect(page.get_by_text("The server cannot be reached.")).to_be_visible()
    button(dialog, "Play 1 flow").click()
    expect(dialog.get_by_text("The server cannot be reached.")).to_be_visible()
    port = int(server.url.rstrip("/").rpartition(":")[2])
    again = start_server(server.workspace, home, token=server.token, port=port, is_forked=CAN_FORK)
    try:
        expect(page.locator(".cloudo-banner")).to_have_count(0)
        expect(dialog.get_by_label("n", exact=True)).to_have_value("42")
        button(dialog, "Play 1 flow").click()
        expect(dialog).to_have_count(0)
        expect(page.locator(".cloudo-toast").get_by_role("img", name="Success")).to_be_visible(timeout=RUN)
    finally:
        page.close()
        again.stop()
