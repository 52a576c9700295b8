"""The explorer, `cloudo/explorer`: a page that shows the OpenAPI document and calls its operations.

`swagger-ui/` holds an unmodified release of Swagger UI, so that the page works offline.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from tornado import web

from cloudo_extension.http.openapi import document_json

_FOLDER: Final = Path(__file__).parent
#: Scripts and styles are our own files, except for the inline styles that Swagger UI sets on elements.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
_ASSETS: Final = r"((?:swagger-ui/swagger-ui-bundle|explorer)\.js|(?:swagger-ui/swagger-ui|explorer)\.css|icon\.svg)"


class _Page(JupyterHandler):
    """The headers that the page and its assets share."""

    @property
    def content_security_policy(self) -> str:
        """The page's content security policy."""
        return _POLICY

    def set_default_headers(self) -> None:
        """Send the referrer to this server only, because the address may contain a token."""
        super().set_default_headers()
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-cache")


class Explorer(_Page):
    """`cloudo/explorer`."""

    @web.authenticated
    @authorized("read", resource="cloudo")  # type: ignore[untyped-decorator]  # jupyter_server's are untyped
    async def get(self) -> None:
        """Send the page. It refers to everything else by relative addresses."""
        _ = self.xsrf_token  # sets the cookie that the page's write requests need
        self.set_header("Content-Type", "text/html; charset=utf-8")
        # Build the document while the browser loads the scripts, so that it is ready when they request it.
        asyncio.get_running_loop().run_in_executor(None, document_json, self.settings["cloudo_routes"], self.base_url)
        self.finish((_FOLDER / "explorer.html").read_bytes())


class Asset(_Page, web.StaticFileHandler):
    """The files that the page loads."""

    @web.authenticated
    @authorized("read", resource="cloudo")  # type: ignore[untyped-decorator]  # jupyter_server's are untyped
    async def get(self, path: str, include_body: bool = True) -> None:  # type: ignore[override]  # as tornado's own
        """Send a file."""
        await web.StaticFileHandler.get(self, path, include_body=include_body)

    def set_extra_headers(self, path: str) -> None:
        """Set the media type, regardless of the machine's MIME table; tornado calls it."""
        kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
        self.set_header("Content-Type", f"{kinds[path.rpartition('.')[2]]}; charset=utf-8")


pages: list[tuple[str, type[web.RequestHandler], dict[str, Any]]] = [
    (r"cloudo/explorer", Explorer, {}),
    (rf"cloudo/explorer/{_ASSETS}", Asset, {"path": str(_FOLDER)}),
]
