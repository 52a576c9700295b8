"""Notifications of the browser about one's own runs, with several tabs open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import CreateSchedule, ScheduleTrigger, StartExecution
from tests.acceptance.page import RUN, button, ready
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)

#: A browser without a screen shows no notification and hides no tab: what it would show is kept, and tabs hide on call.
#: `decided` counts how often a tab has asked which ones are in sight, which it does for each piece of news.
RECORD = """
window.shown = [];
window.Notification = class extends EventTarget {
  static permission = 'granted';
  static requestPermission = async () => 'granted';
  constructor(title, options) {
    super();
    this.close = () => {};
    window.shown.push({title, ...options, open: () => this.onclick()});
  }
};
window.decided = 0;
const query = navigator.locks.query.bind(navigator.locks);
navigator.locks.query = async () => { const held = await query(); window.decided += 1; return held; };
let visibility = 'visible';
Object.defineProperty(document, 'visibilityState', {get: () => visibility});
Object.defineProperty(document, 'hidden', {get: () => visibility === 'hidden'});
window.become = (state) => { visibility = state; document.dispatchEvent(new Event('visibilitychange')); };
"""


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    write_flow(workspace, "good", "this.success('all is well')")
    write_flow(workspace, "failing", "1 / 0")
    write_flow(workspace, "asks", "system.message('Which region?', {'properties': {'region': {}}}).wait()")
    return serve(workspace)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def tabs(browser: Browser, server: RunningServer) -> Iterator[list[Page]]:
    """Three tabs of one browser."""
    context: BrowserContext = browser.new_context()
    context.add_init_script(RECORD)
    context.request.get(f"{server.url}cloudo/api/1/user/me?token={server.token}")
    context.request.get(f"{server.url}api/me?token={server.token}")
    pages = [context.new_page() for _ in range(3)]
    for page in pages:
        page.goto(f"{server.url}cloudo/settings", wait_until="commit")
        ready(page)
    yield pages
    context.close()


def shown(tabs: list[Page]) -> list[dict[str, Any]]:
    return [one for page in tabs for one in page.evaluate("window.shown.map(({title, body}) => ({title, body}))")]


def run(api: Client, flow: str) -> str:
    started = api.start_execution(StartExecution(flow_name=flow))
    api.wait(started.id, timeout=timedelta(seconds=60))
    return started.id


def test_each_end_and_question_is_told_once_and_only_while_no_tab_is_in_sight(tabs: list[Page], api: Client) -> None:
    first, *others = tabs
    button(first, "Turn on").click()
    expect(button(first, "Turn off")).to_be_visible()
    run(api, "good")
    until(lambda: first.evaluate("decided") == 1)
    for page in others:
        page.evaluate("become('hidden')")
    run(api, "good")  # one tab is still in sight
    until(lambda: first.evaluate("decided") == 2)
    first.evaluate("become('hidden')")
    run(api, "failing")
    until(lambda: shown(tabs))
    assert shown(tabs) == [{"title": "Error: failing", "body": "ZeroDivisionError: division by zero"}]
    asking = api.start_execution(StartExecution(flow_name="asks"))
    until(lambda: len(shown(tabs)) == 2)
    assert shown(tabs)[1:] == [{"title": "Which region?", "body": "asks waits for an answer."}]
    api.cancel_execution(asking.id)
    until(lambda: len(shown(tabs)) == 3)
    first.close()  # another tab takes over
    rest = [page for page in tabs if page is not first]
    run(api, "good")
    until(lambda: shown(rest))
    assert shown(rest) == [{"title": "Success: good", "body": "all is well"}]
    teller = next(page for page in rest if page.evaluate("window.shown.length"))
    teller.evaluate("become('visible'); shown[0].open()")
    expect(teller.get_by_role("heading", level=1)).to_have_text("good", timeout=RUN)


def test_what_schedules_run_is_told_only_if_it_fails(tabs: list[Page], api: Client) -> None:
    first = tabs[0]
    button(first, "Turn on").click()
    for page in tabs:
        page.evaluate("become('hidden')")
    trigger = ScheduleTrigger(daily_at="08:30")
    for flow in ("good", "failing"):
        made = api.create_schedule(CreateSchedule(flow_name=flow, trigger=trigger, timezone="UTC"))
        started = api.trigger_schedule(made.id)
        api.wait(started.id, timeout=timedelta(seconds=60))
        api.delete_schedule(made.id)
    until(lambda: shown(tabs))
    assert [one["title"] for one in shown(tabs)] == ["Error: failing iteration #1"]
    first.evaluate("become('visible')")
    button(first, "Turn off").click()
    first.evaluate("become('hidden')")
    api.wait(api.start_execution(StartExecution(flow_name="failing")).id, timeout=timedelta(seconds=60))
    ended = api.start_execution(StartExecution(flow_name="good"))
    first.evaluate("become('visible')")
    first.get_by_role("link", name="Executions", exact=True).click()
    expect(first.locator(f"a[href$='{ended.id}']")).to_be_visible()
    assert len(shown(tabs)) == 1
