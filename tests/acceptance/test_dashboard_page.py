"""The page of the dashboard: addresses, keyboard, hostile texts, and its policy, in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from cloudo_extension.pages.frontend import FOLDER
from cloudo_kernel.client import Client
from cloudo_kernel.models import Status
from tests.acceptance.page import BOOT, HOSTILE, RUN, Open, button, check, newest, ready, row, run
from tests.server import RunningServer, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def server(flows_server: RunningServer) -> RunningServer:
    return flows_server


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def kernels(server: RunningServer) -> set[str]:
    reply = httpx.get(f"{server.url}api/kernels", headers={"Authorization": f"token {server.token}"})
    return {kernel["id"] for kernel in reply.raise_for_status().json()}


def test_what_a_browser_has_to_fetch_is_small(server: RunningServer) -> None:
    manifest = json.loads((FOLDER / "manifest.json").read_bytes())
    headers = {"Authorization": f"token {server.token}", "Accept-Encoding": "gzip"}
    with httpx.Client(base_url=f"{server.url}cloudo/", headers=headers) as http:

        def fetched(path: str) -> int:
            reply = http.get(path).raise_for_status()
            assert reply.headers["Content-Encoding"] == "gzip"
            return reply.num_bytes_downloaded

        sizes = {
            name: fetched(f"static/{name}") for name in {*sum(manifest["views"].values(), [manifest["events.js"]])}
        }
        first = fetched("flows") + sizes[manifest["events.js"]]  # style and data are in the page
    for view, names in manifest["views"].items():
        assert first + sum(sizes[name] for name in names) <= 120_000, view
    assert sum(file.stat().st_size for file in FOLDER.glob("*.gz")) <= 200_000


def test_addresses_are_links_into_the_dashboard_and_back_works(show: Open, api: Client) -> None:
    execution_id = run(api, "reports/quick")
    page = show("executions")
    row(page, "reports/quick").click(position={"x": 600, "y": 8})
    expect(page).to_have_url(re.compile(execution_id))
    expect(page).to_have_title("reports/quick · Cloudo")
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Flows").click()
    expect(page).to_have_title("Flows · Cloudo")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("reports/quick")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Executions"))
    page.goto(re.sub(r"[^/]*$", "01900000-0000-7000-8000-000000000000", page.url + "/"), wait_until="commit")
    ready(page)
    expect(page.get_by_text(re.compile("This execution does not exist|There is no such execution"))).to_be_visible()


def test_the_keyboard_alone_plays_a_flow(show: Open, api: Client) -> None:
    page = show("flows")
    page.keyboard.press("/")
    expect(page.get_by_label("Filter flows")).to_be_focused()
    page.keyboard.type("asking")
    expect(page.locator("tbody tr")).to_have_count(1)
    for _ in range(15):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "TR":
            break
    page.keyboard.press("Space")
    expect(page.get_by_label("Select reports/asking")).to_be_checked()
    for _ in range(15):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.textContent") == "Play":
            break
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("who", exact=True)).to_be_focused()
    page.keyboard.type("me")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(button(page, "Play")).to_be_focused()
    expect(page.locator("[aria-live=polite]").filter(has_text="Started 1 execution")).to_have_count(1)
    until(lambda: newest(api, "reports/asking").input_value == {"who": "me"}, seconds=60)


def test_the_help_shows_the_keys_and_each_of_them_works(show: Open, api: Client) -> None:
    run(api, "reports/quick")
    page = show("executions")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_contain_text("Search in the list")
    expect(dialog.get_by_role("heading", name="In the list")).to_be_visible()
    expect(button(dialog, "Close").last).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    for key, title in (("f", "Flows"), ("s", "Schedules"), ("h", "Home"), ("m", "Messages"), ("w", "Webhooks")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page).to_have_title(f"{title} · Cloudo")
    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page.get_by_role("heading", name="Flows", level=1)).to_be_focused()  # as in each view that is gone to
    page.keyboard.press("/")
    page.keyboard.type("gh?")  # in a field, keys are letters
    expect(page.get_by_label("Filter flows")).to_have_value("gh?")
    page.get_by_label("Filter flows").fill("reports")
    rows = page.locator("tbody tr")
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(rows.last).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    expect(rows.first).to_be_focused()
    page.keyboard.press("Space")
    expect(rows.first.get_by_role("checkbox")).to_be_checked()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Space")
    expect(rows.nth(1).get_by_role("checkbox")).to_be_checked()
    button(page, "Keyboard shortcuts").click()
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.locator("tbody tr").first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/executions/[0-9a-f]"))


def test_the_skip_link_leads_to_the_content(show: Open) -> None:
    page = show("flows")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('#cloudo-main').contains(document.activeElement)")


def test_hostile_names_and_values_stay_text(show: Open, api: Client) -> None:
    execution_id = run(api, "hostile")
    page = show("flows")
    expect(row(page, HOSTILE)).to_be_visible()
    check(page, "hostile")
    button(page, "Run with inputs…").click()
    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Executions").first.click()
    row(page, "hostile").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(execution_id))
    expect(page.get_by_role("log")).to_contain_text(HOSTILE)
    expect(page.locator(".cloudo-values dt").filter(has_text=HOSTILE)).to_be_visible()
    expect(page.frame_locator("iframe").get_by_text("alert(2)").first).to_be_visible()
    assert page.locator("img").count() == 0


def test_light_and_dark_follow_the_system_and_the_button_which_is_remembered(show: Open) -> None:
    page = show("flows")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    button(page, "Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.reload(wait_until="commit")
    ready(page)
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_a_narrow_window_needs_no_sideways_scrolling(show: Open, api: Client) -> None:
    execution_id = run(api, "hostile")
    page = show("flows")
    page.set_viewport_size({"width": 390, "height": 844})
    for view in ("Flows", "Executions"):  # for those of schedules see test_dashboard_schedules
        page.get_by_role("navigation", name="Views").get_by_role("link", name=view).click()
        expect(page.locator("tbody tr").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(f"a[href$='{execution_id}']").first.click()
    expect(page.locator(".cloudo-facts")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_rows_are_painted_before_any_script_has_come(
    context: BrowserContext, server: RunningServer, api: Client
) -> None:
    execution_id = run(api, "failing")
    page = context.new_page()
    page.route("**/cloudo/static/**", lambda route: route.abort())
    page.goto(f"{server.url}cloudo/", wait_until="domcontentloaded")
    expect(row(page, "failing")).to_contain_text("Error")
    page.get_by_role("link", name="Executions").click()
    expect(page).to_have_title("Executions · Cloudo")
    expect(page.get_by_role("link", name="Executions")).to_have_attribute("aria-current", "page")
    expect(page.locator(f"a[href$='{execution_id}']")).to_be_visible()
    page.close()


def test_a_page_needs_no_kernel(show: Open, server: RunningServer) -> None:
    before = kernels(server)
    page = show("flows")
    page.reload()
    ready(page)
    assert kernels(server) == before


def test_strangers_are_sent_to_the_login(server: RunningServer) -> None:
    one = "01900000-0000-7000-8000-000000000000"
    lists = ("flows", "executions", "schedules", "messages", "webhooks", "tokens")
    for path in ("", *lists, *(f"{name}/{one}" for name in lists[1:5])):
        reply = httpx.get(f"{server.url}cloudo/{path}")
        assert reply.status_code == 302
        assert "/login?next=" in reply.headers["location"]
    reply = httpx.get(f"{server.url}cloudo?token={server.token}", follow_redirects=True)
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("place", "is_ready"), [("lab/tree/", "Cloudo | Idle"), ("notebooks/", "Trusted")])
def test_the_same_widget_works_in_jupyterlab_and_in_notebook(
    context: BrowserContext, server: RunningServer, place: str, is_ready: str
) -> None:
    shutil.copy(Path(__file__).parents[2] / "notebooks" / "dashboard.ipynb", server.workspace / "dashboard.ipynb")
    page = context.new_page()
    page.goto(f"{server.url}{place}dashboard.ipynb")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=BOOT)
    expect(page.get_by_text(is_ready).first).to_be_visible(timeout=BOOT)
    page.get_by_role("menuitem", name="Run").click()
    page.get_by_text("Run All Cells", exact=True).click()
    expect(row(page, "reports/asking")).to_be_visible(timeout=BOOT)
    cells = page.locator(".jp-Notebook .jp-CodeCell").count()
    row(page, "reports/asking").focus()
    page.keyboard.press("Space")
    page.keyboard.press("d")
    page.keyboard.press("d")
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == cells  # `d d` in the dashboard deletes none
    button(page, "Run with inputs…").click()
    page.locator(".cloudo-dialog").get_by_label("who", exact=True).fill("lab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Started 1 execution").first).to_be_visible()
    page.get_by_role("link", name="Show executions").click()
    expect(row(page, "reports/asking")).to_contain_text("Success", timeout=RUN)
    page.get_by_role("link", name="Schedules").click()
    expect(page.get_by_text("No schedules yet")).to_be_visible()
    expect(page.get_by_text("Jupyter news")).to_have_count(0)  # nobody is asked, and nothing is fetched
    page.close()


def test_the_statuses_of_the_page_are_those_of_the_records() -> None:
    words = (Path(__file__).parents[2] / "extension" / "frontend" / "ui" / "words.ts").read_text()
    block = words.partition("STATUSES: Record<Status, string> = {")[2].partition("}")[0]
    assert re.findall(r"(\w+):", block) == list(Status)


def test_no_script_runs_that_was_smuggled_into_the_page(show: Open, wrong: list[str]) -> None:
    page = show()
    refused = page.evaluate("""async () => {
        window.smuggled = [];
        const refused = new Set();
        const place = document.createElement("div");
        document.body.append(place);
        const script = () => place.appendChild(document.createElement("script"));
        const tries = {
            html: () => (place.innerHTML = '<img src="/no-such" onerror="smuggled.push(1)">'),
            handler: () => place.setAttribute("onclick", "smuggled.push(2)"),
            text: () => (script().textContent = "smuggled.push(3)"),
            source: () => (script().src = "data:text/javascript,smuggled.push(4)"),
            node: () => script().append("smuggled.push(5)"),
            policy: () => trustedTypes.createPolicy("mine", {}),
            worker: () => new Worker("data:text/javascript,1"),
        };
        document.addEventListener("securitypolicyviolation", () => refused.add("reported"));
        for (const [name, act] of Object.entries(tries)) {
            try { act() } catch { refused.add(name) }
        }
        place.click();
        await new Promise((resolve) => setTimeout(resolve, 300));
        return [...refused];
    }""")
    assert page.evaluate("smuggled") == []
    assert {"html", "text", "source", "policy", "worker", "reported"} <= set(refused)
    # The console reports each refusal; nothing else may have gone wrong.
    assert not [one for one in wrong if not re.search("Content Security Policy|[Tt]rusted|is not allowed", one)]
    wrong.clear()
