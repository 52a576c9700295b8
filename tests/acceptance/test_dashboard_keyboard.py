"""One journey through the dashboard by keyboard alone, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from cloudo_kernel.client import Client
from tests.acceptance.page import RUN, Open, button, newest, row
from tests.flows import write_flow, write_script
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)

ASKS = """
def handler(system, this):
    answer = system.message("Which region?", {"properties": {"region": {}}, "required": ["region"]}).wait()
    this.set_output("region", answer.get("response")["region"])
"""
MAX_STEPS = 90


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    write_script(workspace, "asks", ASKS)
    write_flow(workspace, "endless", "import time\nwhile True: time.sleep(0.05)")
    return serve(workspace)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def step_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press a key until `target` has the focus, and check that the focus can be seen."""
    expect(target).to_be_visible()
    for _ in range(MAX_STEPS):
        page.keyboard.press(key)
        if target.evaluate("one => one === document.activeElement"):
            assert target.evaluate("one => one.matches(':focus-visible')")
            return
    pytest.fail(f"{key} does not lead to {target}.")


def go(page: Page, key: str, title: str) -> None:
    page.keyboard.press("g")
    page.keyboard.press(key)
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(f"^{title}"))


def step_to_row(page: Page, text: str) -> None:
    """Tab into the list, then go down to a row."""
    step_to(page, page.locator("tbody tr[tabindex='0']"))
    if not row(page, text).evaluate("one => one === document.activeElement"):
        step_to(page, row(page, text), "ArrowDown")


def play(page: Page, flow: str) -> None:
    go(page, "f", "Flows")
    step_to_row(page, flow)
    step_to(page, button(row(page, flow), f"Play {flow}"))
    page.keyboard.press("Enter")
    expect(page.locator("[aria-live=polite]").filter(has_text="Started 1 execution")).to_have_count(1)


def open_newest(page: Page, flow: str) -> None:
    go(page, "e", "Executions")
    step_to_row(page, flow)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/executions/[0-9a-f]"))
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_the_keyboard_alone_plays_answers_schedules_and_cancels(show: Open, api: Client) -> None:
    page = show("home")
    page.evaluate("addEventListener('pointerdown', () => (window.hasMouse = true), true)")
    play(page, "asks")
    open_newest(page, "asks")
    expect(page.get_by_role("region", name="Messages")).to_be_visible(timeout=RUN)
    step_to(page, page.get_by_role("link", name="Which region?"))
    page.keyboard.press("Enter")
    step_to(page, page.get_by_label("region", exact=True))
    page.keyboard.type("north")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Answered by")).to_be_visible()
    open_newest(page, "asks")
    expect(page.get_by_role("region", name="Outputs")).to_contain_text("north", timeout=RUN)

    go(page, "f", "Flows")
    step_to_row(page, "asks")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("asks")
    step_to(page, button(page, "New schedule"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Preview").locator("tbody tr")).to_have_count(10)
    step_to(page, button(dialog, "Create"))
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(button(page, "New schedule")).to_be_focused()
    assert [one.flow_name for one in api.schedules().items] == ["asks"]

    play(page, "endless")
    open_newest(page, "endless")
    until(lambda: newest(api, "endless").status == "RUNNING", seconds=60)
    step_to(page, button(page, "Cancel"))
    page.keyboard.press("Enter")
    expect(page.locator(".cloudo-heading .cloudo-status")).to_have_text("Cancelled", timeout=RUN)
    assert not page.evaluate("Boolean(window.hasMouse)")
