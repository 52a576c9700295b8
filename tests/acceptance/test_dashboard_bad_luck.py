"""What a page says when the server is newer, the session over, or the thing it shows gone."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import (
    CreateSchedule,
    CreateToken,
    CreateWebhook,
    ScheduleTrigger,
    StartExecution,
)
from cloudo_kernel.service import Service
from cloudo_kernel.settings import MAX_UNENDED_PER_WEBHOOK
from cloudo_kernel.store import Store
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.acceptance.page import RUN, Open, button, newest, ready, run
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=20_000)

GREET, ASKS = "this.set_output('said', name)", "name: str\nage: int = 1"
#: As long as a name may be: without a blank, from right to left, and in emoji that are several characters each.
NAMES = ("n" * 240, ("שלום عالم " * 24)[:240], "👩🏽‍🚀" * 60)
ODD = "o" * 100 + "/" + "d" * 99  # the longest name of a flow


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    write_flow(workspace, "greet", GREET, parameters=ASKS)
    write_flow(workspace, "passing", "1")
    write_flow(workspace, "brief", "1", metadata={"retention_minutes": 0})
    write_flow(workspace, "endless", "import time\nwhile True: time.sleep(0.05)")
    write_flow(workspace, "large", "print('x' * 10_000_000)", "for n in range(200_000): print(f'line {n}')")
    write_flow(workspace, ODD, "1", metadata={"title": NAMES[1], "tags": [NAMES[2][:200]], "description": NAMES[0]})
    return serve(workspace)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def test_an_old_page_offers_to_reload_when_the_server_is_newer(show: Open, server: RunningServer) -> None:
    page = show("flows")

    def age(route: Route) -> None:
        reply = route.fetch()
        route.fulfill(response=reply, body=re.sub(r'data-version="[^"]+"', 'data-version="0.0.1"', reply.text()))

    page.route("**/cloudo/settings", age)
    page.goto(f"{server.url}cloudo/settings", wait_until="commit")
    ready(page)
    banner = page.locator(".cloudo-banner").filter(has_text="this page is of 0.0.1")
    expect(banner).to_be_visible()
    page.unroute("**/cloudo/settings")
    button(banner, "Reload").click()
    expect(banner).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")


def test_an_expired_session_asks_to_log_in_and_keeps_what_was_typed(
    show: Open, context: BrowserContext, server: RunningServer, api: Client
) -> None:
    page = show("flows/greet")
    page.get_by_label("name", exact=True).fill("Ada")
    context.clear_cookies()
    button(page, "Run").click()
    banner = page.locator(".cloudo-banner").filter(has_text="Your session has expired. Log in again; what you typed")
    expect(button(banner, "Log in")).to_be_visible()
    expect(page.get_by_label("name", exact=True)).to_have_value("Ada")
    with context.expect_page() as opened:
        button(banner, "Log in").click()
    expect(opened.value).to_have_url(re.compile("/login"))
    opened.value.goto(f"{server.url}cloudo/flows?token={server.token}")
    opened.value.close()
    expect(banner).to_have_count(0)
    button(page, "Run").click()
    expect(page.locator(".cloudo-panel").filter(has_text="Outputs")).to_contain_text("Ada", timeout=RUN)
    assert newest(api, "greet").input_value == {"name": "Ada"}


def test_a_flow_that_is_deleted_while_its_page_is_open_is_gone(show: Open, api: Client) -> None:
    page = show("flows/passing")
    expect(button(page, "Run")).to_be_visible()
    api.delete_flow("passing")
    expect(page.get_by_role("heading", name="This flow does not exist")).to_be_visible()
    page.get_by_role("link", name="Show all flows").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Flows")


def test_an_execution_that_expires_while_it_is_watched_is_gone(show: Open, api: Client, server: RunningServer) -> None:
    started = run(api, "brief")
    page = show(f"executions/{started}")
    expect(page.get_by_role("heading", level=1)).to_have_text("brief")
    workspace = Workspace(server.workspace)
    store = Store.open(workspace.database_url)
    Service(store, Catalog(workspace), user_name="ada").delete_expired()  # as each worker does once a minute
    store.close()
    expect(page.get_by_role("heading", name="This execution does not exist")).to_be_visible()
    expect(page.get_by_text("It was deleted or has expired")).to_be_visible()


@contextmanager
def broken(server: RunningServer, _page: Page) -> Iterator[None]:
    write_flow(server.workspace, "greet", "1", parameters="def (")
    try:
        yield
    finally:
        write_flow(server.workspace, "greet", GREET, parameters=ASKS)


@contextmanager
def without_rights(server: RunningServer, page: Page) -> Iterator[None]:
    with server.client() as api:
        created = api.create_token(CreateToken(name="reader", actions=("read",)))
    page.set_extra_http_headers({"Authorization": f"token {created.secret}"})
    try:
        yield
    finally:
        page.set_extra_http_headers({})


@contextmanager
def locked(server: RunningServer, _page: Page) -> Iterator[None]:
    with closing(sqlite3.connect(server.workspace / ".cloudo" / "cloudo.sqlite", isolation_level=None)) as store:
        store.execute("BEGIN IMMEDIATE")
        yield
        store.execute("ROLLBACK")


REFUSALS = {
    409: (broken, "The flow 'greet' is broken: the parameters cell has a syntax error"),
    403: (without_rights, "This takes the right to execution:start."),
    503: (locked, "another process has held it"),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refused_start_says_why_and_can_be_repeated(
    show: Open, api: Client, server: RunningServer, status: int
) -> None:
    cause, message = REFUSALS[status]
    page = show("flows/greet")
    page.get_by_label("name", exact=True).fill(f"Grace {status}")
    with cause(server, page):
        with page.expect_response("**/api/1/execution") as reply:
            button(page, "Run").click()
        assert reply.value.status == status
        expect(page.get_by_role("region", name="Run", exact=True).get_by_text(message)).to_be_visible()
    expect(page.get_by_label("name", exact=True)).to_have_value(f"Grace {status}")
    button(page, "Run").click()
    expect(page).to_have_url(re.compile("/cloudo/executions/"))
    until(lambda: newest(api, "greet").input_value == {"name": f"Grace {status}"})


def test_too_many_runs_of_a_webhook_are_told_where_it_is_replayed(
    show: Open, api: Client, server: RunningServer
) -> None:
    api.create_webhook(CreateWebhook(name="busy", flow_name="endless", sync_timeout_seconds=0))
    api.save_setting(MAX_UNENDED_PER_WEBHOOK, 1)
    started = httpx.post(f"{server.url}cloudo/webhook/busy").raise_for_status().json()
    page = show("webhooks/busy")
    page.get_by_role("button", name=re.compile("^Replay the call")).click()
    expect(page.get_by_text("1 executions started by this webhook have not ended, which is the limit.")).to_be_visible()
    api.cancel_execution(started["id"])
    until(lambda: api.execution(started["id"]).is_ended)
    page.get_by_role("button", name=re.compile("^Replay the call")).click()
    expect(page.get_by_text("Started 1 execution").first).to_be_visible()
    api.cancel_execution(newest(api, "endless").id)


def test_an_invalid_input_is_named_beside_its_field(show: Open) -> None:
    page = show("flows/greet")
    page.get_by_label("name", exact=True).fill("Ada")
    age = page.get_by_label("age", exact=True)
    age.fill("1e400")
    button(page, "Run").click()
    expect(age).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("name", exact=True)).to_have_value("Ada")


def test_ten_megabytes_in_a_cell_and_a_log_of_200_000_lines_leave_the_page_usable(show: Open, api: Client) -> None:
    ended = run(api, "large")
    page = show(f"executions/{ended}")
    log = page.get_by_role("log")
    expect(log.get_by_text("line 199999", exact=True)).to_be_attached()
    expect(page.get_by_role("region", name="Log")).to_contain_text(re.compile(r"200,0\d\d lines"))
    assert page.locator("*").count() < 5_000
    page.get_by_role("button", name="Show earlier lines").click()
    expect(log.get_by_text("line 199200", exact=True)).to_be_attached()
    status = page.get_by_role("region", name="Log").get_by_role("status")
    page.get_by_label("Search the log").fill("LINE 1234")
    expect(status).to_have_text(re.compile(r"^111 of 200,0\d\d lines match$"))
    expect(log.locator("[data-source]").first).to_contain_text("line 1234")
    page.get_by_label("Search the log").fill("line 9")
    expect(status).to_have_text(re.compile(r"^11,111 of .* lines match; these are the last 1,000$"))
    page.get_by_label("Lines").select_option("stderr")
    expect(status).to_have_text(re.compile("^0 of "))
    page.get_by_label("Lines").select_option("All lines")
    page.get_by_label("Search the log").fill("")
    expect(log.get_by_text("line 199999", exact=True)).to_be_attached()
    page.locator(".cloudo-notebook").scroll_into_view_if_needed()
    expect(page.frame_locator("iframe[title='Executed notebook']").get_by_text("for n in range").first).to_be_visible()
    page.get_by_role("link", name="Flows").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Flows")


def test_long_names_right_to_left_text_and_emoji_fit(show: Open, api: Client) -> None:
    ids = [api.start_execution(StartExecution(flow_name=ODD, name=name, delay_seconds=1e6)).id for name in NAMES]
    page = show("executions")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for path in ("executions", "flows", f"flows/{quote(ODD)}", *(f"executions/{one}" for one in ids)):
            page.goto(re.sub("/cloudo/.*", f"/cloudo/{path}", page.url), wait_until="commit")
            ready(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.goto(re.sub("/cloudo/.*", "/cloudo/executions", page.url), wait_until="commit")
    for name in NAMES:
        expect(page.locator("tbody tr").filter(has_text=name[:20]).first).to_be_visible()


def test_overdue_schedules_without_a_worker_are_told(context: BrowserContext, serve: Serve) -> None:
    alone = serve(None, "--Cloudo.embedded_worker=False")
    write_flow(alone.workspace, "one", "1")
    with alone.client() as api:
        for number in range(3):
            when = ScheduleTrigger(delay_seconds=0)
            api.create_schedule(CreateSchedule(flow_name="one", trigger=when, name=f"number {number}"))
        until(lambda: api.health().overdue_schedules == 3, seconds=60)
    page = context.new_page()
    page.goto(f"{alone.url}cloudo/schedules?token={alone.token}", wait_until="commit")
    banner = page.get_by_text("No worker is running: 3 schedules are overdue. Start one with: cloudo worker")
    expect(banner).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Flows").click()
    expect(banner).to_be_visible()
    page.close()
