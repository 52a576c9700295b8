"""What tests do with a page of the dashboard."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.server import RunningServer

#: A page is up when it has fetched its rows; a kernel takes seconds to boot on a busy machine.
BOOT = 60_000
RUN = 60_000

#: Opens an address of the dashboard.
Open = Callable[..., Page]


def ready(page: Page) -> None:
    expect(page.locator("#cloudo-shell")).to_have_count(0, timeout=BOOT)
    expect(page.locator(".cloudo-skeleton")).to_have_count(0, timeout=BOOT)


def is_foreign(url: str, server: RunningServer) -> bool:
    here = server.url.partition("://")[2]
    return not url.startswith(("data:", "blob:", "about:")) and url.partition("://")[2][: len(here)] != here


def button(page: Page | Locator, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def check(page: Page, *flows: str) -> None:
    for flow in flows:
        page.get_by_label(f"Select {flow}", exact=True).check()


def row(page: Page, text: str) -> Locator:
    return page.locator("tbody tr").filter(has_text=text).first
