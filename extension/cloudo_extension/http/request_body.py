"""Replies to malformed or missing bodies: lengths that are not numbers, invalid chunks, slow senders.

tornado notices them while it reads the body, after it has created the handler. Without asking the handler it writes a
bare 400, or closes the connection without a reply.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final, Protocol

from tornado import gen
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.iostream import IOStream, StreamClosedError
from tornado.web import HTTPError

from cloudo_kernel.errors import BodyTooSlow, MalformedRequest

#: The reply that `HTTP1Connection` writes.
_BARE: Final = b"HTTP/1.1 400 Bad Request\r\n\r\n"
#: Silence after which a sender counts as finished, and the maximum time to read from it.
_SILENCE: Final = timedelta(milliseconds=20)
_PATIENCE_SECONDS: Final = 5.0
#: Maximum digits of a length. No body is longer, and Python refuses to parse thousands of digits.
_DIGITS: Final = 18
TOO_LARGE: Final = "The body is larger than this server reads."


class Handler(Protocol):
    """The handler of a request, as needed here; `cloudo_extension.http.handler.Handler` implements it."""

    request: HTTPServerRequest
    body_timer: asyncio.TimerHandle | None
    _finished: bool

    @property
    def body_seconds(self) -> float:
        """Timeout for receiving a body."""

    def flaw(self) -> Exception:
        """Return the error for a body that is not valid HTTP."""

    def log_exception(self, *found: Any) -> None:
        """Log an error; takes tornado's arguments."""

    def send_error(self, status_code: int, **kwargs: Any) -> None:
        """Send an error reply."""


def announces_body(headers: HTTPHeaders) -> bool:
    """Return whether the headers announce a body."""
    return headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers


def announced_bytes(headers: HTTPHeaders) -> float | None:
    """Return the announced length of the body, or None if it is not given as a number."""
    length = headers.get("Content-Length", "0")
    if "Transfer-Encoding" in headers or not length.isdecimal():
        return None
    return int(length) if len(length) <= _DIGITS else math.inf


def watch(handler: Handler) -> None:
    """Let the handler answer in place of tornado's bare 400, until `leave` is called."""
    connection = handler.request.connection
    if not (isinstance(connection, HTTP1Connection) and announces_body(handler.request.headers)):
        return
    stream: Any = connection.stream
    write = stream.write

    def shaped(content: bytes | memoryview) -> Awaitable[None]:
        if content == _BARE:
            return asyncio.ensure_future(_answer(handler, stream))
        return write(content)  # type: ignore[no-any-return]

    stream.write = shaped


def limit(handler: Handler) -> None:
    """Start the handler's timeout for the body."""
    if announces_body(handler.request.headers) and not handler._finished:
        handler.body_timer = asyncio.get_running_loop().call_later(handler.body_seconds, _give_up, handler)


def leave(handler: Handler) -> None:
    """Undo `limit` and `watch`. Can be called more than once."""
    if handler.body_timer is not None:
        handler.body_timer.cancel()
    connection = handler.request.connection
    if isinstance(connection, HTTP1Connection) and connection.stream is not None:
        connection.stream.__dict__.pop("write", None)


def flaw(headers: HTTPHeaders) -> Exception:
    """Return the error for a body that tornado does not read, judged by its headers."""
    if announced_bytes(headers) is not None:
        return HTTPError(413, TOO_LARGE)
    return MalformedRequest("The body is no HTTP: its length is no number, or one of its chunks is none.")


async def _answer(handler: Handler, stream: IOStream) -> None:
    await _read_away(stream)
    if handler._finished or stream.closed():
        return
    _send(handler, handler.flaw())


def _give_up(handler: Handler) -> None:
    if not handler.request._body_future.done():
        _send(handler, BodyTooSlow(handler.body_seconds))


def _send(handler: Handler, error: Exception) -> None:
    """Send an error reply before the whole body has been read."""
    handler.log_exception(type(error), error, None)
    connection: Any = handler.request.connection
    connection._disconnect_on_finish = True  # the end of the body is unknown; tornado sends `Connection: close`
    status = error.status_code if isinstance(error, HTTPError) else HTTPStatus.BAD_REQUEST
    handler.send_error(status, exc_info=(type(error), error, None))


async def _read_away(stream: IOStream) -> None:
    """Read and discard what is on its way. Closing the connection earlier would lose the reply."""
    end = time.monotonic() + _PATIENCE_SECONDS
    with suppress(TimeoutError, StreamClosedError):
        while time.monotonic() < end:
            piece = stream.read_bytes(65536, partial=True)
            await gen.with_timeout(_SILENCE, piece, quiet_exceptions=StreamClosedError)
