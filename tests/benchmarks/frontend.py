"""Measures the dashboard in a real browser: `python -m tests.benchmarks.frontend`.

The measures take turns with each other, and with plain Voila that opens a notebook of one word. The store has 500 flows
and 10,000 executions.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import nbformat
import psutil
from nbformat import v4
from playwright.sync_api import Browser, Page, sync_playwright

from cloudo_kernel.models import BulkAction, BulkRequest
from tests.benchmarks.rest import fill
from tests.benchmarks.timing import TRIVIAL, figure, head, ratio, row
from tests.flows import write_flow
from tests.server import RunningServer, start_server

FLOWS = 500
EXECUTIONS = 10_000
QUEUED = 2_000
EVENTS_PER_SECOND = 100
VIEWERS = 10
#: A slow line: round trip in milliseconds, bytes per second.
LATENCY, BANDWIDTH = 400, 50_000
FIRST_ROW = "tbody tr:nth-child(5)"
#: The script has replaced what the server painted.
LIVE = ".cloudo-main:not([aria-busy])"


#: Looks for each selector in each frame, and prints when the frames after that were painted. Nothing else is run in the
#: page until then: what Playwright needs to wait for a condition takes 10 ms.
_WATCH = """
const selectors = %s;
window.painted = selectors.map(() => 0);
const look = () => {
    selectors.forEach((selector, at) => {
        if (painted[at] !== 0 || !document.querySelector(selector)) return;
        painted[at] = -1;
        requestAnimationFrame(() => setTimeout(() => {
            painted[at] = performance.now();
            if (painted.every((time) => time > 0)) console.log('painted ' + JSON.stringify(painted));
        }));
    });
    if (painted.includes(0)) requestAnimationFrame(look);
};
look();
"""


@contextmanager
def opened(browser: Browser, server: RunningServer, *, is_slow: bool = False) -> Iterator[Page]:
    """Give a page of a browser that has never seen the server, but is logged in."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.request.get(f"{server.url}cloudo/?token={server.token}")
    page = context.new_page()
    if is_slow:
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        limits = {"offline": False, "latency": LATENCY, "downloadThroughput": BANDWIDTH, "uploadThroughput": BANDWIDTH}
        session.send("Network.emulateNetworkConditions", limits)
    yield page
    context.close()


def until_seen(page: Page, address: str, *selectors: str) -> list[float]:
    """Open an address; return after how many milliseconds each selector is painted, by the page's own clock."""
    page.add_init_script(_WATCH % json.dumps(selectors))
    with page.expect_console_message(lambda said: said.text.startswith("painted "), timeout=120_000) as said:
        page.goto(address, wait_until="commit")
    return json.loads(said.value.text.removeprefix("painted "))  # type: ignore[no-any-return]


def in_turns(browser: Browser, server: RunningServer, rounds: int) -> None:
    """Measure the first rows, the same on a slow line, and Play, beside plain Voila."""
    address = f"{server.url}cloudo/"
    rows, live, peers, slow_rows, slow_live, played = [], [], [], [], [], []
    for _ in range(rounds):
        with opened(browser, server) as page:
            first, second = until_seen(page, address, FIRST_ROW, LIVE)
            rows.append(first)
            live.append(second)
        with opened(browser, server) as page:
            peers += until_seen(page, f"{server.url}voila/render/empty.ipynb", ".jp-RenderedMarkdown")
        with opened(browser, server, is_slow=True) as page:
            first, second = until_seen(page, address, FIRST_ROW, LIVE)
            slow_rows.append(first)
            slow_live.append(second)
        with opened(browser, server) as page:
            page.goto(f"{address}?q=trivial", wait_until="commit")
            page.get_by_label("Select trivial", exact=True).check()
            click_play(page)
            played.append(click_play(page))
    row("plain Voila, one word", peers)
    row("rows painted", rows, f"{ratio(rows, peers)} plain Voila; target 0.10 ×")
    row("usable", live, f"{ratio(live, peers)} plain Voila")
    slow = f"{LATENCY} ms and {BANDWIDTH // 1000} kB/s"
    row(f"{slow}: rows painted", slow_rows, "target 1,500 ms")
    row(f"{slow}: usable", slow_live, "target 4,000 ms")
    row("Play → running, seen in the page", played, "target 150 ms")


def click_play(page: Page) -> float:
    """Return how many milliseconds pass from the click on Play until the page says that the execution runs."""
    script = """() => new Promise((done) => {
        const begun = performance.now();
        const look = () => {
            const found = document.querySelector('.cloudo-toast :is([data-status=RUNNING], [data-status^=ENDED])');
            if (found) done(performance.now() - begun); else requestAnimationFrame(look);
        };
        [...document.querySelectorAll('button')].find((button) => button.textContent === 'Play').click();
        look();
    })"""
    took: float = page.evaluate(script)
    page.wait_for_selector(".cloudo-toast [data-status=ENDED_SUCCESS]")
    page.get_by_role("button", name="Dismiss").first.click()
    return took


