"""Receives request bodies: limits their size and time, answers invalid ones, and parses them.

tornado notices a length that is not a number, or an invalid chunk, while it reads the body, after it has created the
handler. It then writes a bare 400, or closes the connection without a reply, and has no hook for either.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

import pydantic_core
from tornado import gen, web
from tornado.http1connection import HTTP1Connection
from tornado.iostream import IOStream, StreamClosedError

from cloudo_extension.http.authentication import AuthenticatedHandler
from cloudo_kernel.errors import BodyTooSlow, CloudoError, MalformedRequest, TooLarge
from cloudo_kernel.security.bounds import OutOfBounds, check_json

#: The reply that `HTTP1Connection` writes.
_BARE_REPLY: Final = b"HTTP/1.1 400 Bad Request\r\n\r\n"
#: Silence after which a sender counts as finished, and the maximum time to read from it.
_SILENCE: Final = timedelta(milliseconds=20)
_MAX_DISCARD_SECONDS: Final = 5.0
#: Maximum digits of a length. No body is longer, and Python refuses to parse thousands of digits.
_MAX_DIGITS: Final = 18
#: Larger bodies are parsed on a thread. The event loop still waits for each single step, such as joining the chunks.
_MAX_INLINE_BYTES: Final = 256 * 1024
#: Maximum size without a notebook, script or file. Storing 60 MiB of inputs took 2 s of CPU.
MAX_RECORD_BYTES: Final = 16 * 1024 * 1024
TOO_LARGE: Final = "The body is larger than this server reads."


@web.stream_request_body
class BodyHandler(AuthenticatedHandler):
    """Receives the body of a request. Subclasses admit requests and answer them."""

    #: Timeout for receiving a body, because slower senders hold a connection for nothing.
    body_seconds: ClassVar[float] = 300.0
    #: Whether a body can hold notebooks, scripts or files. It can then have up to `c.Cloudo.max_body_bytes`.
    takes_documents: ClassVar[bool] = False

    def initialize(self) -> None:
        """Prepare for a streamed body; tornado calls it first."""
        super().initialize()
        self._chunks: list[bytes] = []
        self._size = 0
        self._refusal: Exception | None = None
        self._body_timer: asyncio.TimerHandle | None = None

    async def prepare(self) -> None:
        """Admit or refuse the request; tornado calls it before it reads the body."""
        self._intercept_bare_reply()
        try:
            await self._admit()
        except (web.HTTPError, CloudoError) as refusal:
            self._refuse(refusal)
        if self.announces_body and not self._finished:
            loop = asyncio.get_running_loop()
            self._body_timer = loop.call_later(self.body_seconds, self._refuse_slow_body)

    async def _admit(self) -> None:
        """Check all that is known before the body. Raises `HTTPError`, or an error of Cloudo."""
        raise NotImplementedError

    def data_received(self, chunk: bytes) -> None:
        """Keep a chunk of the body unless the request is refused; tornado calls it."""
        self._size += len(chunk)
        if self._size > self._max_bytes:
            self._refuse(self._too_large())
        elif self._refusal is None:
            self._chunks.append(chunk)

    def _refuse(self, refusal: Exception) -> None:
        """Raise `refusal` in place of the method, which tornado calls after it has read the whole body.

        The client would lose an earlier reply: closing a connection while it still sends resets the connection.
        `ServerApp.max_body_size` limits how much is read and discarded.
        """

        async def refuse(*_path: str) -> None:
            raise refusal

        self._refusal = refusal
        self._chunks.clear()
        setattr(self, cast("str", self.request.method).lower(), refuse)

    async def body(self, *, default: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the body, a JSON object, or `default` if it is empty. Raises `MalformedRequest`, `TooLarge`."""
        if default is not None and not self._chunks:
            return default
        if self.is_large:
            return await self.backend.call(_parsed, self._chunks)
        return _parsed(self._chunks)

    @property
    def is_large(self) -> bool:
        """Whether the body is so large that reading and answering it would block the event loop."""
        return self._size > _MAX_INLINE_BYTES

    # Headers

    @property
    def announces_body(self) -> bool:
        """Whether the headers announce a body."""
        headers = self.request.headers
        return headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers

    @property
    def announced_bytes(self) -> float | None:
        """The announced length of the body, or None if it is not given as a number."""
        length = self.request.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.request.headers or not length.isdecimal():
            return None
        return int(length) if len(length) <= _MAX_DIGITS else math.inf

    @property
    def _max_bytes(self) -> int:
        limit = self.app.max_body_bytes
        return limit if self.takes_documents else min(limit, MAX_RECORD_BYTES)

    def _too_large(self) -> web.HTTPError:
        return web.HTTPError(413, f"The body is larger than the {self._max_bytes:,} bytes that this address accepts.")

    def _check_body_headers(self) -> None:
        """Check announced size, encoding and media type. Raises `HTTPError`."""
        headers = self.request.headers
        if (self.announced_bytes or 0) > self._max_bytes:
            raise self._too_large()
        if self.announces_body:
            if headers.get("Content-Encoding", "identity").lower() != "identity":
                raise web.HTTPError(415, "A compressed body is not accepted. Send it without Content-Encoding.")
            if headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
                raise web.HTTPError(415)

    # Replies before the whole body has been read

    def invalid_body(self) -> Exception:
        """Return the error for a body that tornado stopped reading, or the request's earlier refusal."""
        if self._refusal is not None:
            return self._refusal
        if self.announced_bytes is not None:
            return web.HTTPError(413, TOO_LARGE)
        return MalformedRequest("The body is not valid HTTP: its length is not a number, or a chunk is invalid.")

    def _intercept_bare_reply(self) -> None:
        """Answer in place of tornado's bare 400, until `_release_connection` is called."""
        connection = self.request.connection
        if not (isinstance(connection, HTTP1Connection) and self.announces_body):
            return
        stream: Any = connection.stream
        write = stream.write

        def intercept(content: bytes | memoryview) -> Awaitable[None]:
            if content == _BARE_REPLY:
                return asyncio.ensure_future(self._answer_invalid_body(stream))
            return write(content)  # type: ignore[no-any-return]

        stream.write = intercept

    async def _answer_invalid_body(self, stream: IOStream) -> None:
        await _discard(stream)
        if not (self._finished or stream.closed()):
            self._send_early(self.invalid_body())

    def _refuse_slow_body(self) -> None:
        if not self.request._body_future.done():
            self._send_early(BodyTooSlow(self.body_seconds))

    def _send_early(self, error: Exception) -> None:
        self.log_exception(type(error), error, None)
        connection: Any = self.request.connection
        connection._disconnect_on_finish = True  # the end of the body is unknown; tornado sends `Connection: close`
        status = error.status_code if isinstance(error, web.HTTPError) else HTTPStatus.BAD_REQUEST
        self.send_error(status, exc_info=(type(error), error, None))

    def on_connection_close(self) -> None:
        """Release the connection; tornado calls it when the client disconnects."""
        super().on_connection_close()
        self._release_connection()

    def on_finish(self) -> None:
        """Release the connection for the next request; tornado calls it."""
        super().on_finish()
        self._release_connection()

    def _release_connection(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
        connection = self.request.connection
        if isinstance(connection, HTTP1Connection) and connection.stream is not None:
            connection.stream.__dict__.pop("write", None)


def _parsed(chunks: Sequence[bytes]) -> dict[str, Any]:
    """Return the JSON object. Raises `MalformedRequest`, `TooLarge`."""
    content = b"".join(chunks)
    try:
        check_json(content)
        # Strict where `json` is not: no NaN, no lone surrogates, no endless nesting.
        found = pydantic_core.from_json(content, allow_inf_nan=False)
    except OutOfBounds as error:
        raise TooLarge(f"The body is too large: {error}.") from None
    except ValueError as error:
        raise MalformedRequest(f"The body is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise MalformedRequest("The body must be a JSON object.")
    return found


async def _discard(stream: IOStream) -> None:
    """Read and discard what is on its way. Closing the connection earlier would lose the reply."""
    end = time.monotonic() + _MAX_DISCARD_SECONDS
    with suppress(TimeoutError, StreamClosedError):
        while time.monotonic() < end:
            piece = stream.read_bytes(65536, partial=True)
            await gen.with_timeout(_SILENCE, piece, quiet_exceptions=StreamClosedError)
