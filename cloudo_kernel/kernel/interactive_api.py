"""`this` and `system` in a kernel opened by hand: the calls that `worker.interactive_sessions` answers."""

from __future__ import annotations

import atexit
import os
import re
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cloudo_kernel.errors import ExecutionEnded, Unavailable
from cloudo_kernel.flow_api import LazyApi, RunApi, This
from cloudo_kernel.models import Execution, Status
from cloudo_kernel.processes.channel import Channel, pair

if TYPE_CHECKING:
    from cloudo_kernel.client import Client
    from cloudo_kernel.service.local import LocalService


class InteractiveApi(RunApi):
    """The calls of an interactive execution, and every verb of `Api`."""

    def __init__(self, kernel_id: str) -> None:
        self._lazy = LazyApi()
        super().__init__(InteractiveChannel(self._lazy, kernel_id))

    def wait(self, execution_id: str, *, timeout: timedelta | None = None) -> Execution:
        """See `Api.wait`; there is no slot to release."""
        found: Execution = self._lazy.wait(execution_id, timeout=timeout)
        return found

    def __getattr__(self, verb: str) -> Any:
        if verb.startswith("_"):
            raise AttributeError(verb)
        return getattr(self._lazy, verb)


class InteractiveThis(This):
    """The interactive execution of this kernel."""

    def load(self, *fields: str) -> Any:
        """Fetch the record and return a field, or a tuple of several."""
        self._record, self._wanted = self._api.this(), {}
        return self._pick(fields)

    def end(self, status: Status | str, message: str | None = None) -> NoReturn:
        """End the execution here; later cells belong to a new one."""
        try:
            super().end(status, message)
        except ExecutionEnded as ended:
            self._fetched, self._has_ended = None, False
            raise ExecutionEnded(f"{ended}\nA run would end here; what you do next is a new execution.") from None


class InteractiveChannel:
    """A channel that connects at the first call, and again after the connection was lost."""

    def __init__(self, api: LazyApi, kernel_id: str) -> None:
        self._api = api
        self._kernel_id = kernel_id
        self._opening = threading.Lock()
        self._pid = os.getpid()
        self._channel: Channel | None = None
        self._interrupt: Callable[[], None] = lambda: None

    def call(self, verb: str, **arguments: Any) -> Any:
        """See `Channel.call`; interrupting the cell also ends a wait at the other end."""
        channel = self._connected()
        try:
            return channel.call(verb, **arguments)
        except KeyboardInterrupt:
            self._interrupt()
            raise

    def tell(self, verb: str, **arguments: Any) -> None:
        """See `Channel.tell`."""
        self._connected().tell(verb, **arguments)

    def _connected(self) -> Channel:
        if os.getpid() != self._pid:
            raise Unavailable("This is a process that the notebook forked: only the notebook itself has `this`.")
        with self._opening:
            if self._channel is None or self._channel.is_closed:
                self._channel = self._open()
            return self._channel

    def _open(self) -> Channel:
        from cloudo_kernel.client import Client
        from cloudo_kernel.service.local import LocalService

        api = self._api.connected
        if isinstance(api, Client):
            socket = _socket_of(api, self._kernel_id)
            self._interrupt = socket.interrupt
            # A process that the notebook forks must not hold the connection after the kernel has ended.
            os.register_at_fork(after_in_child=socket.forget)
            return Channel(socket)
        assert isinstance(api, LocalService)
        return self._open_here(api)

    def _open_here(self, local: LocalService) -> Channel:
        """Answer calls in this process, as there is no server."""
        from cloudo_kernel.worker.interactive_sessions import Sessions, flow_name_of

        def flow_name() -> str | None:
            named = os.environ.get("JPY_SESSION_NAME")
            return None if named is None else flow_name_of(Path(named), local.workspace.flows)

        ours, theirs = pair()
        sessions = Sessions(local.store, local.workspace.state)
        session = sessions.open(self._kernel_id, ours, local.of_parent, flow_name)
        self._interrupt = session.interrupt
        atexit.register(sessions.close)  # registered after the store's, so it is called before the store closes
        return Channel(theirs)


class Socket:
    """A WebSocket as `Frames`: each frame is one binary message."""

    def __init__(self, address: str, headers: dict[str, str], *, is_direct: bool) -> None:
        """Connect; `is_direct` ignores the proxies of the environment."""
        import websocket

        self._error = websocket.WebSocketException
        # `http_no_proxy` takes effect only with a proxy host.
        direct = {"http_proxy_host": "none", "http_no_proxy": ["*"]} if is_direct else {}
        try:
            self._socket = websocket.create_connection(
                address, header=headers, timeout=60, suppress_origin=True, enable_multithread=True, **direct
            )
        except websocket.WebSocketBadStatusException as error:
            raise _refusal(error) from error
        except (websocket.WebSocketException, OSError) as error:
            raise Unavailable(f"{address} cannot be reached: {error}.") from error
        self._socket.settimeout(None)

    def send_bytes(self, buf: bytes, /) -> None:
        """See `Frames.send_bytes`."""
        try:
            self._socket.send_binary(buf)
        except self._error as error:
            raise OSError(str(error)) from error

    def recv_bytes(self) -> bytes:
        """See `Frames.recv_bytes`."""
        try:
            frame = self._socket.recv()
        except self._error as error:
            raise EOFError from error
        if not isinstance(frame, bytes) or not frame:
            raise EOFError
        return frame

    def poll(self, timeout: float, /) -> bool:
        """Raise `NotImplementedError`: the kernel's side never polls."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def interrupt(self) -> None:
        """Tell the other end that the waiting cell was interrupted."""
        self._socket.send("interrupt")

    def forget(self) -> None:
        """Close this process's copy of the descriptor without telling the other end."""
        if self._socket.sock is not None:
            self._socket.sock.close()


def _socket_of(client: Client, kernel_id: str) -> Socket:
    return Socket(*client.socket(f"interactive?kernel_id={kernel_id}"), is_direct=client.is_direct)


def _refusal(error: Any) -> Exception:
    import json

    from cloudo_kernel.errors import from_code

    try:
        told = json.loads(error.resp_body)["error"]
        return from_code(told["code"], told["message"], told.get("field"), told.get("errors", ()))
    except (ValueError, KeyError, TypeError):
        return Unavailable(f"The server does not let this notebook have `this`: {error}.")


def kernel_id() -> str:
    """Return the Jupyter server's id of this kernel, else one made from the process id."""
    from ipykernel.connect import get_connection_file

    found = re.fullmatch(r"kernel-([\w-]+)\.json", Path(get_connection_file()).name)
    return found[1] if found else f"pid-{os.getpid()}"
