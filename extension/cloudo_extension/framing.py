"""Bodies that are no HTTP: lengths that are no numbers, chunks that are none.

tornado notices while it reads them, when the handler is there already, and writes a bare 400 without asking it.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import HTTPError

from cloudo_kernel.errors import MalformedRequest

if TYPE_CHECKING:
    from cloudo_extension.base import Handler

#: As `HTTP1Connection` writes it.
_BARE: Final = b"HTTP/1.1 400 Bad Request\r\n\r\n"
#: A longer number is one that no body has, and one of thousands Python refuses to read.
_DIGITS: Final = 18
TOO_LARGE: Final = "The body is larger than this server reads."


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

    def shaped(content: bytes | memoryview) -> asyncio.Future[None]:
        if content == _BARE:
            _answer(handler)
            content = b""
        return write(content)  # type: ignore[no-any-return]

    stream.write = shaped


def leave(request: HTTPServerRequest) -> None:
    """Let tornado write again what it likes; nothing where it does so already."""
    if isinstance(request.connection, HTTP1Connection) and request.connection.stream is not None:
        request.connection.stream.__dict__.pop("write", None)


def flaw(headers: HTTPHeaders) -> Exception:
    """Return what is wrong with a body that tornado does not read, as far as its headers tell."""
    if announced_bytes(headers) is not None:
        return HTTPError(413, TOO_LARGE)
    return MalformedRequest("The body is no HTTP: its length is no number, or one of its chunks is none.")


def _answer(handler: Handler) -> None:
    if handler._finished:
        return
    error = handler.flaw()
    handler.log_exception(type(error), error, None)
    handler.set_header("Connection", "close")  # where the body ends nobody knows
    status = error.status_code if isinstance(error, HTTPError) else 400
    handler.send_error(status, exc_info=(type(error), error, None))