def under_load(browser: Browser, server: RunningServer, rounds: int) -> None:
    """Measure opening the page while many runs are queued."""
    idle, busy = [], []
    address = f"{server.url}cloudo/"
    for _ in range(rounds):
        with opened(browser, server) as page:
            idle += until_seen(page, address, FIRST_ROW)
    with server.client() as api:
        for _ in range(QUEUED // 500):
            api.bulk_executions(BulkRequest(action=BulkAction.START, flow_names=("trivial",) * 500))
        for _ in range(rounds):
            with opened(browser, server) as page:
                busy += until_seen(page, address, FIRST_ROW)
        left = api.health().pending
    row(
        f"rows painted with {QUEUED:,} runs queued",
        busy,
        f"{ratio(busy, idle)} idle; target 3 ×; {left:,} still queued",
    )


def restart(browser: Browser, server: RunningServer, again: Callable[[], RunningServer], rounds: int) -> None:
    """Measure from the first answer of a restarted server until the page is live."""
    took = []
    with opened(browser, server) as page:
        page.goto(f"{server.url}cloudo/", wait_until="commit")
        page.wait_for_selector(LIVE)
        for _ in range(rounds):
            page.wait_for_timeout(1_500)
            server.process.kill()
            server.process.wait()
            page.wait_for_selector(".cloudo-banner", timeout=30_000)
            server = again()
            begun = time.perf_counter()
            page.wait_for_selector(".cloudo-banner", state="detached", timeout=60_000)
            took.append((time.perf_counter() - begun) * 1000)
    server.stop()
    row("server killed: answers again → page live", took, "target 3,000 ms")


def under_events(browser: Browser, server: RunningServer, seconds: float) -> None:
    """Measure how far the page is behind, and what it keeps, while `EVENTS_PER_SECOND` executions are changed."""
    behind, heaps = [], []
    with opened(browser, server) as page, server.client() as api:
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        api.pause_queue()
        waiting = BulkRequest(action=BulkAction.START, flow_names=("trivial",) * EVENTS_PER_SECOND)
        ids = [item.execution.id for item in api.bulk_executions(waiting).items if item.execution]
        page.goto(f"{server.url}cloudo/executions", wait_until="commit")
        page.wait_for_selector(LIVE)
        until = time.monotonic() + seconds
        for turn in itertools.count():
            begun = time.perf_counter()
            action = BulkAction.PAUSE if turn % 2 == 0 else BulkAction.RESUME
            api.bulk_executions(BulkRequest(action=action, ids=tuple(ids)))  # an event of each
            told = time.perf_counter()
            status = "PAUSED" if turn % 2 == 0 else "PENDING"
            page.wait_for_selector(f"tbody tr:first-child [data-status={status}]", timeout=30_000)
            behind.append((time.perf_counter() - told) * 1000)
            if turn % max(1, int(seconds / 10)) == 0:
                session.send("HeapProfiler.collectGarbage")
                metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
                heaps.append(metrics["JSHeapUsedSize"] / 2**20)
            if time.monotonic() > until:
                break
            page.wait_for_timeout(max(0, 1_000 - (time.perf_counter() - begun) * 1000))
        api.bulk_executions(BulkRequest(action=BulkAction.CANCEL, ids=tuple(ids)))
        api.resume_queue()
    row(
        f"{EVENTS_PER_SECOND} events a second for {seconds:.0f} s: page behind",
        behind,
        "target 1,000 ms, for 10 minutes",
    )
    middle = len(heaps) // 2
    change = statistics.median(heaps[middle:]) - statistics.median(heaps[: middle or 1])
    figure(
        "heap of the page meanwhile",
        f"{heaps[0]:.1f} → {heaps[-1]:.1f} MiB",
        f"second half − first: {change:+.2f}; target: flat",
    )


def viewers(browser: Browser, server: RunningServer) -> None:
    """Measure what viewers cost the server: memory of its process, and kernels."""
    process = psutil.Process(server.process.pid)

    def pss() -> float:
        return process.memory_full_info().pss / 2**20

    def kernels() -> int:
        headers = {"Authorization": f"token {server.token}"}
        return len(httpx.get(f"{server.url}api/kernels", headers=headers).json())

    with contextlib.ExitStack() as stack:
        kernels_before = kernels()  # those of Voila
        for number in range(VIEWERS + 1):
            page = stack.enter_context(opened(browser, server))
            page.goto(f"{server.url}cloudo/", wait_until="commit")
            page.wait_for_selector(LIVE)
            page.wait_for_timeout(500)
            if number == 0:  # the first one opens the store, fills caches
                before = pss()
        each = (pss() - before) / VIEWERS
        more = kernels() - kernels_before
    figure(
        "a viewer costs the server",
        f"{each:.2f} MiB",
        f"{more} kernels, {VIEWERS} more viewers; target 2 MiB, 0",
    )


PARTS = ("turns", "viewers", "events", "restart", "load")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=3, help="how long events come; the target is for 10")
    parser.add_argument("--only", nargs="+", choices=PARTS)
    given = parser.parse_args()
    parts = given.only or PARTS
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        home, workspace = Path(name, "home"), Path(name, "workspace")
        home.mkdir()
        (workspace / ".cloudo").mkdir(parents=True)
        for number in range(FLOWS):
            write_flow(workspace, f"folder {number % 20}/flow {number}", "1", parameters="n = 1  # how many")
        write_flow(workspace, "trivial", *TRIVIAL)
        empty = v4.new_notebook(cells=[v4.new_markdown_cell("There", id="there")])
        (workspace / "empty.ipynb").write_text(nbformat.writes(empty))
        server = start_server(workspace, home)
        fill(server, EXECUTIONS)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        head()
        try:
            if "turns" in parts:
                in_turns(browser, server, given.rounds)
            if "viewers" in parts:
                viewers(browser, server)
            if "events" in parts:
                under_events(browser, server, given.minutes * 60)
            if "restart" in parts:
                port = int(server.url.split(":")[2].split("/")[0])
                token = server.token
                restart(browser, server, lambda: start_server(workspace, home, token=token, port=port), given.rounds)
                server = start_server(workspace, home)
            if "load" in parts:
                under_load(browser, server, given.rounds)
        finally:
            browser.close()
            server.stop()
        figure("flows, executions", f"{FLOWS}, {EXECUTIONS:,}")


if __name__ == "__main__":
    main()
