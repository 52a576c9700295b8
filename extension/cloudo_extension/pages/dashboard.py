"""The dashboard's page at `cloudo/`: the shipped notebook, rendered by Voila, in any workspace.

No kernel runs for it: its one widget draws itself from data, and the page's script asks REST for them. The reply holds
the shell, the first view's data, and its rows. Unknown addresses below `cloudo/` get a page that links to it.
"""

from __future__ import annotations

import json
import secrets
import sysconfig
from collections.abc import Awaitable, Callable
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlencode

import nbformat
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado import escape, web
from voila.configuration import VoilaConfiguration
from voila.notebook_renderer import NotebookRenderer
from voila.paths import collect_template_paths

import cloudo_kernel
from cloudo_extension.http.authentication import Extension
from cloudo_extension.http.compression import SentInParts
from cloudo_extension.pages import first_view, words
from cloudo_extension.pages.first_view import FirstView, View
from cloudo_extension.pages.frontend import Frontend, static_handlers
from cloudo_kernel.errors import CloudoError
from cloudo_kernel.models import Origin
from cloudo_kernel.security.permissions import EVERYTHING

TEMPLATE: Final = "cloudo"
#: Maximum number of rows that the reply holds beside their data. A screen shows fewer.
_ROWS: Final = 20
#: Scripts come from this server, or carry the nonce of this reply. Nothing compiles text, and no text becomes HTML but
#: through the page's own policy of trusted types.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'nonce-{nonce}'",
        "style-src 'self' 'nonce-{nonce}'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self'",
        "frame-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
        "require-trusted-types-for 'script'",
        "trusted-types cloudo",
    )
)
#: The lists and single pages; `cloudo/` itself shows the flows.
_VIEWS: Final = "home|flows|executions|schedules|messages|webhooks|tokens|settings|workers"
#: Selects the light or dark theme as the page's script does, before anything is painted.
_THEME: Final = (
    "let theme = null; try { theme = localStorage.getItem('cloudo-theme') } catch {} "
    "document.documentElement.dataset.theme = "
    "theme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')"
)
#: Closes the folders that this browser keeps closed (`views/flows/folders.ts`), before the rows are painted.
_FOLDERS: Final = (
    "try { const closed = new Set(JSON.parse(localStorage.getItem('cloudo-closed-folders') ?? '[]')); "
    "for (const heading of document.querySelectorAll('[data-folder]')) { "
    "if (!closed.has(heading.dataset.folder)) continue; "
    "heading.querySelector('button').setAttribute('aria-expanded', 'false'); "
    "for (let row; (row = heading.nextElementSibling) && !row.dataset.folder; ) row.remove() } } catch {} "
    "document.currentScript.remove()"
)
#: Loads the page's scripts once the rows are painted: fetching and running them first would delay the paint by as much.
#: A tab in the background paints nothing, so that the scripts do not wait for it.
_START: Final = (
    "let isStarted = false; const start = () => { if (isStarted) return; isStarted = true; "
    "for (const url of %s) document.head.append("
    "Object.assign(document.createElement('link'), { rel: 'modulepreload', href: url })); import(%s) }; "
    "requestAnimationFrame(() => setTimeout(start)); setTimeout(start, 500)"
)
_NOT_FOUND: Final = """<!doctype html>
<html lang="en" data-theme="light">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Page not found · Cloudo</title><style nonce="{nonce}">{style}</style><script nonce="{nonce}">{theme}</script>
</head>
<body><div class="cloudo cloudo-page"><main class="cloudo-main"><div class="cloudo-nothing">
<h1>Page not found</h1><p>There is no page at this address. Check its spelling.</p>
<p><a class="cloudo-link" href="{root}">Open the dashboard</a></p>
</div></main></div></body>
</html>
"""


