"""The WebSocket that provides `this` to an interactive notebook. While it is open, the kernel counts as alive."""

from __future__ import annotations

import asyncio
import queue
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field
from tornado import web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from cloudo_extension.http.handler import API, Handler
from cloudo_extension.http.operation import Query, Reply, operation
from cloudo_kernel.errors import MalformedRequest, PermissionDenied
from cloudo_kernel.processes.channel import FRAME_LIMIT_BYTES

if TYPE_CHECKING:
    from cloudo_kernel.service import Service
    from cloudo_kernel.worker.interactive_sessions import Session

#: Maximum number of waiting frames. Reading from the kernel pauses until there is room.
_MAX_WAITING = 1000
_ROOM_SECONDS = 0.01
#: Pings keep proxies from closing an idle connection.
_PING_SECONDS = 30
#: Timeout of a session's thread for the server's event loop.
_LOOP_SECONDS = 10


class KernelQuery(Query):
    """The kernel of the notebook."""

    kernel_id: str = Field(description="Jupyter's id of the kernel.")


class Interactive(WebSocketHandler, Handler):  # type: ignore[misc]  # both bases derive from tornado's own handler
    """`/interactive`."""

    _frames: Frames | None = None
    _session: Session | None = None

    @operation(id="interactive", query=(KernelQuery,), replies={101: Reply(text="The WebSocket is open.")})
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Open a WebSocket for an interactive notebook. It can change data, so a cookie alone is not enough."""
        if not self.token_authenticated:
            self.check_xsrf_cookie()
            if "X-XSRFToken" not in self.request.headers:  # Jupyter accepts a page's referrer instead; this does not
                raise web.HTTPError(403)
        if not self.rights.are_all:  # neither flows started there nor calls of `system` are limited
            raise PermissionDenied(f"An interactive notebook needs all permissions. {self.rights}")
        self._kernel_id = self.asked(KernelQuery).kernel_id
        if self.request.method == "HEAD" or self.request.headers.get("Upgrade", "").lower() != "websocket":
            raise MalformedRequest("This address accepts only WebSockets.")
        await super().get(*args, **kwargs)

    def check_origin(self, origin: str = "") -> bool:
        """Check the origin of a page as Jupyter does. tornado's own check would ignore Jupyter's configuration."""
        return bool(Handler.check_origin(self, origin))

    @property
    def action(self) -> str:
        """The action to authorize."""
        return "write"

    async def open(self, *_path: str) -> None:
        """Open a session, which answers the kernel on its own thread."""
        loop = asyncio.get_running_loop()
        self._frames = Frames(self, loop)
        sessions = await self.backend.sessions()
        kernel_id = self._kernel_id

        def flow_name() -> str | None:
            return asyncio.run_coroutine_threadsafe(self._flow_name(kernel_id), loop).result(_LOOP_SECONDS)

        # The same kernel id of another user is another kernel.
        key = f"{self.user_name}/{kernel_id}"
        self._session = await self.backend.call(sessions.open, key, self._frames, self._service, flow_name)

    async def on_message(self, message: str | bytes) -> None:
        """Pass a frame to the session's thread. A text message interrupts the session instead of waiting its turn."""
        if self._frames is None or self._session is None:
            return
        if not await self.is_still_known():  # the token was revoked, or has expired
            self.close()
            return
        if isinstance(message, str):
            self._session.interrupt()
            return
        while self._frames.number >= _MAX_WAITING:
            await asyncio.sleep(_ROOM_SECONDS)
        self._frames.put(message)

    def on_close(self) -> None:
        """End the session: its kernel is gone."""
        if self._session is not None:
            self._session.stop()
        if self._frames is not None:
            self._frames.close()

    @property
    def max_message_size(self) -> int:
        """Maximum frame size: the largest that a kernel sends, because a larger one closes the connection."""
        return FRAME_LIMIT_BYTES

    @property
    def ping_interval(self) -> float | None:
        """Seconds between pings."""
        return _PING_SECONDS

    @property
    def ping_timeout(self) -> float | None:
        """No timeout, because a kernel that computes for minutes in C does not answer, but lives."""
        return 0

    def _service(self, parent_id: str) -> Service:
        return self.backend.service_of_parent(self.user_name, parent_id)

    async def _flow_name(self, kernel_id: str) -> str | None:
        """Return the flow name of a kernel's notebook, or None, from the server's own list of sessions."""
        from cloudo_kernel.worker.interactive_sessions import flow_name_of

        try:
            session = await self.session_manager.get_session(kernel_id=kernel_id)
        except web.HTTPError:
            return None
        if session["type"] != "notebook":
            return None
        return flow_name_of(Path(self.app.serverapp.root_dir, session["path"]), self.backend.workspace.flows)


class Frames:
    """The connection as the session's thread sees it."""

    def __init__(self, handler: WebSocketHandler, loop: asyncio.AbstractEventLoop) -> None:
        self._handler = handler
        self._loop = loop
        self._received: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._next: list[bytes | None] = []
        self._is_closed = False

    @property
    def number(self) -> int:
        """The number of waiting frames."""
        return self._received.qsize()

    def put(self, frame: bytes) -> None:
        """Add a received frame."""
        self._received.put(frame)

    def close(self) -> None:
        """Tell the thread and the kernel that the connection has ended."""
        if not self._is_closed:
            self._is_closed = True
            self._received.put(None)
            with suppress(RuntimeError):  # the server has stopped
                self._loop.call_soon_threadsafe(self._handler.close)

    def poll(self, timeout: float, /) -> bool:
        """See `channel.Frames.poll`."""
        if not self._next:
            try:
                self._next.append(self._received.get(timeout=timeout))
            except queue.Empty:
                return False
        return True

    def recv_bytes(self) -> bytes:
        """See `channel.Frames.recv_bytes`."""
        frame = self._next.pop() if self._next else self._received.get()
        if frame is None:
            raise EOFError
        return frame

    def send_bytes(self, buf: bytes, /) -> None:
        """See `channel.Frames.send_bytes`."""
        if self._is_closed:
            raise OSError("The connection is closed.")
        try:
            self._loop.call_soon_threadsafe(self._send, buf)
        except RuntimeError as error:
            raise OSError("The server has stopped.") from error

    def _send(self, frame: bytes) -> None:
        try:
            self._handler.write_message(frame, binary=True)
        except WebSocketClosedError:
            self._is_closed = True


routes = [(rf"{API}/interactive", Interactive)]
