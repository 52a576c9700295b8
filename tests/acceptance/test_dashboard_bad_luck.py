"""What a page says when the server is newer, the session over, or the thing it shows gone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import ExecutionFilter, StartExecution
from tests.acceptance.page import RUN, Open, button, ready
from tests.flows import write_flow
from tests.server import RunningServer, start_server, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    workspace = tmp_path_factory.mktemp("workspace")
    write_flow(workspace, "greet", "this.set_output('said', name)", parameters="name: str\nage: int = 1")
    write_flow(workspace, "passing", "1")
    running = start_server(workspace, tmp_path_factory.mktemp("home"))
    yield running
    running.stop()


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
    assert api.executions(ExecutionFilter(flow_name="greet")).items[0].input_value == {"name": "Ada"}


def test_a_flow_that_is_deleted_while_its_page_is_open_is_gone(show: Open, api: Client) -> None:
    page = show("flows/passing")
    expect(button(page, "Run")).to_be_visible()
    api.delete_flow("passing")
    expect(page.get_by_role("heading", name="This flow does not exist")).to_be_visible()
    page.get_by_role("link", name="Show all flows").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Flows")


def test_an_execution_that_is_deleted_while_it_is_watched_is_gone(show: Open, api: Client) -> None:
    """Housekeeping deletes an expired one by the same verb."""
    started = api.start_execution(StartExecution(flow_name="greet", inputs={"name": "Ada"}))
    page = show(f"executions/{started.id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("greet")
    api.wait(started.id, timeout=timedelta(seconds=60))
    api.delete_execution(started.id)
    expect(page.get_by_role("heading", name="This execution does not exist")).to_be_visible()
    expect(page.get_by_text("It was deleted or has expired")).to_be_visible()


def refuse(page: Page, status: int, code: str, message: str) -> None:
    """Have the server refuse the next start, as REST words it."""
    body = json.dumps({"error": {"code": code, "message": message}})
    reply = {"status": status, "content_type": "application/json", "body": body}
    page.route("**/api/1/execution", lambda route: route.fulfill(**reply), times=1)


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (429, "too_many_calls", "Too many calls. Try again in 7 seconds."),
        (503, "unavailable", "The disk is full."),
        (409, "flow_broken", "The flow cannot run: its parameters cell has a syntax error."),
    ],
)
def test_a_refused_start_says_why_and_can_be_repeated(
    show: Open, api: Client, status: int, code: str, message: str
) -> None:
    page = show("flows/greet")
    page.get_by_label("name", exact=True).fill("Grace")
    refuse(page, status, code, message)
    button(page, "Run").click()
    expect(page.get_by_text(message)).to_be_visible()
    expect(page.get_by_label("name", exact=True)).to_have_value("Grace")
    button(page, "Run").click()
    expect(page).to_have_url(re.compile("/cloudo/executions/"))
    until(lambda: api.executions(ExecutionFilter(flow_name="greet")).items[0].input_value == {"name": "Grace"})


def test_an_invalid_input_is_named_beside_its_field(show: Open) -> None:
    page = show("flows/greet")
    page.get_by_label("name", exact=True).fill("Ada")
    age = page.get_by_label("age", exact=True)
    age.fill("1e400")
    button(page, "Run").click()
    expect(age).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("name", exact=True)).to_have_value("Ada")
