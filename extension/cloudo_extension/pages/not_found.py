"""The 404 page for unknown addresses below `cloudo/`, with a link to the dashboard."""

from __future__ import annotations

import secrets
from functools import cached_property
from typing import Any, Final

from jupyter_server.base.handlers import JupyterHandler
from tornado import escape, web

from cloudo_kernel.dashboard.page_source import style

#: Selects the light or dark theme as the dashboard's `page.js` does, without the rest of that script.
_THEME: Final = (
    "let theme = null; try { theme = localStorage.getItem('cloudo-theme') } catch {} "
    "document.documentElement.dataset.theme = "
    "theme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')"
)
_PAGE: Final = """<!doctype html>
<html lang="en" data-theme="light">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>No such page · Cloudo</title><style>{style}</style><script nonce="{nonce}">{theme}</script></head>
<body data-cloudo-root="{root}"><div class="cloudo cloudo-page"><main class="cloudo-main"><div class="cloudo-nothing">
<h1>There is no such page</h1><p>Nothing is at this address; it may be mistyped.</p>
<p><a class="cloudo-link" href="{root}">Open the dashboard</a></p>
</div></main></div></body>
</html>
"""


class NoPageHandler(JupyterHandler):
    """Answers unknown addresses below `cloudo/`, except those of REST and webhooks."""

    @cached_property
    def nonce(self) -> str:
        """The nonce that allows the script of this reply."""
        return secrets.token_urlsafe(16)

    @property
    def content_security_policy(self) -> str:
        """The page's content security policy: it allows its own style and script."""
        return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{self.nonce}'; frame-ancestors 'self'"

    @web.authenticated
    def get(self) -> None:
        """Send the 404 page."""
        self.set_status(404)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        root = escape.xhtml_escape(f"{self.base_url}cloudo/")
        self.write(_PAGE.format(style=style(), nonce=self.nonce, theme=_THEME, root=root))


pages: Final[list[tuple[Any, ...]]] = [(r"cloudo/(?!api/|webhook/).*", NoPageHandler)]
