"""The base of all widgets: one view of the front end, whose requests reach `Api` through the kernel.

The page's own server answers where it can. Everything that takes long to import is imported when a widget is created.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anywidget
import traitlets

from cloudo_kernel.widgets import bundle

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.widgets.relay import Relay


class View(anywidget.AnyWidget):
    """One view of the front end: the last line of a cell shows it.

    `api` is where it looks; by default all widgets of a kernel share one connection, as `cloudo.connect()` makes it.
    """

    # Read when a widget is created, because a module that is imported must not need the build.
    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    #: The view's name in the front end.
    view = traitlets.Unicode().tag(sync=True)
    #: Whether the tabs of the dashboard are above it.
    tabs = traitlets.Bool(False).tag(sync=True)
    #: Path of the server that answers REST, if it is known: a hint, because the browser may not reach it.
    base_url = traitlets.Unicode(None, allow_none=True, read_only=True).tag(sync=True)
    #: Name of the script that holds the browser's one event stream, below `cloudo/static/` of the server.
    events_script = traitlets.Unicode().tag(sync=True)

    _relay: Relay | None = None

    def __init__(self, api: Api | None = None, **traits: Any) -> None:
        """Connect. Raises `FileNotFoundError` if the front end is not built."""
        from cloudo_kernel.widgets.relay import Relay  # imported late: httpx and the records take 0.5 s

        self._api = _connected() if api is None else api
        self._relay = Relay(self._api, self.send)
        if "_esm" not in traits:
            built = bundle.read()
            traits = {"_esm": built.script, "_css": built.style, "events_script": built.events} | traits
        super().__init__(**traits)
        self.on_msg(self._hear)
        if self.comm is not None:
            self.comm.on_close(lambda _message: self.close())

    def close(self) -> None:
        """Leave the page, and end the threads."""
        if self._relay is not None:  # ipywidgets also closes widgets whose creation has failed
            self._relay.close()
        super().close()

    def _hear(self, _widget: object, message: Any, _buffers: object) -> None:
        if self._relay is not None:
            self._relay.hear(message)

    @traitlets.default("base_url")  # type: ignore[untyped-decorator]  # traitlets
    def _default_base_url(self) -> str | None:
        from cloudo_kernel.client import Client

        return urlsplit(self._api.url).path if isinstance(self._api, Client) else None


@cache
def _connected() -> Api:
    """Return the connection of this kernel. Without a server it has a worker, of which one is enough."""
    from cloudo_kernel.discovery import connect
    from cloudo_kernel.models import Origin

    return connect(trigger=Origin.UI)
