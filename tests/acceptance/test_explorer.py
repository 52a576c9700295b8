"""The explorer in a real browser: operations are tried as who is logged in, and by a token."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from cloudo_kernel.models import Action, CreateToken
from tests.acceptance.page import BOOT, RUN, is_foreign
from tests.flows import write_flow
from tests.server import WITHOUT_LAB, RunningServer


@pytest.fixture(scope="module")
def server(start: Callable[..., RunningServer]) -> RunningServer:
    server = start(extensions=WITHOUT_LAB)
    write_flow(server.workspace, "examples/greeting", "print('Hello, ' + name)", parameters="name: str")
    return server


@pytest.fixture(scope="module")
def only_page(browser: Browser, server: RunningServer, wrong: list[str]) -> Iterator[Page]:
    """One page for all tests: it takes seconds to build."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(40_000)
    page = context.new_page()
    page.goto(f"{server.url}login?next=/cloudo/explorer")
    page.fill("#password_input", server.token)
    page.on("pageerror", lambda error: wrong.append(f"script failed: {error}"))
    page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    page.on("request", lambda one: wrong.append(f"left: {one.url}") if is_foreign(one.url, server) else None)
    page.click("#login_submit")
    expect(page.get_by_role("heading", name="Cloudo")).to_be_visible(timeout=BOOT)
    yield page
    context.close()


@pytest.fixture
def explorer(only_page: Page, wrong: list[str]) -> Iterator[Page]:
    """The page, for somebody who is logged in and has nothing but cookies."""
    only_page.set_viewport_size({"width": 1280, "height": 900})
    yield only_page
    assert not wrong


def opened(page: Page, name: str) -> Locator:
    operation = page.locator(f"[id^=operations-][id$=-{name}]")
    if operation.locator(".opblock-body").count() == 0:
        operation.locator(".opblock-summary-control").click()
    return operation


def execute(operation: Locator) -> tuple[int, Any]:
    """Send the request, and return what was answered."""
    if (clear := operation.get_by_role("button", name="Clear")).count():  # what an earlier one was answered
        clear.click()
    operation.get_by_role("button", name="Execute").click()
    live = operation.locator(".live-responses-table .response")
    expect(live).to_be_visible(timeout=RUN)
    status = int(live.locator(".response-col_status").inner_text().split()[0])
    return status, json.loads(live.locator(".highlight-code code").first.inner_text())


def test_who_is_logged_in_tries_operations(explorer: Page, server: RunningServer) -> None:
    status, flows = execute(opened(explorer, "flows"))
    assert status == 200
    assert "examples/greeting" in [flow["name"] for flow in flows["items"]]
    status, record = execute(opened(explorer, "start_execution"))  # with the body that is offered
    assert (status, record["status"]) == (201, "ENDED_SUCCESS")
    assert record["input_value"] == {"name": "Ada"}
    with server.client() as api:
        assert api.execution(record["id"]).is_ended


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_cut_off(explorer: Page, scheme: Any) -> None:
    explorer.set_viewport_size({"width": 390, "height": 800})
    explorer.emulate_media(color_scheme=scheme)
    opened(explorer, "start_execution")
    opened(explorer, "executions")
    assert explorer.evaluate("document.documentElement.scrollWidth") == 390
    assert explorer.evaluate("document.documentElement.classList.contains('dark-mode')") == (scheme == "dark")


def test_with_a_token_one_may_what_it_allows_and_no_more(explorer: Page, server: RunningServer) -> None:
    """The last test with the page, which keeps the token."""
    with server.client() as api:
        token = api.create_token(CreateToken(name="reader", actions=(Action.READ,)))
    explorer.get_by_role("button", name="Authorize").first.click()
    dialog = explorer.locator(".dialog-ux")
    dialog.get_by_role("textbox").fill(token.secret)
    dialog.get_by_role("button", name="Apply credentials").click()
    dialog.get_by_role("button", name="Close").last.click()
    assert execute(opened(explorer, "flows"))[0] == 200
    status, refused = execute(opened(explorer, "start_execution"))  # the cookie would have allowed it
    assert status == 403
    assert token.prefix in refused["error"]["message"]


def test_the_page_is_for_known_users_and_runs_no_script_but_its_files(server: RunningServer) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as nobody:
        for path in ("cloudo/explorer", "cloudo/explorer/explorer.js", "cloudo/explorer/swagger-ui/swagger-ui.css"):
            assert nobody.get(path).status_code in (302, 403), path
        known = {"Authorization": f"token {server.token}"}
        page = nobody.get("cloudo/explorer", headers=known)
        assert page.status_code == 200
        policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
        assert policy["script-src"] == "'self'"
        assert policy["default-src"] == "'none'"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        script = nobody.get("cloudo/explorer/explorer.js", headers=known)
        assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
        for outside in ("__init__.py", "../app.py", "%2e%2e/app.py", "swagger-ui/LICENSE"):
            assert nobody.get(f"cloudo/explorer/{outside}", headers=known).status_code in (403, 404)
