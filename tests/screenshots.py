"""Takes pictures of the dashboard. Run by hand against a server with the sample flows:

python tests/screenshots.py http://127.0.0.1:8888/ TOKEN docs/screenshots     # those that the docs show
python tests/screenshots.py http://127.0.0.1:8888/ TOKEN /tmp/pictures --all  # every view and state, to look at
python tests/screenshots.py http://127.0.0.1:8889/ TOKEN /tmp/pictures --empty    # of a workspace without flows
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

SIZES = {"wide": (1280, 800), "narrow": (390, 844)}
SCHEMES = ("light", "dark")
#: The pictures that the documents show.
DOCUMENTED = {
    *("flows-wide-light", "home-wide-dark", "flow-wide-light", "executions-wide-light", "execution-wide-light"),
    *("messages-wide-light", "answered-wide-light"),
    *("webhook-wide-light", "tokens-wide-light"),
}
FLOWS = ("examples/sales_report", "examples/data_quality_check", "examples/greeting", "examples/long_running")


class Photographer:
    """Opens pages in one size and scheme and saves what they show."""

    def __init__(self, browser: Browser, arguments: argparse.Namespace, size: str, scheme: str) -> None:
        self.url = arguments.url
        self.token = arguments.token
        self.folder = arguments.folder
        self.is_for_docs = not (arguments.all or arguments.empty)
        self.name = f"{size}-{scheme}"
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
        self.page: Page = context.new_page()
        self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        self.page.goto(f"{self.url}cloudo/?token={arguments.token}", wait_until="commit")

    def open(self, path: str) -> None:
        self.page.goto(f"{self.url}cloudo/{path}", wait_until="commit")
        expect(self.page.locator("#cloudo main[aria-busy]")).to_have_count(0, timeout=60_000)
        expect(self.page.locator(".cloudo-skeleton")).to_have_count(0, timeout=30_000)

    def take(self, what: str) -> None:
        if self.is_for_docs and f"{what}-{self.name}" not in DOCUMENTED:
            return
        self.page.wait_for_timeout(400)
        self.page.screenshot(path=self.folder / f"{what}-{self.name}.png")

    def check(self, *flows: str) -> None:
        for flow in flows:
            self.page.get_by_label(f"Select {flow}", exact=True).check()


def empty(camera: Photographer) -> None:
    for view in ("flows", "executions", "schedules", "messages", "webhooks", "tokens"):
        camera.open(view)
        camera.take(f"empty-{view}")


def loading(camera: Photographer) -> None:
    camera.page.route("**/cloudo/static/**", lambda route: route.abort())
    camera.page.goto(f"{camera.url}cloudo/", wait_until="domcontentloaded")
    camera.take("loading")
    camera.page.unroute("**/cloudo/static/**")


def flows(camera: Photographer) -> None:
    page = camera.page
    camera.open("flows")
    camera.take("flows")
    page.get_by_label("Filter flows").fill("no such flow")
    camera.take("flows-filtered-away")
    page.get_by_role("button", name="Clear the filter").click()
    camera.check(*FLOWS)
    page.get_by_role("button", name="Play", exact=True).click()
    camera.take("dialog-required")
    page.get_by_role("button", name=re.compile("Play 4")).click()
    camera.take("dialog-error")
    page.locator("dialog").get_by_label("name").fill("World")
    page.get_by_role("button", name=re.compile("Play 4")).click()
    expect(page.locator(".cloudo-toast")).to_be_visible()
    camera.take("flows-started")
    page.get_by_role("button", name="Clear", exact=True).click()
    camera.check("examples/sales_report")
    page.get_by_role("button", name="Run with inputs").click()
    camera.take("dialog")
    page.keyboard.press("Escape")


def messages(camera: Photographer) -> None:
    """Ask, and take the request away again."""
    page, headers = camera.page, {"Authorization": f"token {camera.token}"}
    elements = {
        "region": {"label": "Region", "element": "select", "enum": ["north", "south", "east", "west"]},
        "from": {"label": "From", "element": "date", "default": "2026-01-01"},
        "note": {"label": "Note", "element": "text", "description": "Goes to the first page of the report."},
        "go": {"label": "Make the report", "element": "submit"},
    }
    body = {"type": "object", "properties": elements, "required": ["region"]}
    asked = {"subject": "Which region shall the report be about?", "body": body}
    made = page.request.post(f"{camera.url}cloudo/api/1/message", data=asked, headers=headers).json()
    camera.open("flows")
    page.locator(".cloudo-message summary").first.click()
    camera.take("messages")
    told = page.request.post(
        f"{camera.url}cloudo/api/1/message", data={"subject": "The import is done"}, headers=headers
    )
    answer = {"response": {"region": "north", "from": "2026-01-01", "note": "For Ada.", "go": True}}
    page.request.post(f"{camera.url}cloudo/api/1/message/{made['id']}/response", data=answer, headers=headers)
    camera.open("messages")
    camera.take("message-list")
    camera.open(f"messages/{made['id']}")
    camera.take("answered")
    for one in (made, told.json()):
        page.request.delete(f"{camera.url}cloudo/api/1/message/{one['id']}", headers=headers)


def webhooks(camera: Photographer) -> None:
    """Make some, call one of them, and take them away again."""
    page, headers = camera.page, {"Authorization": f"token {camera.token}"}
    key = "correct-horse-battery"
    wanted = (
        {"name": "sales", "flow_name": "examples/sales_report", "key": key},
        {"name": "from-github", "flow_name": "examples/data_quality_check", "signature": "github", "key": key},
        {"name": "greet", "flow_name": "examples/greeting", "inputs": {"name": "Ada"}, "enabled": False},
    )
    for body in wanted:
        page.request.post(f"{camera.url}cloudo/api/1/webhook", data=body, headers=headers)
    for shown in (key, "wrong", key):
        page.request.post(f"{camera.url}cloudo/webhook/sales", data={}, headers={"X-Cloudo-Key": shown})
    camera.open("webhooks")
    expect(page.locator("tbody tr", has_text="sales").locator("time")).to_be_visible()
    camera.take("webhooks")
    page.get_by_role("button", name="New webhook").click()
    camera.take("webhook-new")
    camera.open("webhooks/sales")
    expect(page.get_by_role("region", name="Deliveries", exact=True)).to_contain_text("404")
    camera.take("webhook")
    for body in wanted:
        page.request.delete(f"{camera.url}cloudo/api/1/webhook/{body['name']}", headers=headers)


def tokens(camera: Photographer) -> None:
    """Make some, and take them away again."""
    page, headers = camera.page, {"Authorization": f"token {camera.token}"}
    wanted = (
        {"name": "nightly backup", "actions": ["read"]},
        {"name": "ci", "actions": ["execution:start", "read"], "flows": ["etl/*"], "expires_in_seconds": 2_592_000},
    )
    address = f"{camera.url}cloudo/api/1/token"
    made = [page.request.post(address, data=body, headers=headers).json() for body in wanted]
    page.request.get(f"{camera.url}cloudo/api/1/flow", headers={"Authorization": f"token {made[0]['secret']}"})
    camera.open("tokens")
    camera.take("tokens")
    page.get_by_role("button", name="New token").click()
    camera.take("token-new")
    for one in made:
        page.request.delete(f"{address}/{one['id']}", headers=headers)


SCHEDULES = (
    ("Morning report", "examples/sales_report", {"daily_at": "08:30"}),
    ("Weather, on working days", "examples/weather_report", {"cron": "0 9 * * 1-5"}),
    ("Greeting", "examples/greeting", {"every_seconds": 3, "wait": False}),
    ("Checks", "examples/data_quality_check", {"every_seconds": 4, "max_iterations": 3}),
    ("A long one", "examples/long_running", {"every_seconds": 5, "wait": False}),
)


def schedules(camera: Photographer) -> None:
    """Make some, let them run for a while, and take them away again."""
    page, headers = camera.page, {"Authorization": f"token {camera.token}"}
    made = {}
    for name, flow, trigger in SCHEDULES:
        inputs = {"name": "Ada"} if flow.endswith("greeting") else {}
        body = {"name": name, "flow_name": flow, "trigger": trigger, "timezone": "Europe/Vienna", "inputs": inputs}
        made[name] = page.request.post(f"{camera.url}cloudo/api/1/schedule", data=body, headers=headers).json()["id"]
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    past = {"start": (today - timedelta(days=6)).isoformat(), "end": today.isoformat()}
    for name in ("Morning report", "Weather, on working days"):
        page.request.post(f"{camera.url}cloudo/api/1/schedule/{made[name]}/backfill", data=past, headers=headers)
    camera.open("flows")
    camera.check("examples/sales_report", "examples/weather_report")
    page.get_by_role("button", name="Schedule or customise").click()
    camera.take("schedule-menu")
    page.keyboard.press("Escape")
    camera.open("schedules")
    expect(page.locator("tbody tr", has_text="Checks")).to_contain_text("Finished", timeout=120_000)
    morning = page.locator("tbody tr", has_text="Morning report")
    expect(morning.get_by_label(re.compile("succeeded"))).to_have_count(6, timeout=120_000)
    camera.take("schedules")
    camera.open(f"schedules/{made['Morning report']}")
    expect(page.get_by_role("region", name="Past runs")).to_contain_text("succeeded")
    camera.take("schedule")
    page.get_by_role("button", name="Backfill").click()
    page.get_by_label("From").fill(f"{today - timedelta(days=14):%Y-%m-%d}T00:00:00")
    expect(page.get_by_role("button", name=re.compile(r"Start \d+ runs"))).to_be_visible()
    camera.take("backfill")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Edit", exact=True).click()
    expect(page.get_by_label("Preview")).to_contain_text("Next")
    camera.take("schedule-edit")
    for one in made.values():
        page.request.delete(f"{camera.url}cloudo/api/1/schedule/{one}", headers=headers)


#: A parent whose children are shown below it.
REGIONS = """
for region in ("north", "south"):
    this.flow("examples/sales_report", name=f"Sales in the {region}", region=region)