def dashboard_handlers(server_app: ServerApp, frontend: Frontend) -> list[tuple[Any, ...]]:
    """Return the routes of the dashboard, below the server's base URL."""
    options = {"page": Page(server_app, frontend)}
    one_id = "[0-9a-fA-F-]{36}"
    return [
        (r"cloudo", web.RedirectHandler, {"url": url_path_join(server_app.base_url, "cloudo/")}),
        *static_handlers(frontend),
        (rf"cloudo/({_VIEWS}|)", DashboardHandler, options),
        (rf"cloudo/((?:executions|schedules|messages)/{one_id})", DashboardHandler, options),
        # The name of a flow holds `/`, raw or as `%2F`.
        (r"cloudo/(flows/.+)", DashboardHandler, options),
        # Webhook calls go to cloudo/webhook/<name>, in the singular.
        (r"cloudo/(webhooks/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99})", DashboardHandler, options),
        (r"cloudo/(?!api/|webhook/).*", NotFoundHandler, {"frontend": frontend}),
    ]


class _PageHandler(JupyterHandler):
    """A page whose content security policy names the scripts of this reply by a nonce."""

    @cached_property
    def nonce(self) -> str:
        """The nonce that allows the inline scripts and styles of this reply."""
        return secrets.token_urlsafe(16)

    def set_default_headers(self) -> None:
        """Send the referrer to no other site, and keep the page in no cache. Jupyter's own pages need the referrer."""
        super().set_default_headers()
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    def compute_etag(self) -> None:
        """Send no ETag: no two replies are alike."""

    def drop_token(self) -> bool:
        """Redirect to the same address without the token, if it has one. Jupyter has set the login cookie by then."""
        if "token" not in self.request.query_arguments:
            return False
        kept = [(name, value) for name, value in parse_qsl(self.request.query, True) if name != "token"]
        self.redirect(f"{self.request.path}{'?' if kept else ''}{urlencode(kept)}")
        return True


class DashboardHandler(_PageHandler):
    """Sends the page. Its script reads from the path which view to open."""

    def initialize(self, page: Page) -> None:
        """Store the route's options; tornado calls it first."""
        self._page = page

    @property
    def content_security_policy(self) -> str:
        """The page's content security policy."""
        return _POLICY.format(nonce=self.nonce)

    @web.authenticated
    @authorized("read", resource="cloudo")  # type: ignore[untyped-decorator]  # jupyter_server's are untyped
    async def get(self, path: str = "") -> None:
        """Send the page, with the data of the view at `path`."""
        if self.drop_token():
            return
        _ = self.xsrf_token  # sets the cookie that the page's write requests need
        view = View.at(path)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        reply = SentInParts(self)
        await self._page.render(view, reply, partial(self._first_view, view), nonce=self.nonce)
        reply.finish()

    async def _first_view(self, view: View) -> FirstView:
        """Return the view's data; none if the store cannot be read."""
        name = self._extension.name_of(str(self.current_user.username))
        rights = EVERYTHING.of_administrator() if self._extension.is_administrator(name) else EVERYTHING
        backend = self._extension.backend
        try:
            api = await backend.service(name, Origin.UI, rights)
            return await backend.call(first_view.read, view, api)
        except CloudoError:
            return FirstView()
        except Exception:  # the page is there, asks again by itself, and says what is wrong
            self.log.exception("The first view of the dashboard could not be read.")
            return FirstView()

    @property
    def _extension(self) -> Extension:
        extension: Extension = self.settings["cloudo"]
        return extension


class NotFoundHandler(_PageHandler):
    """Answers unknown addresses below `cloudo/`, except those of REST and webhooks."""

    def initialize(self, frontend: Frontend) -> None:
        """Store the route's options; tornado calls it first."""
        self._frontend = frontend

    @property
    def content_security_policy(self) -> str:
        """The page's content security policy: it allows its own style and script."""
        allowed = f"'nonce-{self.nonce}'"
        return f"default-src 'none'; style-src {allowed}; script-src {allowed}; frame-ancestors 'self'"

    @web.authenticated
    def get(self) -> None:
        """Send the 404 page."""
        if self.drop_token():
            return
        self.set_status(404)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        root = escape.xhtml_escape(f"{self.base_url}cloudo/")
        style = self._frontend.build().style
        self.write(_NOT_FOUND.format(style=style, nonce=self.nonce, theme=_THEME, root=root))


