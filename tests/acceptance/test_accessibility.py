"""Every view of the dashboard, looked at by axe-core (npm `axe-core`, MPL 2.0, kept in `axe-core/`), light and dark."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from cloudo_kernel.models import (
    CreateMessage,
    CreateSchedule,
    CreateToken,
    CreateWebhook,
    ScheduleTrigger,
    StartExecution,
)
from tests.acceptance.page import Open, button, check
from tests.flows import write_flow
from tests.server import RunningServer, Serve

pytestmark = pytest.mark.timeout(300)

AXE = (Path(__file__).parent / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
FORM = {
    "intro": {"element": "markdown", "description": "It goes out today."},
    "region": {"element": "select", "enum": ["north", "south"]},
    "since": {"element": "date"},
    "parts": {"element": "multiselect", "enum": ["a", "b"]},
    "pin": {"element": "password"},
    "sure": {"element": "toggle"},
    "which": {"element": "flow", "type": "array", "enum": ["failing"], "default": ["failing"]},
    "inputs": {"element": "inputs"},
    "delay": {"element": "duration"},
    "zone": {"element": "timezone", "default": "Asia/Tokyo"},
    "when": {"element": "trigger", "default": {"cron": "0 9 * * *", "timezone": "Asia/Tokyo"}},
}
RESULTS = """
from IPython.display import HTML, Markdown
from matplotlib.figure import Figure
this.show("chart", Figure(figsize=(2, 1)))
this.show("table", HTML("<table><tr><td>1</td></tr></table>"))
this.show("summary", Markdown("See the [site](https://example.com)."))
this.show("note", "a word")
"""
expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    told = "this.log('so far')\nsystem.message('told')\nthis.script('1')"
    write_flow(workspace, "failing", told, RESULTS, "1 / 0", parameters="n: int = 1")
    write_flow(workspace, "broken", "1", parameters="def (")
    write_flow(workspace, "free", "1")
    return serve(workspace)


@pytest.fixture(scope="module")
def places(server: RunningServer) -> dict[str, str]:
    """Fill the store; return the address of every view."""
    body = {"type": "object", "properties": FORM, "required": ["region"]}
    with server.client() as api:
        failed = api.start_execution(StartExecution(flow_name="failing"))
        assert api.wait(failed.id, timeout=timedelta(seconds=60)).is_ended
        asked = api.create_message(CreateMessage(subject="Which region?", body=body))
        answered = api.create_message(CreateMessage(subject="And which one here?", body=body))
        api.answer_message(answered.id, {"region": "north", "pin": "1234"})
        daily = CreateSchedule(flow_name="failing", trigger=ScheduleTrigger(daily_at="08:30"), timezone="UTC")
        schedule = api.create_schedule(daily)
        run = api.trigger_schedule(schedule.id)
        assert api.wait(run.id, timeout=timedelta(seconds=60)).is_ended
        api.create_schedule(daily.model_copy(update={"enabled": False, "name": "paused"}))
        api.create_webhook(CreateWebhook(name="deploy", flow_name="failing", key="correct-horse-battery"))
        api.create_webhook(CreateWebhook(name="idle", flow_name="failing", enabled=False))
        httpx.post(f"{server.url}cloudo/webhook/deploy")  # without its key
        api.create_token(CreateToken(name="ci", actions=("read",), flows=("etl/*",)))
    return {
        "home": "home",
        "flows": "flows",
        "flow": "flows/failing",
        "executions": "executions",
        "execution": f"executions/{failed.id}",
        "messages": "messages",
        "message": f"messages/{asked.id}",
        "answered": f"messages/{answered.id}",
        "schedules": "schedules",
        "schedule": f"schedules/{schedule.id}",
        "webhooks": "webhooks",
        "webhook": "webhooks/deploy",
        "tokens": "tokens",
        "settings": "settings",
        "workers": "workers",
        "missing": "webhooks/nowhere",
    }


def look(page: Page, what: str) -> None:
    """Fail with what axe finds: all of it in light, and in dark what depends on colours."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(f"() => {{ {AXE} }}")
    for scheme, options in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # one of two
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        # The frame with the executed notebook is a sandbox: nothing runs there.
        found: dict[str, Any] = page.evaluate("given => axe.run({...given, iframes: false})", options)
        assert found["passes"], what
        told = [f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']]}" for one in found["violations"]]
        assert not told, f"{what}, {scheme}: {told}"
    page.emulate_media(color_scheme="light", reduced_motion="reduce")


VIEWS = (
    *("home", "flows", "flow", "executions", "execution", "messages", "message", "answered", "schedules", "schedule"),
    *("webhooks", "webhook", "tokens", "settings", "workers", "missing"),
)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_no_violation(show: Open, places: dict[str, str], view: str) -> None:
    page = show(places[view])
    expect(page.locator("main h1")).to_be_visible()
    if view == "flows":
        page.locator(".cloudo-message summary").first.click()
        expect(page.get_by_label("region")).to_be_visible()
    look(page, view)


def run_with_inputs(page: Page) -> None:
    check(page, "failing")
    button(page, "Run with inputs…").click()


def rows_of_inputs(page: Page) -> None:
    check(page, "free")
    button(page, "Run with inputs…").click()
    for at, kind in enumerate(("text", "number", "boolean", "list", "object", "null"), 1):
        button(page, "Add an input").click()
        page.get_by_label(f"Type of input {at}").select_option(kind)
    button(page, "Play 1 flow").click()
    expect(page.get_by_text("Enter a name.").first).to_be_visible()


def yaml_of_inputs(page: Page) -> None:
    check(page, "free")
    button(page, "Run with inputs…").click()
    button(page, "Edit as YAML").click()
    page.get_by_label("Inputs as YAML").fill("a: b: c")
    expect(page.get_by_text("Line 1")).to_be_visible()


def run_again(page: Page) -> None:
    # Where the page has frames, axe also looks at what is inert behind the dialog.
    page.locator("iframe").first.scroll_into_view_if_needed()
    button(page, "Run again with changes…").click()


def edit(page: Page) -> None:
    button(page, "Edit").click()
    page.get_by_role("dialog").locator("summary").click()


def new_schedule(page: Page) -> None:
    button(page, "New schedule").click()
    page.get_by_label("Flow", exact=True).fill("failing")
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    expect(page.get_by_role("columnheader", name="Next (Asia/Tokyo)")).to_be_visible()
    expect(page.get_by_role("group", name="Inputs").get_by_label("n", exact=True)).to_be_visible()


def new_webhook(page: Page) -> None:
    button(page, "New webhook…").click()
    page.get_by_label("Authentication").select_option("hmac-sha256")
    page.get_by_label("Key", exact=True).select_option("own")
    page.get_by_role("dialog").locator("summary").click()


def new_key(page: Page) -> None:
    edit(page)
    page.get_by_label("Key", exact=True).select_option("generate")
    button(page, "Save").click()
    expect(page.get_by_text("is shown only once")).to_be_visible()


def new_secret(page: Page) -> None:
    button(page, "New token…").click()
    page.get_by_label("Name").fill("another")
    page.get_by_label("read", exact=True).check()
    button(page, "Create token").click()
    expect(page.get_by_text("is shown only once")).to_be_visible()


def filters(page: Page) -> None:
    button(page, "Filters").click()
    page.get_by_role("menuitem", name="Flow, tag, user, time…").click()


DIALOGS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "inputs": ("flows", run_with_inputs),
    "rows of inputs": ("flows", rows_of_inputs),
    "YAML of inputs": ("flows", yaml_of_inputs),
    "again": ("execution", run_again),
    "large result": ("execution", lambda page: button(page, "Enlarge table").click()),
    "own settings": ("settings", lambda page: button(page, "Edit as YAML…").click()),
    "setting": ("settings", lambda page: button(page, "New setting…").click()),
    "menu": ("flows", lambda page: button(page, "Schedule or customise").click()),
    "edit of a schedule": ("schedule", edit),
    "new schedule": ("schedules", new_schedule),
    "backfill": ("schedule", lambda page: button(page, "Backfill").click()),
    "new webhook": ("webhooks", new_webhook),
    "edit of a webhook": ("webhook", edit),
    "key of a webhook": ("webhook", new_key),
    "new token": ("tokens", lambda page: button(page, "New token…").click()),
    "secret of a token": ("tokens", new_secret),
    "help": ("flows", lambda page: button(page, "Keyboard shortcuts").click()),
    "filters": ("executions", filters),
    "are you sure": ("message", lambda page: button(page, "Delete").click()),
}


@pytest.mark.parametrize("dialog", DIALOGS)
def test_a_dialog_has_no_violation(show: Open, places: dict[str, str], dialog: str) -> None:
    view, open_it = DIALOGS[dialog]
    page = show(places[view])
    open_it(page)
    expect(page.get_by_role("menu" if dialog == "menu" else "dialog")).to_be_visible()
    look(page, dialog)
    page.keyboard.press("Escape")
