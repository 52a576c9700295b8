"""Builds the URLs of the server's pages, and opens them in a browser."""

from __future__ import annotations

import html
import webbrowser
from pathlib import Path
from urllib.parse import urlencode

#: Pages below the server's base URL.
DASHBOARD = "cloudo/"
LAB = "lab"


def page_url(base: str, page: str, token: str | None) -> str:
    """Return the URL of a page, with the token if there is one."""
    url = f"{base.rstrip('/')}/{page}"
    return f"{url}?{urlencode({'token': token})}" if token else url


def open_browser(url: str, redirect: Path) -> None:
    """Open a page through a redirecting file, because every user can see the arguments of a program."""
    redirect.touch(mode=0o600)
    redirect.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={html.escape(url)}">')
    webbrowser.open(redirect.as_uri())
