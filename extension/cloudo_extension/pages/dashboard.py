"""The dashboard's page at `cloudo/`: the shipped notebook, rendered by Voila, in any workspace.

The shell of the page is sent at once; the kernel starts while the browser paints it. `page_kernels` ends the kernel
when no page uses it any more. Unknown addresses below `cloudo/` get a page that links to it.
"""

from __future__ import annotations

import re
import secrets
import sysconfig
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import nbformat
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado import escape, web
from tornado.iostream import StreamClosedError
from voila.configuration import VoilaConfiguration
from voila.notebook_renderer import NotebookRenderer
from voila.paths import collect_template_paths
from voila.tornado.execution_request_handler import ExecutionRequestHandler
from voila.utils import get_page_config

import cloudo_kernel
from cloudo_extension.pages.page_kernels import PageKernels
from cloudo_kernel.dashboard.page_source import style

TEMPLATE: Final = "cloudo"
#: JupyterLab extensions that the page needs. Each further one costs requests and delays the first row.
_EXTENSIONS: Final = {
    "anywidget",
    "@jupyter-widgets/jupyterlab-manager",
    "@voila-dashboards/widgets-manager8",
}
#: MathJax would be loaded from another host, and nothing here uses TeX. Voila loads it anyway, and waits for these
#: names.
_NO_MATHJAX: Final = "MathJax={Hub:{Config(){},Configured(){},Queue(){},Register:{StartupHook(){}}}}"
_FAILED: Final = "cloudoFailed('The dashboard could not start. The server's log has the reason.')"
#: Libraries cannot fetch anything from other hosts, and inline scripts need the nonce of this reply. Widget modules
#: are blobs; compiling schemas needs `unsafe-eval`.
_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'nonce-{nonce}' 'unsafe-eval' blob:",
        "object-src 'none'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'{lines}",
        "frame-ancestors 'self'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)

#: Selects the light or dark theme as the dashboard's `page.js` does, without the rest of that script.
_THEME: Final = (
    "let theme = null; try { theme = localStorage.getItem('cloudo-theme') } catch {} "
    "document.documentElement.dataset.theme = "
    "theme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')"
)
_NOT_FOUND: Final = """<!doctype html>
<html lang="en" data-theme="light">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Page not found · Cloudo</title><style>{style}</style><script nonce="{nonce}">{theme}</script></head>
<body data-cloudo-root="{root}"><div class="cloudo cloudo-page"><main class="cloudo-main"><div class="cloudo-nothing">
<h1>Page not found</h1><p>There is no page at this address. Check its spelling.</p>
<p><a class="cloudo-link" href="{root}">Open the dashboard</a></p>
</div></main></div></body>
</html>
"""
_HOST: Final = re.compile(r"[\w.-]+(:\d+)?|\[[0-9a-fA-F:.]+\](:\d+)?", re.ASCII)


def dashboard_handlers(
    server_app: ServerApp, *, workspace: Path, mint_token: Callable[[str], str]
) -> list[tuple[Any, ...]]:
    """Return the routes of the dashboard, below the server's base URL.

    `workspace` is the kernels' working directory. `mint_token(user_name)` returns a short-lived token for the user.
    """
    # The user's own configuration of Voila is for their notebooks, not for this page.
    voila = VoilaConfiguration(
        parent=server_app,
        template=TEMPLATE,
        theme="light",
        allow_template_override="NO",
        allow_theme_override="NO",
        strip_sources=True,
        show_tracebacks=True,
        progressive_rendering=True,
        prelaunch_hook=None,
        page_config_hook=None,
    )
    kernels = PageKernels(server_app, workspace=workspace, mint_token=mint_token)
    options = {"voila": voila, "kernels": kernels}
    return [
        (r"cloudo", web.RedirectHandler, {"url": url_path_join(server_app.base_url, "cloudo/")}),
        (r"cloudo/no-mathjax\.js", NoMathJaxHandler),
        (r"cloudo/(flows|executions|schedules|messages|webhooks|tokens|)", DashboardHandler, options),
        (r"cloudo/((?:executions|schedules|messages)/[0-9a-fA-F-]{36})", DashboardHandler, options),
        # Webhook calls go to cloudo/webhook/<name>, in the singular.
        (r"cloudo/(webhooks/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99})", DashboardHandler, options),
        (r"voila/execution/(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)", CellsHandler, {}),
        (r"cloudo/(?!api/|webhook/).*", NotFoundHandler),
    ]


class _PageHandler(JupyterHandler):
    """A page whose content security policy names the scripts of this reply by a nonce."""

    @cached_property
    def nonce(self) -> str:
        """The nonce that allows the inline scripts of this reply."""
        return secrets.token_urlsafe(16)


