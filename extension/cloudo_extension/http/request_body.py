"""Bodies that are no HTTP, or do not come: lengths that are no numbers, chunks that are none, slow senders.

tornado notices while it reads them, when the handler is there already, and writes a bare 400 without asking it, or
closes the connection without a word.
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

#: As `HTTP1Connection` writes it.
_BARE: Final = b"HTTP/1.1 400 Bad Request\r\n\r\n"
#: Who has said nothing for so long has sent all that it meant to send; and no one is listened to for longer than that.
_SILENCE: Final = timedelta(milliseconds=20)
_PATIENCE_SECONDS: Final = 5.0
#: A longer number is one that no body has, and one of thousands Python refuses to read.
_DIGITS: Final = 18
TOO_LARGE: Final = "The body is larger than this server reads."


class Handler(Protocol):
    """What is needed of the handler of a request; `cloudo_extension.http.handler.Handler` has it."""

    request: HTTPServerRequest
    body_timer: asyncio.TimerHandle | None
    _finished: bool

    @property
    def body_seconds(self) -> float:
        """The longest that a body takes to come."""

    def flaw(self) -> Exception:
        """Return what to answer to a body that is no HTTP."""

    def log_exception(self, *found: Any) -> None:
        """Log an error; as tornado calls it."""

    def send_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an error."""


def announces_body(headers: HTTPHeaders) -> bool:
    """Tell whether something comes after the headers that has to be read."""
    return headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers


def announced_bytes(headers: HTTPHeaders) -> float | None:
    """Return how long the body is to be, None where that is not said, or not as a number."""
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
    """Wait for the body no longer than the handler says, from now on."""
    if announces_body(handler.request.headers) and not handler._finished:
        handler.body_timer = asyncio.get_running_loop().call_later(handler.body_seconds, _give_up, handler)


def leave(handler: Handler) -> None:
    """Let tornado write again what it likes; nothing where it does so already."""
    if handler.body_timer is not None:
        handler.body_timer.cancel()
    connection = handler.request.connection
    if isinstance(connection, HTTP1Connection) and connection.stream is not None:
        connection.stream.__dict__.pop("write", None)


def flaw(headers: HTTPHeaders) -> Exception:
    """Return what is wrong with a body that tornado does not read, as far as its headers tell."""
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
    """Answer before the body has been read to its end."""
    handler.log_exception(type(error), error, None)
    connection: Any = handler.request.connection
    connection._disconnect_on_finish = True  # where the body ends nobody knows; tornado tells the caller
    status = error.status_code if isinstance(error, HTTPError) else HTTPStatus.BAD_REQUEST
    handler.send_error(status, exc_info=(type(error), error, None))


async def _read_away(stream: IOStream) -> None:
    """Read what is on its way: an answer would be lost to a caller whose connection is closed before that."""
    end = time.monotonic() + _PATIENCE_SECONDS
    with suppress(TimeoutError, StreamClosedError):
        while time.monotonic() < end:
            piece = stream.read_bytes(65536, partial=True)
            await gen.with_timeout(_SILENCE, piece, quiet_exceptions=StreamClosedError)
