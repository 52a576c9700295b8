"""What tests do with a page of the dashboard."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import ExecutionFilter, StartExecution
from tests.server import RunningServer, until

#: JupyterLab takes long to start on a busy machine.
BOOT = 60_000
RUN = 60_000

#: A text that would run as a script where it is not escaped.
HOSTILE = "<img src=x onerror=alert(1)>"

#: Opens an address of the dashboard.
Open = Callable[..., Page]


def ready(page: Page) -> None:
    """Wait until the script has replaced what the server painted, and has its rows."""
    expect(page.locator(".cloudo-main h1")).to_have_count(1, timeout=BOOT)  # first: a page that comes is not busy yet
    expect(page.locator("#cloudo main[aria-busy]")).to_have_count(0, timeout=BOOT)
    expect(page.locator(".cloudo-skeleton")).to_have_count(0, timeout=BOOT)


def is_foreign(url: str, server: RunningServer) -> bool:
    here = server.url.partition("://")[2]
    return not url.startswith(("data:", "blob:", "about:")) and url.partition("://")[2][: len(here)] != here


def is_failure(message: ConsoleMessage) -> bool:
    """Tell whether a console message is an error, other than that REST refused something.

    Chromium reports each refused request. The page shows the reason where it happened.
    """
    is_rest = "/cloudo/api/1/" in message.location["url"]
    is_refusal = (
        is_rest and re.search(r"responded with a status of (400|403|404|409|422|429|503) ", message.text) is not None
    )
    return message.type == "error" and not is_refusal


def button(page: Page | Locator, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def check(page: Page, *flows: str) -> None:
    for flow in flows:
        page.get_by_label(f"Select {flow}", exact=True).check()


def command(lab: Page, label: str) -> None:
    """Run a command of JupyterLab or Notebook from its palette, by keyboard."""
    lab.keyboard.press("Control+Shift+C")
    expect(lab.locator(".lm-CommandPalette-input")).to_be_focused()
    lab.keyboard.type(label)
    expect(lab.locator(".lm-CommandPalette-item.lm-mod-active .lm-CommandPalette-itemLabel")).to_have_text(label)
    lab.keyboard.press("Enter")


def open_file(lab: Page, path: str) -> None:
    """Open a file in JupyterLab, by its path below the server's root."""
    command(lab, "Open from Path…")
    lab.locator(".jp-Dialog input").fill(path)
    lab.keyboard.press("Enter")
    expect(lab.locator(".jp-Dialog")).to_have_count(0)


def row(page: Page, text: str) -> Locator:
    return page.locator("tbody tr").filter(has_text=text).first


def run(api: Client, flow_name: str, **inputs: Any) -> str:
    """Run a flow to its end, from elsewhere; return the execution's id."""
    started = api.start_execution(StartExecution(flow_name=flow_name, inputs=inputs))
    until(lambda: api.execution(started.id).is_ended, seconds=60)
    return started.id


def newest(api: Client, flow_name: str | None = None) -> Any:
    """Return the newest execution, of a flow if one is named; wait for the first, as a click does not."""
    of_flow = ExecutionFilter(flow_name=flow_name)
    until(lambda: api.executions(of_flow, limit=1).items)
    return api.executions(of_flow, limit=1).items[0]
