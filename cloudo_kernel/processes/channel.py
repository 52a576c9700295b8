"""A channel: calls between a run's processes and its worker, as JSON over an inherited socket.

`Channel` is the caller's end, in the runner or the kernel; `answer` serves the other end in the worker.
The frames are those of `multiprocessing.connection`; nothing is ever pickled.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, Protocol

from cloudo_kernel.errors import CloudoError, TooLarge, Unavailable, from_code

_log = logging.getLogger(__name__)

#: The environment variable with the descriptor of the kernel's end; it is no secret.
DESCRIPTOR_VARIABLE = "CLOUDO_CHANNEL"

#: The largest call, as JSON.
FRAME_LIMIT_BYTES = 64 * 1024 * 1024

_CLOSED = object()


def pair() -> tuple[Connection, int]:
    """Return the worker's end, and the descriptor of the other end for a child to inherit."""
    ours, theirs = socket.socketpair()
    return Connection(ours.detach()), theirs.detach()


class Frames(Protocol):
    """One end of a connection that carries whole frames, such as `multiprocessing.connection.Connection`."""

    def send_bytes(self, buf: bytes, /) -> None:
        """Send a frame. Raises `OSError` when the other end is gone."""

    def recv_bytes(self) -> bytes:
        """Wait for a frame. Raises `EOFError` or `OSError` when the other end is gone."""

    def poll(self, timeout: float, /) -> bool:
        """Wait up to `timeout` seconds for a frame; return whether there is one."""

    def close(self) -> None:
        """Close the connection."""


class Channel:
    """The caller's end. Calls from several threads are made one after another."""

    def __init__(self, end: int | Frames) -> None:
        """Use `end`, or take over the inherited descriptor, which children of this process do not inherit."""
        self._connection: Frames
        if isinstance(end, int):
            os.set_inheritable(end, False)
            self._connection = Connection(end)
        else:
            self._connection = end
        #: Whether the other end is gone.
        self.is_closed = False
        self._pid = os.getpid()
        self._turn = threading.Lock()
        self._sending = threading.Lock()
        self._replies: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._number = 0
        # A thread reads the frames, because an interrupted cell must not leave half a frame behind.
        threading.Thread(target=self._read, name="cloudo-channel", daemon=True).start()

    def call(self, verb: str, **arguments: Any) -> Any:
        """Call the worker and return its answer. Raises the worker's error, or `Unavailable` if the worker is gone."""
        with self._turn:
            self._number += 1
            self._send({"number": self._number, "verb": verb, "arguments": arguments, "is_main": _is_main()})
            while True:
                reply = self._replies.get()
                if reply is _CLOSED:
                    self._replies.put(_CLOSED)
                    raise Unavailable("The worker that runs this execution is gone.")
                if reply["number"] == self._number:  # otherwise it answers an interrupted call
                    break
        if "error" in reply:
            raise from_code(**reply["error"])
        return reply["result"]

    def tell(self, verb: str, **arguments: Any) -> None:
        """Send the worker a call without an answer. It is in the socket when this returns."""
        self._send({"number": None, "verb": verb, "arguments": arguments, "is_main": _is_main()})

    def close(self) -> None:
        """Stop the readers of both ends."""
        if isinstance(self._connection, Connection):
            hang_up(self._connection)
        else:
            self._connection.close()

    def _send(self, message: dict[str, Any]) -> None:
        # An unpaired surrogate becomes `?`, because no database or file could store it.
        frame = json.dumps(message, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode(errors="replace")
        if os.getpid() != self._pid:  # a fork has no reading thread, and frames of two processes would mix
            raise Unavailable("The flow has forked this process: only the flow's own process has `this` and `system`.")
        if len(frame) > FRAME_LIMIT_BYTES:
            raise TooLarge(
                f"{message['verb']} was given {len(frame) / 1e6:.0f} MB; at most {FRAME_LIMIT_BYTES / 1e6:.0f} MB go "
                "at once. Write large values to a file and tell its path."
            )
        with _uninterrupted(), self._sending:
            try:
                self._connection.send_bytes(frame)
            except OSError as error:
                raise Unavailable("The worker that runs this execution is gone.") from error

    def _read(self) -> None:
        try:
            while True:
                self._replies.put(json.loads(self._connection.recv_bytes()))
        except (EOFError, OSError):
            self.is_closed = True
            self._replies.put(_CLOSED)


class Verbs(Protocol):
    """A function that answers calls; `is_main` is whether the caller's main thread made the call."""

    def __call__(self, verb: str, arguments: dict[str, Any], /, *, is_main: bool) -> Any:
        """Return the answer. Raises errors of `cloudo_kernel.errors`, which are passed to the caller."""


def answer(connection: Frames, verbs: Verbs, *, flush: Callable[[], None]) -> None:
    """Answer calls until every copy of the other end is closed.

    `flush` is called when no call came for 0.1 s after the last one, to store what was held back for a batch.
    It is retried after a `CloudoError`. The caller gets every error of `verbs`; without a reply it would wait forever.
    """
    is_holding, poll = False, _poll_of(connection)
    while True:
        try:
            has_call = not is_holding or poll(0.1)
            message = json.loads(connection.recv_bytes()) if has_call else None
        except (EOFError, OSError):
            return
        if message is None:
            is_holding = not _is_flushed(flush)
            continue
        is_holding = True
        reply = _reply(verbs, message)
        if message["number"] is not None:
            try:
                connection.send_bytes(reply)
            except OSError:
                return


def _is_flushed(flush: Callable[[], None]) -> bool:
    """Call `flush`. Return False after a `CloudoError`, such as a locked store: it is retried 0.1 s later."""
    try:
        flush()
    except CloudoError:
        return False
    except Exception:  # noqa: BLE001 -- the calls to come have to be answered all the same
        _log.exception("A report of a run could not be stored.")
    return True


def _reply(verbs: Verbs, message: dict[str, Any]) -> bytes:
    """Return the result of a call, or its error, as a frame."""
    try:
        result = verbs(message["verb"], message["arguments"], is_main=message["is_main"])
        return _frame({"number": message["number"], "result": result})
    except CloudoError as error:
        return _frame({"number": message["number"], "error": error.payload})
    except Exception as error:  # noqa: BLE001 -- the caller gets every error
        _log.exception("A call of a run failed unexpectedly.")
        payload = {"code": CloudoError.code, "message": f"{type(error).__name__}: {error}", "field": None}
        return _frame({"number": message["number"], "error": payload})


def _frame(reply: dict[str, Any]) -> bytes:
    return json.dumps(reply, separators=(",", ":")).encode()


def _poll_of(connection: Frames) -> Callable[[float], bool]:
    """Return the connection's `poll`, or a faster one if possible.

    The `poll` of `multiprocessing` creates a selector each time, which costs as much as a message.
    """
    if not (isinstance(connection, Connection) and hasattr(select, "poll")):
        return connection.poll
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return lambda seconds: bool(poller.poll(seconds * 1000))


def hang_up(connection: Connection) -> None:
    """Stop the readers of both ends, even if another process still holds a copy.

    The descriptor is closed with the last reference to the connection. If it were closed here, a thread that still
    uses it could read from whatever is opened next under the same number.
    """
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Block SIGINT while a frame is written, because half a frame would break the channel."""
    if not _is_main() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
