"""The explorer, `cloudo/explorer`: a page that shows the OpenAPI document and tries its operations.

Swagger UI is kept here as it was released (`swagger-ui/`), so that the page works without any network.
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
#: Scripts and styles are files of ours; the styles of single elements, which Swagger UI sets, are none of them.
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
    """What page and assets have in common: who may see them, and what they may do."""

    @property
    def content_security_policy(self) -> str:
        """What the page may load."""
        return _POLICY

    def set_default_headers(self) -> None:
        """Leave the address, in which a token may be, to this server alone."""
        super().set_default_headers()
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-cache")


class Explorer(_Page):
    """`cloudo/explorer`."""

    @web.authenticated
    @authorized("read", resource="cloudo")  # type: ignore[untyped-decorator]  # jupyter_server's are untyped
    async def get(self) -> None:
        """Send the page, which finds all else from where it is."""
        _ = self.xsrf_token  # sets the cookie without which the page could change nothing
        self.set_header("Content-Type", "text/html; charset=utf-8")
        # Made while the browser reads the scripts, so that it is there when they ask for it.
        asyncio.get_running_loop().run_in_executor(None, document_json, self.settings["cloudo_routes"], self.base_url)
        self.finish((_FOLDER / "explorer.html").read_bytes())


class Asset(_Page, web.StaticFileHandler):
    """What the page loads."""

    @web.authenticated
    @authorized("read", resource="cloudo")  # type: ignore[untyped-decorator]  # jupyter_server's are untyped
    async def get(self, path: str, include_body: bool = True) -> None:  # type: ignore[override]  # as tornado's own
        """Send a file."""
        await web.StaticFileHandler.get(self, path, include_body=include_body)

    def set_extra_headers(self, path: str) -> None:
        """Say what the file is, whatever the machine's own table of endings says; tornado calls it."""
        kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
        self.set_header("Content-Type", f"{kinds[path.rpartition('.')[2]]}; charset=utf-8")


pages: list[tuple[str, type[web.RequestHandler], dict[str, Any]]] = [
    (r"cloudo/explorer", Explorer, {}),
    (rf"cloudo/explorer/{_ASSETS}", Asset, {"path": str(_FOLDER)}),
]
