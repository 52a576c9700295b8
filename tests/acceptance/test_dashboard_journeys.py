"""Journeys through the dashboard: a slow line, no line, a phone, failures of yesterday, a notebook while it runs."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import StartExecution
from tests.acceptance.page import RUN, Open, button, newest, ready, row, run
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(120)
expect.set_options(timeout=20_000)

#: Chromium's throttle: a round trip of 400 ms, 50 kB in a second.
SLOW = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
WAIT = "import pathlib, time\nprint('in step {0}')\nwhile not pathlib.Path('go{0}').exists(): time.sleep(0.05)"
PRINTING = """
import pathlib, time
for n in range(300): print('line', n)
for part in ('more', 'rest'):
    while not pathlib.Path(part).exists(): time.sleep(0.05)
    for n in range(100): print(part, n, flush=True)
while not pathlib.Path('enough').exists(): time.sleep(0.05)
"""
#: Whether the end of the current cell is in view in the list of cells.
AT_NEWEST = """() => {
    const list = document.querySelector('.cloudo-cells'), cell = list?.querySelector('[aria-current]');
    if (!cell) return false;
    const box = list.getBoundingClientRect(), end = cell.getBoundingClientRect().bottom;
    return end > box.top && end <= box.bottom;
}"""
LONG = "\n" + 60 * "# a long cell\n"
DAY_MICROSECONDS = 86_400_000_000


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    for name in ("ask", "ask again"):
        write_flow(workspace, name, "this.set_output('said', who)", parameters="who: str\ntimes: int = 1")
    write_flow(workspace, "nightly", "1 / n", parameters="n: int = 0", metadata={"tags": ["night"]})
    write_flow(workspace, "daily", "1 / 0", metadata={"tags": ["day"]})
    write_flow(workspace, "steps", WAIT.format(1), LONG, LONG, WAIT.format(2), "print('done')")
    write_flow(workspace, "printing", PRINTING, "print('a short notebook')")
    return serve(workspace)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def opened(browser: Browser, server: RunningServer) -> Iterator[Callable[..., Page]]:
    """Open the dashboard in a browser of its own, which has never seen it but is logged in."""
    contexts: list[BrowserContext] = []

    def opened(**options: object) -> Page:
        contexts.append(browser.new_context(**options))  # type: ignore[arg-type]  # names of Playwright
        contexts[-1].request.get(f"{server.url}api/me?token={server.token}")
        page = contexts[-1].new_page()
        page.goto("about:blank")
        return page

    yield opened
    for context in contexts:
        context.close()


def test_on_a_slow_line_rows_come_at_once_and_a_flow_is_played(
    opened: Callable[..., Page], server: RunningServer, api: Client
) -> None:
    page = opened()
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", SLOW)
    begun = time.monotonic()
    page.goto(f"{server.url}cloudo/", wait_until="commit")
    expect(row(page, "nightly")).to_be_visible()
    assert time.monotonic() - begun < 5  # 1.5 s on an idle machine
    ready(page)
    assert time.monotonic() - begun < 12  # 4 s on an idle machine
    button(page, "Play ask").click()
    page.get_by_role("dialog").get_by_label("who", exact=True).fill("Ada")
    page.keyboard.press("Enter")
    expect(page.locator(".cloudo-toast").get_by_role("img", name="Success")).to_be_visible(timeout=RUN)
    assert newest(api, "ask").output_value == {"said": "Ada"}


def test_offline_the_page_says_so_keeps_what_was_typed_and_goes_on_by_itself(
    opened: Callable[..., Page], server: RunningServer, api: Client
) -> None:
    page = opened()
    page.goto(f"{server.url}cloudo/flows/ask", wait_until="commit")
    ready(page)
    page.get_by_label("who", exact=True).fill("Grace")
    page.context.set_offline(True)
    banner = page.locator(".cloudo-banner")
    expect(banner).to_contain_text("offline")
    button(page, "Run").click()
    expect(page.get_by_text("The server cannot be reached.", exact=True)).to_be_visible()
    expect(page.get_by_label("who", exact=True)).to_have_value("Grace")
    # A view whose code has not come yet waits for the line.
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Schedules").click()
    expect(page.get_by_role("heading", name="This view could not be loaded")).to_be_visible()
    page.context.set_offline(False)
    expect(banner).to_have_count(0)
    expect(page.get_by_text("No schedules yet")).to_be_visible()
    page.go_back()
    page.get_by_label("who", exact=True).fill("Grace")
    button(page, "Run").click()
    expect(page).to_have_url(re.compile("/executions/"))
    until(lambda: newest(api, "ask").input_value == {"who": "Grace"})


def test_on_a_phone_a_flow_is_run_and_read_by_touch(
    opened: Callable[..., Page], server: RunningServer, api: Client
) -> None:
    page = opened(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2)
    page.goto(f"{server.url}cloudo/", wait_until="commit")
    ready(page)

    def fits() -> bool:
        return bool(page.evaluate("document.documentElement.scrollWidth <= 390"))

    button(page, "Play ask").tap()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("who", exact=True).fill("Ada")
    assert fits()
    button(dialog, "Play 1 flow").tap()
    toast = page.locator(".cloudo-toast")
    expect(toast.get_by_role("img", name="Success")).to_be_visible(timeout=RUN)
    toast.get_by_role("link", name="ask").tap()
    expect(page.get_by_role("region", name="Outputs")).to_contain_text("Ada")
    assert fits()
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Workers").tap()
    expect(page.get_by_role("heading", level=1)).to_have_text("Workers and queue")
    assert fits()
    small = page.evaluate("""() => [...document.querySelectorAll("button, .cloudo-tab")]
        .filter(one => one.checkVisibility())
        .map(one => [one.getBoundingClientRect(), one.textContent || one.ariaLabel])
        .filter(([box]) => box.height < 24 || box.width < 24).map(([, name]) => name)""")
    assert small == []  # WCAG 2.5.8: targets of 24 px


def test_yesterdays_failures_of_one_tag_are_found(show: Open, api: Client, server: RunningServer) -> None:
    wanted = run(api, "nightly")
    others = [run(api, "daily"), run(api, "nightly", n=1)]
    with closing(sqlite3.connect(server.workspace / ".cloudo" / "cloudo.sqlite", timeout=20)) as store, store:
        for one in (wanted, *others):
            store.execute("UPDATE executions SET created_at = created_at - ? WHERE id = ?", (DAY_MICROSECONDS, one))
    run(api, "nightly")  # today's
    page = show("executions")
    menu = page.get_by_role("button", name=re.compile("^Filters"))
    menu.click()
    page.get_by_role("menuitem", name="Yesterday").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("button", name=re.compile("^Error")).click()
    expect(page.locator("tbody tr")).to_have_count(2)
    menu.click()
    page.get_by_role("menuitem", name="Flow, tag, user, time…").click()
    page.get_by_role("dialog").get_by_label("Tag", exact=True).fill("night")
    button(page.get_by_role("dialog"), "Apply").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("tbody .cloudo-title").click()
    expect(page).to_have_url(re.compile(wanted))
    expect(page.get_by_label("Error", exact=True)).to_contain_text("division by zero")


def test_a_notebook_is_followed_cell_by_cell(show: Open, api: Client, server: RunningServer) -> None:
    started = api.start_execution(StartExecution(flow_name="steps"))
    page = show(f"executions/{started.id}")
    cells = page.get_by_role("list", name="Cells").get_by_role("listitem")
    page.locator(".cloudo-notebook").scroll_into_view_if_needed()
    for step, following in ((1, 1), (2, 4)):
        current = page.locator(".cloudo-cell[aria-current=step]")
        expect(current).to_contain_text(f"in step {step}", timeout=RUN)
        expect(current).to_have_count(1)
        expect(current).to_be_in_viewport()
        expect(page.get_by_role("log")).to_contain_text(f"in step {step}")
        expect(cells.nth(following)).to_have_attribute("data-cell", "pending")
        Path(server.workspace, "flows", f"go{step}").touch()
    frame = page.frame_locator("iframe[title='Executed notebook']")
    page.locator(".cloudo-notebook").scroll_into_view_if_needed()
    expect(frame.get_by_text("done", exact=True)).to_be_visible(timeout=RUN)


def test_the_newest_line_of_a_cell_is_in_view_unless_the_reader_has_scrolled_away(
    show: Open, api: Client, server: RunningServer
) -> None:
    started = api.start_execution(StartExecution(flow_name="printing"))
    page = show(f"executions/{started.id}")
    current = page.locator(".cloudo-cell[aria-current=step]")
    expect(current).to_contain_text("line 299", timeout=RUN)
    page.wait_for_function(AT_NEWEST)
    cells = page.get_by_role("list", name="Cells")
    cells.evaluate("list => { list.scrollTop = 300 }")
    Path(server.workspace, "flows", "more").touch()
    expect(current).to_contain_text("more 99")
    assert cells.evaluate("list => list.scrollTop") == 300
    cells.evaluate("list => { list.scrollTop = list.scrollHeight }")
    page.wait_for_function(AT_NEWEST)
    Path(server.workspace, "flows", "rest").touch()
    expect(current).to_contain_text("rest 99")
    page.wait_for_function(AT_NEWEST)
    Path(server.workspace, "flows", "enough").touch()
    frame = page.locator("iframe[title='Executed notebook']")
    expect(page.frame_locator("iframe[title='Executed notebook']").get_by_text("rest 99")).to_be_attached(timeout=RUN)
    assert frame.evaluate("frame => frame.clientHeight / innerHeight") == pytest.approx(0.72, abs=0.01)


@pytest.mark.parametrize(("width", "flow"), [(1280, "ask"), (390, "ask"), (1280, "daily")])
def test_the_frame_of_a_short_notebook_is_as_high_as_its_content(
    show: Open, api: Client, width: int, flow: str
) -> None:
    page = show(f"executions/{run(api, flow, **({'who': 'Ada'} if flow == 'ask' else {}))}")
    page.set_viewport_size({"width": width, "height": 844})
    page.reload(wait_until="commit")
    page.locator(".cloudo-notebook").scroll_into_view_if_needed()
    content = page.frame_locator("iframe[title='Executed notebook']").locator("main")
    expect(content).to_contain_text("this.set_output" if flow == "ask" else "ZeroDivisionError")
    inside = content.bounding_box()
    frame = page.locator("iframe[title='Executed notebook']").bounding_box()
    assert inside
    assert frame
    assert inside["height"] <= frame["height"] <= inside["height"] + 80
