"""The base of all handlers: admits requests, reads them, and sends records and errors.

Each method of a handler declares with `@operation` what it accepts and returns, and calls one verb of `Api`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Sequence
from functools import cache, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast, get_args

import pydantic_core
from pydantic import BaseModel, ValidationError
from tornado import web
from tornado.iostream import StreamClosedError

from cloudo_extension.http import request_body
from cloudo_extension.http.authentication import AuthenticatedHandler
from cloudo_extension.http.errors import reply_to, status_of
from cloudo_extension.http.etags import etag_of, versions_in
from cloudo_extension.http.operation import Operation, PageQuery, check_operations, operations_of
from cloudo_kernel.errors import CloudoError, MalformedRequest, PermissionDenied, TooLarge, TooManyCalls
from cloudo_kernel.models import Page, Trigger, event_types, malformed
from cloudo_kernel.models.base import Record
from cloudo_kernel.models.canonical import from_text
from cloudo_kernel.security.bounds import OutOfBounds, check_json

if TYPE_CHECKING:
    from cloudo_kernel.service import Service

Model = TypeVar("Model", bound=BaseModel)
Item = TypeVar("Item", bound=Record)
T = TypeVar("T")

#: Prefix of all REST routes, below the server's base URL.
API = "cloudo/api/1"

#: Default timeout for receiving a body.
BODY_SECONDS = 300.0

#: Types of query parameters that are not text.
_KINDS: Final = {bool: "boolean", int: "integer", float: "number"}
#: Jupyter's own query parameters, accepted everywhere.
_JUPYTERS = frozenset({"token", "_xsrf", "no_track_activity"})
#: Triggers that a caller may name. `flow` is reserved for the worker.
_DOORS = {door.value: door for door in (Trigger.API, Trigger.UI, Trigger.CELL, Trigger.CLI)}


@web.stream_request_body
class Handler(AuthenticatedHandler):
    """One noun of REST. Every method requires a known user unless `is_public`."""

    is_public: ClassVar[bool] = False

    #: The caller's service; set before a method is called.
    api: Service

    def __init_subclass__(cls) -> None:
        """Reject HTTP methods without `@operation`."""
        super().__init_subclass__()
        check_operations(cls)

    def initialize(self) -> None:
        """Prepare for a streamed body; tornado calls it first."""
        super().initialize()
        self._chunks: list[bytes] = []
        self._size = 0
        self._log_id: str | None = None
        self._refusal: Exception | None = None
        #: The body's timeout, set by `request_body`.
        self.body_timer: asyncio.TimerHandle | None = None
        self._is_deserted = False
        self._waiting: asyncio.Task[Any] | None = None

    # Receiving

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """Decode percent-decoded bytes as text; tornado calls it, for the path first."""
        text = ""
        try:
            text = super().decode_argument(value, name)
        except web.HTTPError as refusal:
            if name is not None:
                raise
            self._refuse(refusal)
        return text

    async def prepare(self) -> None:
        """Admit or refuse the request; tornado calls it before it reads the body."""
        request_body.watch(self)
        try:
            await self._admit()
        except (web.HTTPError, CloudoError) as refusal:
            self._refuse(refusal)
        request_body.limit(self)

    def data_received(self, chunk: bytes) -> None:
        """Keep a chunk of the body unless the request is refused; tornado calls it."""
        self._size += len(chunk)
        if self._size > self.app.max_body_bytes:
            self._refuse(web.HTTPError(413))
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

    def flaw(self) -> Exception:
        """Return the error for a body that is not valid HTTP, or the request's earlier refusal."""
        return self._refusal or request_body.flaw(self.request.headers)

    @property
    def body_seconds(self) -> float:
        """Timeout for receiving a body, because slower senders hold a connection for nothing."""
        return BODY_SECONDS

    async def _admit(self) -> None:
        await self.identify()
        if self.request.method == "OPTIONS":
            return
        if not self.is_public:
            await self.authorize()
        self._check_form()
        if not self.is_public:
            rights = self.rights.of_administrator() if self.app.is_administrator(self.user_name) else self.rights
            self.api = await self.backend.service(self.user_name, self._trigger(), rights)

    def _check_form(self) -> None:
        """Check what is known before the body: method, query, media type and announced size."""
        operation = self._operations().get(cast("str", self.request.method))
        if operation is None:
            raise web.HTTPError(405)
        known = operation.query_names
        for name in self.request.query_arguments:
            if name not in known | _JUPYTERS:
                takes = ", ".join(sorted(known)) or "none"
                raise MalformedRequest(f"Unknown query parameter {name!r}; known here: {takes}.", field=name)
        headers = self.request.headers
        if (request_body.announced_bytes(headers) or 0) > self.app.max_body_bytes:
            raise web.HTTPError(413)
        if request_body.announces_body(headers):
            if headers.get("Content-Encoding", "identity").lower() != "identity":
                raise web.HTTPError(415, "A compressed body is not accepted. Send it without Content-Encoding.")
            if headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
                raise web.HTTPError(415)

    @classmethod
    @cache
    def _operations(cls) -> dict[str, Operation]:
        return operations_of(cls)

    def _trigger(self) -> Trigger:
        door = self.request.headers.get("X-Cloudo-Trigger", Trigger.API.value)
        if door not in _DOORS:
            raise MalformedRequest(f"The header X-Cloudo-Trigger takes {', '.join(_DOORS)}, not {door!r}.")
        return _DOORS[door]

    # Reading

    def asked(self, model: type[Model]) -> Model:
        """Return the query as a `model`. An empty parameter counts as missing.

        A list parameter can be repeated or hold comma-separated values. Raises `MalformedRequest`.
        """
        found: dict[str, Any] = {}
        for name, field in model.model_fields.items():
            texts = [text for text in self.get_query_arguments(name, strip=False) if text]
            if texts and "tuple" in str(field.annotation):
                found[name] = [part for text in texts for part in text.split(",") if part]
            elif texts:
                found[name] = from_query(field.annotation, texts[0])
        return self.parse(model, found)

    def page(self, model: type[PageQuery] = PageQuery) -> dict[str, Any]:
        """Return the query's `limit` and `cursor` as arguments for a verb."""
        return self.asked(model).model_dump()

    def body(self, *, default: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the body, a JSON object, or `default` if it is empty. Raises `MalformedRequest`, `TooLarge`."""
        if default is not None and not self._chunks:
            return default
        content = b"".join(self._chunks)
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

    def sent(self, model: type[Model]) -> Model:
        """Return the body as the operation's record. Raises `MalformedRequest`."""
        assert model is self._operations()[cast("str", self.request.method)].body, "not what the document says"
        return self.parse(model, self.body())

    def parse(self, model: type[Model], content: dict[str, Any]) -> Model:
        """Return `content` as a record. Raises `MalformedRequest` naming each invalid field."""
        try:
            return model.model_validate(content)
        except ValidationError as error:
            raise malformed(error) from error

    # Answering

    async def answer(self, verb: Callable[..., BaseModel], /, *args: Any, **kwargs: Any) -> None:
        """Call a verb and send the record it returns."""

        def as_json() -> tuple[str, str | None]:  # also off the event loop: serializing a page is slow
            record = verb(*args, **kwargs)
            text = record.model_dump_json()
            return text, etag_of(record, text)

        text, etag = await self.backend.call(as_json)
        if etag is not None:
            self.set_header("ETag", etag)
            if self.request.method == "GET" and self.check_etag_header():
                self.set_status(304)
                await web.RequestHandler.finish(self)
                return
        await self.finish(text)

    async def answer_page(
        self,
        items: Callable[[], Sequence[Item]],
        key: str,
        *,
        order: Callable[[str], Any] = str,
        is_newest_first: bool = False,
    ) -> None:
        """Send the page that the query asks for. `items` is sorted by `key`, which is also the cursor."""
        wanted = self.asked(PageQuery)

        def page() -> Page[Item]:
            found = items()
            if wanted.cursor is not None:
                start = order(wanted.cursor)
                places = (order(getattr(item, key)) for item in found)
                is_after = [place < start if is_newest_first else place > start for place in places]
                found = [item for item, is_meant in zip(found, is_after, strict=True) if is_meant]
            shown = tuple(found[: wanted.limit])
            return Page[Item](items=shown, next=getattr(shown[-1], key) if len(found) > len(shown) else None)

        await self.answer(page)

    def unless_changed(self, look: Callable[..., BaseModel], verb: Callable[..., T]) -> Callable[..., T]:
        """Wrap `verb` so that it raises `Outdated` if the record that `look` returns does not match `If-Match`."""
        versions = versions_in(self.request.headers.get("If-Match"))
        return verb if versions is None else partial(self.api.unless_changed, versions, look, verb)

    async def finish_empty(self) -> None:
        """Send 204."""
        self.set_status(204)
        self.clear_header("Content-Type")
        await web.RequestHandler.finish(self)

    def at(self, *path: str) -> str:
        """Return the path of a resource, from the server's root."""
        return "/".join((f"{self.base_url}{API}", *path))

    async def while_connected(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Await `waiting`, and cancel it when the client disconnects. Raises `HTTPError`."""
        task = asyncio.create_task(waiting)
        self._waiting = task
        try:
            outcome = await task
        except (asyncio.CancelledError, StreamClosedError):
            if not self._is_deserted:
                raise
            raise web.HTTPError(499, reason="Client closed request") from None
        if not (self._finished or await self.is_still_known()):
            raise web.HTTPError(403, "The token was revoked, or has expired, while this was waited for.")
        return outcome

    def on_connection_close(self) -> None:
        """Cancel the wait of a disconnected client; tornado calls it."""
        super().on_connection_close()
        request_body.leave(self)
        self._is_deserted = True
        if self._waiting is not None:
            self._waiting.cancel()

    def on_finish(self) -> None:
        """Release the connection for the next request; tornado calls it."""
        super().on_finish()
        request_body.leave(self)

    # Errors

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Send an error with its own status; tornado calls it with 500 for all errors but its own."""
        if self._is_deserted:  # the client is gone, and half a reply may already be sent
            self.set_status(499, "Client closed request")
            self.finish()
            return
        error = _error_in(kwargs)
        super().send_error(status_of(error) if isinstance(error, CloudoError) else status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write the error as JSON, never with a traceback."""
        if status_code == 405 and "Allow" not in self._headers:
            self.set_header("Allow", ", ".join(self._operations()))
        if isinstance(error := _error_in(kwargs), TooManyCalls):
            self.set_header("Retry-After", str(error.retry_after_seconds))
        if self.request.method not in self.SUPPORTED_METHODS:  # tornado closes the connection without announcing it
            self.set_header("Connection", "close")
        self.finish(reply_to(error, status_code, log_id=self._log_id).model_dump_json(exclude_none=True))

    def log_exception(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Log an unexpected error with an id that the reply contains, and record refusals."""
        if isinstance(error, PermissionDenied):
            self.note_denial(str(error))
        elif isinstance(error, web.HTTPError) and error.status_code == 403:
            self._note_refusal(error)
        if error is None or isinstance(error, CloudoError | web.HTTPError):
            return
        self._log_id = uuid.uuid4().hex[:12]
        self.log.error(
            "Unexpected error %s in %s %s", self._log_id, self.request.method, self.request.path,
            exc_info=(kind, error, traceback),
        )  # fmt: skip

    def _note_refusal(self, error: web.HTTPError) -> None:
        """Record the refusal of an unknown caller, or of one with only a cookie."""
        if getattr(self, "_jupyter_current_user", None) is not None:
            self.note_denial(error.log_message or "This takes more than a cookie.")
            return
        told = {"method": self.request.method, "path": self.request.path[:500]}
        self.backend.note_stranger(self.request.remote_ip or "", route=type(self).__name__, **told)

    def note_denial(self, reason: str) -> None:
        """Record that a known caller was refused."""
        token, route = self.rights.token, type(self).__name__
        subject = (event_types.TOKEN, token.id) if token else (event_types.USER, self.user_name)
        told = {"method": self.request.method, "path": self.request.path[:500], "reason": reason}
        told |= {"token": token.prefix} if token else {}
        self.backend.note_denial(*subject, route=f"{self.request.method} {route}", user_name=self.user_name, **told)


class NothingHere(Handler):
    """Answers 404 at unknown addresses below REST's root, but 403 to strangers."""

    def _check_form(self) -> None:
        raise web.HTTPError(404)


def from_query(annotation: Any, text: str) -> Any:
    """Convert a query parameter or header. Returns invalid text unchanged, so that the model names it in its error."""
    kinds = [_KINDS[kind] for kind in (get_args(annotation) or (annotation,)) if kind in _KINDS]
    try:
        return from_text(kinds[0], text) if kinds else text
    except ValueError:
        return text


def _error_in(kwargs: dict[str, Any]) -> BaseException | None:
    found: tuple[Any, BaseException | None, Any] = kwargs.get("exc_info") or (None, None, None)
    return found[1]


routes = [(r"cloudo/api", NothingHere), (r"cloudo/api/.*", NothingHere)]