class DashboardHandler(_PageHandler):
    """Sends the page. Its script reads from the path which view to open."""

    def initialize(self, voila: VoilaConfiguration, kernels: PageKernels) -> None:
        """Store the route's options; tornado calls it first."""
        self._voila = voila
        self._kernels = kernels
        self._kernel_id: str | None = None

    @property
    def content_security_policy(self) -> str:
        """The page's content security policy."""
        # Some browsers do not count a WebSocket to the same host as the same origin.
        host = self.request.host if _HOST.fullmatch(self.request.host) else ""
        return _POLICY.format(nonce=self.nonce, lines=f" ws://{host} wss://{host}" if host else "")

    def set_default_headers(self) -> None:
        """Send the referrer to no other site. Jupyter's own pages need it."""
        super().set_default_headers()
        self.set_header("Referrer-Policy", "same-origin")

    @web.authenticated
    @authorized("execute", resource="kernels")  # type: ignore[untyped-decorator]  # jupyter_server's are untyped
    async def get(self, path: str = "") -> None:
        """Send the shell, start a kernel, and send its id."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Type", "text/html; charset=utf-8")
        _ = self.xsrf_token  # sets the cookie that the closing page's beacon needs (voila#1458)
        renderer = self._renderer()
        await renderer.initialize()
        list_name, _, one = path.partition("/")
        view = list_name.removesuffix("s") if one else list_name or "flows"
        renderer.resources[TEMPLATE] = {"style": style(), "view": view, "nonce": self.nonce}
        try:
            async for piece, _ in renderer.generate_content_generator():
                self.write(piece)
            await self.flush()
        except StreamClosedError:
            await self._abandon()
        except Exception:
            self.log.exception("The dashboard could not be rendered.")
            await self._abandon()
            self.write(f"<script nonce='{self.nonce}'>{_FAILED}</script>")

    async def start_kernel(self, kernel_name: str, notebook: nbformat.NotebookNode) -> str:
        """Flush the rendered parts, start the page's kernel, and keep the notebook for `CellsHandler`."""
        await self.flush()
        self._kernel_id = await self._kernels.start(kernel_name, user_name=self.current_user.username)
        ExecutionRequestHandler._execution_data[self._kernel_id] = {
            "nb": notebook,
            "config": self.config,
            "show_tracebacks": True,
        }
        return self._kernel_id

    async def _abandon(self) -> None:
        if self._kernel_id is not None:
            await self._kernels.end(self._kernel_id)

    def _renderer(self) -> _Renderer:
        return _Renderer(
            page=self,
            request_handler=self,
            voila_configuration=self._voila,
            traitlet_config=self.config,
            notebook_path="dashboard.ipynb",
            template_paths=_template_paths(),
            config_manager=self.config_manager,
            contents_manager=self.contents_manager,
            base_url=self.base_url,
            kernel_spec_manager=self.kernel_spec_manager,
            page_config=self._page_config(),
            mathjax_config="",
            mathjax_url="",
        )

    def _page_config(self) -> dict[str, Any]:
        config: dict[str, Any] = get_page_config(self.base_url, self.settings, self.log, self._voila)
        extensions = [one for one in config["federated_extensions"] if one["name"] in _EXTENSIONS]
        return {
            **config,
            "federated_extensions": extensions,
            "fullMathjaxUrl": url_path_join(self.base_url, "cloudo/no-mathjax.js"),
        }


class NotFoundHandler(_PageHandler):
    """Answers unknown addresses below `cloudo/`, except those of REST and webhooks."""

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
        self.write(_NOT_FOUND.format(style=style(), nonce=self.nonce, theme=_THEME, root=root))


class NoMathJaxHandler(JupyterHandler):
    """Sends the stub for MathJax."""

    @web.authenticated
    def get(self) -> None:
        """Send the stub."""
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.set_header("Cache-Control", "max-age=86400")
        self.write(_NO_MATHJAX)


class _Renderer(NotebookRenderer):
    """Renders the installed notebook, and lets the handler start the kernel."""

    def __init__(self, *, page: DashboardHandler, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._page = page

    async def load_notebook(self, _path: str) -> nbformat.NotebookNode:
        """Read the installed notebook. Voila reads only below the server's root."""
        return await self.fix_notebook(nbformat.read(notebook_path(), as_version=4))

    async def _jinja_kernel_start(self, nb: nbformat.NotebookNode, kernel_id: Any, kernel_future: Any) -> str:  # noqa: ARG002
        return await self._page.start_kernel(nb.metadata.kernelspec.name, nb)

    async def _cleanup_resources(self) -> None:
        """Do nothing: `CellsHandler` talks to the kernel, not the renderer."""


class CellsHandler(ExecutionRequestHandler):
    """Runs the notebook's cells once the page is connected to its kernel; Voila's script connects to it."""

    _executor = None


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