"""


def executions(camera: Photographer) -> None:
    page, headers = camera.page, {"Authorization": f"token {camera.token}"}
    body = {"script": REGIONS, "name": "Sales of all regions"}
    page.request.post(f"{camera.url}cloudo/api/1/execution", data=body, headers=headers)
    camera.open("executions")
    camera.take("executions-running")
    page.get_by_role("button", name="Children of Sales of all regions").first.click()
    children = page.locator("tr[aria-level='2']").filter(has_text="Success")
    expect(children).to_have_count(2, timeout=120_000)
    for status in ("Success", "Error"):
        rows = page.locator("tbody tr", has_text=status)
        expect(rows.first).to_be_visible(timeout=120_000)
    camera.take("executions")
    page.locator("tbody tr", has_text="Success").first.get_by_role("checkbox").check()
    page.get_by_role("button", name="Delete").click()
    camera.take("dialog-delete")
    page.keyboard.press("Escape")


def execution(camera: Photographer) -> None:
    page = camera.page
    for name, status, what in (
        ("sales_report", "Success", ""),
        ("data_quality_check", "Error", "-error"),
        ("long_running", "", "-running"),
    ):
        camera.open("executions")
        row = page.locator("tbody tr", has_text=name).filter(has_text=status).first
        expect(row).to_be_visible(timeout=120_000)
        row.locator(".cloudo-title").click()
        expect(page.locator(".cloudo-facts")).to_be_visible()
        page.wait_for_timeout(1500)
        expect(page.get_by_text("Loading…")).to_have_count(0, timeout=60_000)
        camera.take(f"execution{what}")
        page.locator(".cloudo-panel", has=page.get_by_role("heading", name="Notebook")).scroll_into_view_if_needed()
        if status:
            page.locator("iframe[title='Executed notebook']").wait_for()
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        page.wait_for_timeout(1000)
        camera.take(f"notebook{what}")
    camera.open("executions/01900000-0000-7000-8000-000000000000")
    camera.take("execution-missing")


def pages(camera: Photographer) -> None:
    """Take the pages that need nothing of their own."""
    for view, path in (
        ("home", "home"),
        ("flow", "flows/examples/sales_report"),
        ("settings", "settings"),
        ("workers", "workers"),
    ):
        camera.open(path)
        camera.page.wait_for_timeout(1500)
        expect(camera.page.get_by_text("Loading…")).to_have_count(0, timeout=60_000)
        camera.take(view)


def cameras(arguments: argparse.Namespace) -> Iterator[Photographer]:
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for size in SIZES:
            for scheme in SCHEMES:
                if re.fullmatch(arguments.only, f"{size}-{scheme}"):
                    yield Photographer(browser, arguments, size, scheme)
        browser.close()


_VIEWS = (loading, flows, messages, schedules, executions, execution, webhooks, tokens, pages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--empty", action="store_true", help="the workspace has no flows and no executions")
    parser.add_argument("--only", default=".*", help="a pattern of sizes and schemes, such as narrow-.*")
    parser.add_argument("--all", action="store_true", help="also states that the docs do not show")
    parser.add_argument(
        "--views", help="some of loading,flows,messages,schedules,webhooks,tokens,executions,execution,pages"
    )
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for camera in cameras(arguments):
        if arguments.empty:
            empty(camera)
        else:
            views = {view.__name__: view for view in _VIEWS}
            for name in (arguments.views or ",".join(views)).split(","):
                views[name](camera)


if __name__ == "__main__":
    main()
