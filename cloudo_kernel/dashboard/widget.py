"""The widget: carries the page side to the browser, and messages between it and `calls` and `watcher`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anywidget

from cloudo_kernel.api import Api
from cloudo_kernel.dashboard.calls import Calls
from cloudo_kernel.dashboard.page_source import script, style
from cloudo_kernel.dashboard.watcher import Watcher
from cloudo_kernel.models import JsonObject


class Dashboard(anywidget.AnyWidget):
    """Flows to play and executions to follow, over `api`.

    Display it in a cell, or open the server's `cloudo/` page, which does. It asks and watches only while a page
    shows it.
    """

    _esm = script()
    _css = style()

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._calls = Calls(api)
        self._sending = threading.Lock()
        self._watcher = Watcher(api, self._tell)
        # Calls wait for the service; the kernel's main thread and the watcher go on meanwhile.
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="cloudo-dashboard")
        self.on_msg(self._hear)

    def close(self) -> None:
        """Leave the page, and end the threads."""
        self._watcher.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _hear(self, _widget: object, message: Any, _buffers: object) -> None:
        """Take a message of the page: `{view, id, call, args}`."""
        if not isinstance(message, dict):
            return
        self._watcher.touch()
        self._pool.submit(self._answer, message)

    def _answer(self, message: JsonObject) -> None:
        reply = self._calls.answer(message.get("call"), message.get("args") or {})
        self._tell({"view": message.get("view"), "id": message.get("id"), **reply})

    def _tell(self, message: JsonObject) -> None:
        with self._sending:
            self.send(message)
