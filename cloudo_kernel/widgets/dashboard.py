"""The widget that shows the whole front end: its page asks `Api` through the kernel, or the server where it can."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import anywidget
import traitlets

from cloudo_kernel.api import Api
from cloudo_kernel.client import Client
from cloudo_kernel.discovery import connect
from cloudo_kernel.models import Origin
from cloudo_kernel.widgets.bundle import text_of
from cloudo_kernel.widgets.relay import Relay

_BUILT: Final = {"_esm": "widget.js", "_css": "style.css"}


class Dashboard(anywidget.AnyWidget):
    """Flows to play and executions to follow: the last line of a cell shows it.

    `api` is where it looks; by default it connects by itself, as `cloudo.connect()` does.
    """

    # Read when a widget is created, because a module that is imported must not need the build.
    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    #: The view that it opens with: `flows`, `executions`, `schedules`, `messages`, `webhooks` or `tokens`.
    view = traitlets.Unicode("flows").tag(sync=True)
    #: Path of the server that answers REST, if it is known: a hint, because the browser may not reach it.
    base_url = traitlets.Unicode(None, allow_none=True, read_only=True).tag(sync=True)

    _relay: Relay | None = None

    def __init__(self, api: Api | None = None, **traits: Any) -> None:
        """Connect. Raises `FileNotFoundError` if the front end is not built."""
        self._api = connect(trigger=Origin.UI) if api is None else api
        self._relay = Relay(self._api, self.send)
        built = {name: text_of(file) for name, file in _BUILT.items() if name not in traits}
        super().__init__(**built, **traits)
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
        return urlsplit(self._api.url).path if isinstance(self._api, Client) else None
