"""The built front end: which files the page loads, and the handler that sends them.

`make frontend` builds them from `extension/frontend/`. Their names hold a hash of their content, so that browsers keep
them for good. Beside each file is a compressed copy, because Jupyter's server compresses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from tornado import web

from cloudo_extension.http.compression import accepts_gzip

#: The folder of a build, unless `c.Cloudo.frontend` names another one.
FOLDER: Final = Path(__file__).parents[1] / "static"
#: The route of the files, below the server's base URL.
ROUTE: Final = r"cloudo/static/([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)"
_NOT_BUILT: Final = "The front end is not built. Run `make frontend`."
#: Workers have the policy of their script, not that of the page.
_POLICY: Final = "default-src 'none'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'"
_KINDS: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True)
class Build:
    """The parts of one build that the page names."""

    #: Name of the page's script.
    script: str
    #: Name of the script of the worker that holds the event stream for all tabs.
    events: str
    #: The whole style sheet.
    style: str
    #: Names of the scripts that each view needs, with the page's own.
    views: Mapping[str, Sequence[str]]
    #: Names of the script and the style sheet that the extension for JupyterLab loads.
    lab: str
    style_name: str


class Frontend:
    """Reads the build in a folder, again whenever it was rebuilt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: tuple[int, Build] | None = None

    def build(self) -> Build:
        """Return the current build. Raises `HTTPError` without one."""
        manifest = self.folder / "manifest.json"
        try:
            changed_at = manifest.stat().st_mtime_ns
            if self._read is None or self._read[0] != changed_at:
                names = json.loads(manifest.read_bytes())
                style = (self.folder / names["style.css"]).read_text(encoding="utf-8")
                build = Build(
                    script=names["page.js"],
                    events=names["events.js"],
                    style=style,
                    views=names["views"],
                    lab=names["lab.js"],
                    style_name=names["style.css"],
                )
                self._read = changed_at, build
        except (OSError, ValueError, KeyError) as error:
            raise web.HTTPError(500, _NOT_BUILT) from error
        return self._read[1]


class LabConfig:
    """What the extension for JupyterLab reads from the page's configuration; a `page_config_hook` of Jupyter's apps.

    It is read for each page, so that a page that is loaded after a rebuild names files that are there.
    """

    def __init__(
        self, frontend: Frontend, *, workspace: Path, root: Path, before: Callable[..., dict[str, Any]] | None
    ) -> None:
        self._frontend = frontend
        is_inside = workspace.is_relative_to(root)
        below = workspace.relative_to(root).as_posix() if is_inside else None
        self._workspace = "" if below == "." else below
        self._before = before
        # An upgrade does not change the version of the running server.
        self._version = version("cloudo")

    def __call__(self, handler: JupyterHandler, page_config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration with ours. Jupyter's apps call it, with the handler of the page."""
        if self._before is not None:
            page_config = self._before(handler, page_config)
        return {**page_config, "cloudo": self._options()}

    def _options(self) -> dict[str, str | None]:
        """Addresses are below the server's base URL, the workspace below its root; it is null if it is elsewhere."""
        try:
            build = self._frontend.build()
        except web.HTTPError:  # the extension says so when a panel opens
            names: dict[str, str | None] = {"script": None, "style": None, "events": None}
        else:
            files = {"script": build.lab, "style": build.style_name, "events": build.events}
            names = {kind: f"cloudo/static/{name}" for kind, name in files.items()}
        return {"version": self._version, "workspace": self._workspace, **names}


class StaticHandler(JupyterHandler, web.StaticFileHandler):
    """`cloudo/static/<file>`."""

    @property
    def content_security_policy(self) -> str:
        """The policy of the workers that are started from these files."""
        return _POLICY

    @web.authenticated
    @authorized("read", resource="cloudo")  # type: ignore[untyped-decorator]  # jupyter_server's are untyped
    async def get(self, path: str, include_body: bool = True) -> None:  # type: ignore[override]  # as tornado's own
        """Send a file, compressed if the browser accepts that."""
        kind = _KINDS.get(Path(path).suffix)
        if kind is None:  # the manifest, whose name has no hash, and the compressed copies
            raise web.HTTPError(404)
        self._kind = kind
        compressed = f"{path}.gz"
        self._is_compressed = accepts_gzip(self) and (Path(self.root) / compressed).is_file()
        await web.StaticFileHandler.get(self, compressed if self._is_compressed else path, include_body=include_body)

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002 -- tornado's signature
        """Set the type by the name, regardless of the machine's MIME table; tornado calls it."""
        self.set_header("Content-Type", self._kind)
        self.set_header("Cache-Control", "private, max-age=31536000, immutable")
        self.set_header("Vary", "Accept-Encoding")
        if self._is_compressed:
            self.set_header("Content-Encoding", "gzip")


def static_handlers(frontend: Frontend) -> list[tuple[str, type[web.RequestHandler], dict[str, Any]]]:
    """Return the route of the built files."""
    return [(ROUTE, StaticHandler, {"path": str(frontend.folder)})]
