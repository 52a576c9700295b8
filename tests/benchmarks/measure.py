"""Measures the server and its pages: `python -m tests.benchmarks.measure`. What runs cost is in `engine`."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from playwright.sync_api import sync_playwright

from cloudo_kernel.client import Client
from cloudo_kernel.settings import MAX_RUNNING
from tests.benchmarks.timing import BIN, TRIVIAL, figure, head, play, row, timed
from tests.flows import write_flow
from tests.server import RunningServer, start_server


def throughput(api: Client, at_once: int, count: int) -> None:
    """Measure executions per second with so many running at once."""
    api.save_setting(MAX_RUNNING, at_once)
    with ThreadPoolExecutor(count) as pool:
        took = timed(lambda: list(pool.map(lambda _: play(api, "trivial"), range(count))))
    api.delete_setting(MAX_RUNNING)
    figure(f"{count} executions, {at_once} at once", f"{count / took * 1000:.2f} per second")


def first_paint(server: RunningServer, rounds: int) -> None:
    """Measure from the click on a link until the flows are there to be seen."""
    shells, tables = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for _ in range(rounds):
            page = browser.new_page()
            start = time.perf_counter()
            page.goto(f"{server.url}cloudo/?token={server.token}", wait_until="commit")
            page.get_by_role("heading").first.wait_for()
            shells.append((time.perf_counter() - start) * 1000)
            page.get_by_text("examples/greeting").first.wait_for(timeout=60_000)
            tables.append((time.perf_counter() - start) * 1000)
            page.close()
        browser.close()
    row("dashboard: first paint", shells)
    row("dashboard: flows there", tables)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    head()
    with tempfile.TemporaryDirectory() as name:
        home, workspace = Path(name, "home"), Path(name, "workspace")
        home.mkdir()
        (workspace / ".cloudo").mkdir(parents=True)
        starts = []
        for _ in range(3):
            begun = time.perf_counter()
            server = start_server(workspace, home)
            starts.append((time.perf_counter() - begun) * 1000)
            server.stop()
        row("server: start → health answers", starts, "with JupyterLab and Voila")
        server = start_server(workspace, home)
        api = server.client()
        try:
            write_flow(server.workspace, "trivial", *TRIVIAL)
            for at_once in (1, 2, 4, 8):
                throughput(api, at_once, max(4, 2 * at_once))
            first_paint(server, rounds)
        finally:
            server.stop()
        words: list[str | Path] = [BIN / "cloudo", "--workspace", workspace, "flows"]
        row(
            "`cloudo flows`, no server",
            [timed(lambda: subprocess.run(words, check=True, capture_output=True)) for _ in range(rounds)],
        )


if __name__ == "__main__":
    main()
