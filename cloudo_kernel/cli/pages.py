"""The server's pages: their addresses, and the browser that opens them."""

from __future__ import annotations

import html
import webbrowser
from pathlib import Path
from urllib.parse import urlencode

#: Pages below the server's base url.
DASHBOARD = "cloudo/"
LAB = "lab"


def page_url(base: str, page: str, token: str | None) -> str:
    """Return the address of a page, with the token that opens it."""
    url = f"{base.rstrip('/')}/{page}"
    return f"{url}?{urlencode({'token': token})}" if token else url


def open_browser(url: str, redirect: Path) -> None:
    """Open a page by way of a file, because the address of a program's argument is for every user to see."""
    redirect.touch(mode=0o600)
    redirect.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={html.escape(url)}">')
    webbrowser.open(redirect.as_uri())