class Page:
    """Renders the page's notebook. Voila's renderer and its template are prepared once: they take 0.1 s."""

    def __init__(self, server_app: ServerApp, frontend: Frontend) -> None:
        self._server = server_app
        self._frontend = frontend
        self._renderer: _Renderer | None = None

    async def render(
        self, view: View, reply: SentInParts, read: Callable[[], Awaitable[FirstView]], *, nonce: str
    ) -> None:
        """Write the page's HTML. Raises `HTTPError` if the front end or the notebook is missing.

        The template calls `read` once its head is sent, so that the browser gets ready while the store is read.
        """
        build = self._frontend.build()
        if self._renderer is None:
            renderer = self._new_renderer()
            await renderer.initialize()
            renderer.exporter.environment.autoescape = True  # before its first template; Voila's default is off
            self._renderer = renderer
        preload = [self._url(name) for name in build.views.get(view.name, ())]
        await self._renderer.render(
            reply,
            view=view,
            send=reply.send,
            read=read,
            nonce=nonce,
            style=build.style,
            start_script=_START % (json.dumps(preload), json.dumps(self._url(build.script))),
            events=self._url(build.events),
            theme_script=_THEME,
            folders_script=_FOLDERS,
            version=version("cloudo"),
            words=words,
            as_json=first_view.as_json,
            rows=_ROWS,
        )

    def _url(self, name: str) -> str:
        return str(url_path_join(self._server.base_url, "cloudo/static", name))

    def _new_renderer(self) -> _Renderer:
        # The user's own configuration of Voila is for their notebooks, not for this page.
        voila = VoilaConfiguration(
            parent=self._server,
            template=TEMPLATE,
            theme="light",
            allow_template_override="NO",
            allow_theme_override="NO",
            strip_sources=True,
            prelaunch_hook=None,
            page_config_hook=None,
        )
        return _Renderer(
            voila_configuration=voila,
            traitlet_config=self._server.config,
            notebook_path="dashboard.ipynb",
            template_paths=_template_paths(),
            contents_manager=self._server.contents_manager,
            base_url=self._server.base_url,
            page_config={},
            mathjax_config="",
            mathjax_url="",
        )


class _Content(SimpleNamespace):
    """What the template shows. nbconvert copies all resources, which would take longer than rendering them."""

    def __deepcopy__(self, _memo: object) -> Self:
        return self


class _Renderer(NotebookRenderer):
    """Renders the installed notebook with the page's data, and starts no kernel."""

    resources: dict[str, Any]

    async def load_notebook(self, _path: str) -> nbformat.NotebookNode:
        """Read the installed notebook. Voila reads only below the server's root."""
        return nbformat.read(notebook_path(), as_version=4)

    async def render(self, reply: SentInParts, **page: Any) -> None:
        """Write the HTML; the template sees `page` as `resources.cloudo`."""
        self.resources = {**self.resources, TEMPLATE: _Content(**page)}  # read before the first await
        async for part, _ in self.generate_content_generator():
            reply.write(part)


def notebook_path() -> Path:
    """Return the checkout's dashboard notebook, else the installed one. Raises `HTTPError`."""
    checkout = _checkout()
    places = [checkout / "notebooks"] if checkout else []
    for scheme in (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")):
        places.append(Path(sysconfig.get_path("data", scheme), "share", "cloudo", "notebooks"))
    found = [place / "dashboard.ipynb" for place in places if (place / "dashboard.ipynb").is_file()]
    if not found:
        raise web.HTTPError(
            500, "The dashboard's notebook is not installed. Reinstall cloudo, from a wheel or with `make up`."
        )
    return found[0]


def _template_paths() -> list[str]:
    """Return the folders of the page's template: the checkout first, then Jupyter's data folders."""
    checkout = _checkout()
    own = [str(checkout / "extension" / "voila-template")] if checkout else []
    return own + list(collect_template_paths(["voila", "nbconvert"], TEMPLATE))


def _checkout() -> Path | None:
    """Return the checkout that this code runs from, or None if it is installed."""
    folder = Path(cloudo_kernel.__file__).parents[1]
    return folder if (folder / "pyproject.toml").is_file() else None
