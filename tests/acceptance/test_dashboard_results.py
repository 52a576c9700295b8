"""Results of executions in the dashboard, in a real browser: figures, tables, Markdown, and hostile ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import StartExecution
from tests.acceptance.page import HOSTILE, RUN, Open, button, ready, run
from tests.flows import write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(240)
expect.set_options(timeout=40_000)

SHOWS = """
import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure

figure = Figure(figsize=(6, 3))
figure.subplots().plot([3, 1, 2])
this.show("chart", figure)
this.show("table", pd.DataFrame({"region": ["north", "south"], "total": [17.5, 21.0]}))
this.show("summary", Markdown("**South** sold more.\\n\\n- see the [site](https://example.com)"))
this.show("note", "plain <b>text</b>")
"""
SCRIPTS = (
    "<script>parent.document.title = 'owned'; alert(1)</script>",
    "<img src=x onerror=alert(2)><img src='https://evil.example/x.png'>",
    "<iframe srcdoc='<script>top.alert(3)</script>'></iframe><a href='javascript:alert(4)'>go</a>",
    "<form action='https://evil.example'><input autofocus onfocus=alert(5)></form><p>harmless</p>",
    "<style>@import 'https://evil.example/x.css'</style><link rel=stylesheet href='https://evil.example/y.css'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
)
SVG = (
    "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(6)'><script>alert(7)</script>"
    "<foreignObject><body onload='alert(8)' xmlns='http://www.w3.org/1999/xhtml'/></foreignObject>"
    "<image href='https://evil.example/z.png'/></svg>"
)
HOSTILES = f"""
from IPython.display import Markdown
this.show({HOSTILE!r}, {HOSTILE!r})
this.show("html", {{"text/html": {"".join(SCRIPTS)!r}}})
this.show("svg", {{"image/svg+xml": {SVG!r}}})
this.show("markdown", Markdown({"<script>alert(9)</script> [x](javascript:alert(10)) ![y](https://evil.example/y)"!r}))
this.show("latex", {{"text/latex": "$\\\\href{{javascript:alert(11)}}{{x}}$"}})
this.show("script", {{"application/javascript": "alert(12)"}})
this.show("json", {{"application/json": {{"x": {SCRIPTS[0]!r}}}}})
"""
LIVE = (
    "this.show('step', 'one')",
    "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)\nthis.show('step', 'two')",
)
FIGURE = "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    write_flow(workspace, "shows", SHOWS)
    write_flow(workspace, "hostile", HOSTILES)
    rows = "".join(f"<tr><td>row {number}</td></tr>" for number in range(100))
    both = f"{{'long': '<table>{rows}</table>', 'short': '<p>short</p>'}}"
    write_flow(workspace, "tables", f"for name, html in {both}.items(): this.show(name, {{'text/html': html}})")
    write_flow(workspace, "live", *LIVE)
    write_flow(workspace, "figure", FIGURE)
    write_flow(workspace, "chart", FIGURE)
    write_flow(workspace, "nothing", "1")
    return serve(workspace)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def is_drawn(page: Page, selector: str) -> bool:
    return bool(page.locator(selector).first.evaluate("image => image.complete && image.naturalWidth > 0"))


def test_an_execution_shows_its_results_first(show: Open, api: Client) -> None:
    page = show(f"executions/{run(api, 'shows')}")
    results = page.get_by_role("region", name="Results")
    expect(results.get_by_role("heading")).to_have_text("Results4")
    expect(results.get_by_role("figure")).to_have_count(4)
    expect(results.get_by_role("img", name="chart")).to_be_visible()
    assert is_drawn(page, ".cloudo-result img")
    listed = show("executions?flow=shows").locator("tbody .cloudo-thumbnail")
    expect(listed).to_have_accessible_name("Result chart")
    until(lambda: is_drawn(page, "tbody .cloudo-thumbnail"))
    page.go_back()
    ready(page)
    expect(results.frame_locator("iframe[title=table]").get_by_role("cell", name="north")).to_be_visible()
    expect(results.locator("strong")).to_have_text("South")
    expect(results.locator("pre")).to_have_text("plain <b>text</b>")
    panels = page.locator(".cloudo-detail > section").evaluate_all("all => all.map(one => one.ariaLabel)")
    assert panels[0] == "Results"
    page = show(f"executions/{run(api, 'nothing')}")
    expect(page.get_by_role("region", name="Notebook")).to_be_visible()
    for absent in ("Results", "Outputs", "Inputs"):
        expect(page.get_by_role("region", name=absent)).to_have_count(0)


def test_a_result_has_a_fitting_height_and_is_enlarged(show: Open, api: Client) -> None:
    page = show(f"executions/{run(api, 'tables')}")
    results = page.get_by_role("region", name="Results")
    small, large = (results.locator(f"iframe[title={name}]") for name in ("short", "long"))
    expect(results.frame_locator("iframe[title=long]").get_by_role("cell", name="row 99")).to_be_attached()
    heights = [one.evaluate("frame => frame.clientHeight") for one in (small, large)]
    assert 60 < heights[0] < 180 < heights[1] < 450
    button(results, "Enlarge long").click()
    dialog = page.get_by_role("dialog")
    frame = dialog.locator("iframe")
    expect(dialog.frame_locator("iframe").get_by_role("cell", name="row 99")).to_be_attached()
    assert frame.get_attribute("sandbox") == ""
    assert frame.evaluate("frame => frame.clientHeight") > heights[1]
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button(results, "Enlarge long")).to_be_focused()


def test_hostile_results_run_nothing_and_load_nothing(show: Open, api: Client) -> None:
    """`show` fails if a dialog opens, a script fails, or a request leaves."""
    page = show(f"executions/{run(api, 'hostile')}")
    results = page.get_by_role("region", name="Results")
    expect(results.get_by_role("figure")).to_have_count(7)
    expect(results.get_by_text(HOSTILE).first).to_be_visible()
    for frame in results.locator("iframe").all():
        frame.scroll_into_view_if_needed()
        assert frame.get_attribute("sandbox") == ""
    for name in ("html", "svg", "latex", "script"):
        expect(results.frame_locator(f"iframe[title={name}]").locator("main")).to_be_attached()
    expect(results.frame_locator("iframe[title=html]").get_by_text("harmless")).to_be_visible()
    assert results.locator("script, svg:not(.cloudo-icon), [href^=javascript], [src*=evil]").count() == 0
    expect(page).to_have_title("hostile · Cloudo")
    page.wait_for_timeout(500)  # nothing may happen meanwhile
    expect(show("flows/hostile").get_by_role("region", name="Latest results").get_by_role("figure")).to_have_count(6)


def test_results_are_live_and_replaced(show: Open, api: Client, server: RunningServer) -> None:
    started = api.start_execution(StartExecution(flow_name="live"))
    page = show(f"executions/{started.id}")
    results = page.get_by_role("region", name="Results")
    expect(results.locator("pre")).to_have_text("one", timeout=RUN)
    (server.workspace / "flows" / "go").touch()
    expect(results.locator("pre")).to_have_text("two", timeout=RUN)


def test_a_flow_without_results_offers_its_last_figure(show: Open, api: Client) -> None:
    page = show(f"executions/{run(api, 'figure')}")
    results = page.get_by_role("region", name="Results")
    expect(results.get_by_role("img", name="Last figure of the notebook")).to_be_visible()


def test_a_flow_shows_its_latest_results_side_by_side_and_thumbnails(show: Open, api: Client) -> None:
    for _ in range(2):
        run(api, "chart")
    page = show("flows/chart")
    latest = page.get_by_role("region", name="Latest results")
    expect(latest.get_by_role("figure")).to_have_count(2)
    tops = "figures => [...figures].slice(0, 2).map(one => one.getBoundingClientRect().y)"
    until(lambda: len({*latest.get_by_role("figure").evaluate_all(tops)}) == 1)
    runs = page.get_by_role("region", name="Recent runs")
    expect(runs.get_by_role("img", name="Last figure of the notebook")).to_have_count(2)
    latest.get_by_role("link").first.click()
    expect(page.get_by_role("region", name="Results")).to_be_visible()
