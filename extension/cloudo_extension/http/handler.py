"""The base of all handlers: admits requests, reads them, and sends records and errors.

Each method of a handler declares with `@operation` what it accepts and returns, and calls one verb of `Api`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from collections.abc import Callable, Coroutine, Sequence
from functools import cache, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast
from urllib.parse import quote

from pydantic import BaseModel, ValidationError
from tornado import web
from tornado.iostream import StreamClosedError

from cloudo_extension.http.compression import compressed
from cloudo_extension.http.errors import reply_to
from cloudo_extension.http.operation import Operation, PageQuery, check_operations, operations_of
from cloudo_extension.http.request_body import BodyHandler
from cloudo_kernel.errors import CloudoError, MalformedRequest, PermissionDenied, TooManyCalls, Unavailable
from cloudo_kernel.errors.http_status import status_of
from cloudo_kernel.models import Origin, Page, event_types, malformed
from cloudo_kernel.models.base import Record
from cloudo_kernel.models.canonical import from_query
from cloudo_kernel.models.versions import ANY_VERSION, ONCE, version_of

if TYPE_CHECKING:
    from cloudo_kernel.service import Service

Model = TypeVar("Model", bound=BaseModel)
Item = TypeVar("Item", bound=Record)
T = TypeVar("T")

#: Prefix of all REST routes, below the server's base URL.
API = "cloudo/api/1"

#: Jupyter's own query parameters, accepted everywhere.
_JUPYTERS = frozenset({"token", "_xsrf", "no_track_activity"})
#: Triggers that a caller may name. `flow` is reserved for the worker.
_SOURCES = {source.value: source for source in (Origin.API, Origin.UI, Origin.CELL, Origin.CLI)}
#: Entity tags, in `If-Match`.
_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e]*)"')
_TAGS = re.compile(rf"\s*{_TAG.pattern}(?:\s*,\s*{_TAG.pattern})*\s*")


class Handler(BodyHandler):
    """One noun of REST. Every method requires a known user unless `is_public`."""

    is_public: ClassVar[bool] = False

    #: The caller's service; set before a method is called.
    api: Service

    def __init_subclass__(cls) -> None:
        """Reject HTTP methods without `@operation`, and answer HEAD as GET: tornado sends no body then."""
        super().__init_subclass__()
        check_operations(cls)
        if "get" in vars(cls) and "head" not in vars(cls):
            cls.head = cls.get

    def initialize(self) -> None:
        """Prepare the request; tornado calls it first."""
        super().initialize()
        self._log_id: str | None = None
        self._is_disconnected = False
        self._waiting: asyncio.Task[Any] | None = None

    # Admitting

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
        operation = self._operations().get("GET" if self.request.method == "HEAD" else str(self.request.method))
        if operation is None:
            raise web.HTTPError(405)
        known = operation.query_names
        for name in self.request.query_arguments:
            if name not in known | _JUPYTERS:
                accepted = ", ".join(sorted(known)) or "none"
                raise MalformedRequest(f"Unknown query parameter {name!r}. Known parameters: {accepted}.", field=name)
        self._check_body_headers()

    @classmethod
    @cache
    def _operations(cls) -> dict[str, Operation]:
        return operations_of(cls)

    def _trigger(self) -> Origin:
        source = self.request.headers.get("X-Cloudo-Trigger", Origin.API.value)
        if source not in _SOURCES:
            raise MalformedRequest(f"The header X-Cloudo-Trigger must be one of {', '.join(_SOURCES)}, not {source!r}.")
        return _SOURCES[source]

    # Reading

    def asked(self, model: type[Model]) -> Model:
        """Return the query as a `model`. An empty parameter counts as missing.

        A list parameter can be repeated or hold comma-separated values. Raises `MalformedRequest`.
        """
        found: dict[str, Any] = {}
        for word, field in model.model_fields.items():
            name = field.alias or word
            texts = self.asked_texts(name)
            if texts and "tuple" in str(field.annotation):
                found[name] = [part for text in texts for part in text.split(",") if part]
            elif texts:
                found[name] = from_query(field.annotation, texts[0])
        return self.parse(model, found)

    def asked_texts(self, name: str) -> list[str]:
        """Return the values of a query parameter that are not empty, as they were sent.

        `get_query_arguments` replaces control characters, so that an invalid name looks like another, valid one.
        """
        values = self.request.query_arguments.get(name, [])
        return [text for value in values if (text := self.decode_argument(value, name=name))]

    def page(self, model: type[PageQuery] = PageQuery) -> dict[str, Any]:
        """Return the query's `limit` and `cursor` as arguments for a verb."""
        return self.asked(model).model_dump()

    async def sent(self, model: type[Model]) -> Model:
        """Return the body as the operation's record. Raises `MalformedRequest`."""
        assert model is self._operations()[cast("str", self.request.method)].body, "not what the document says"
        return self.parse(model, await self.body())

    def parse(self, model: type[Model], content: dict[str, Any]) -> Model:
        """Return `content` as a record. Raises `MalformedRequest` naming each invalid field."""
        try:
            return model.model_validate(content)
        except ValidationError as error:
            raise malformed(error) from error

    # Answering

    async def answer(self, verb: Callable[..., BaseModel], /, *args: Any, **kwargs: Any) -> None:
        """Call a verb and send the record it returns."""

        def as_json() -> tuple[bytes, str | None]:  # also off the event loop: serializing a page is slow
            record = verb(*args, **kwargs)
            content = record.model_dump_json().encode()
            etag = _etag_of(record, content)
            # A tag of a record that can be edited is one of its bytes.
            return compressed(content, self) if etag is None else content, etag

        content, etag = await self.backend.call(as_json)
        if etag is not None:
            self.set_header("ETag", etag)
            if await self.is_unchanged():
                return
        await self.finish(content)

    async def is_unchanged(self) -> bool:
        """Send 304 if the caller already has the reply with the ETag that was set. Return whether it was sent."""
        if self.request.method not in ("GET", "HEAD") or not self.check_etag_header():
            return False
        self.set_status(304)
        await web.RequestHandler.finish(self)
        return True

    async def answer_created(
        self, noun: str, verb: Callable[..., BaseModel], /, *args: Any, key: str = "id", **kwargs: Any
    ) -> None:
        """Call a verb that creates a record, and send it with 201 and `Location`: `noun`, then the record's `key`."""
        record = await self.backend.call(verb, *args, **kwargs)
        self.set_status(201)
        self.set_header("Location", self.at(noun, quote(getattr(record, key))))
        await self.answer(lambda: record)

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
        versions = _versions_in(self.request.headers.get("If-Match"))
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
            if not self._is_disconnected:
                raise
            raise web.HTTPError(499, reason="Client closed request") from None
        if not (self._finished or await self.is_still_known()):
            raise web.HTTPError(403, "The token was revoked or expired while the request was waiting.")
        return outcome

    def on_connection_close(self) -> None:
        """Cancel the wait of a disconnected client; tornado calls it."""
        super().on_connection_close()
        self._is_disconnected = True
        if self._waiting is not None:
            self._waiting.cancel()

    # Errors

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Send an error with its own status; tornado calls it with 500 for all errors but its own."""
        if self._is_disconnected:  # the client is gone, and half a reply may already be sent
            self.set_status(499, "Client closed request")
            self.finish()
            return
        error = _error_in(kwargs)
        super().send_error(status_of(error) if isinstance(error, CloudoError) else status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write the error as JSON, never with a traceback."""
        if status_code == 405 and "Allow" not in self._headers:
            self.set_header("Allow", ", ".join(self._operations()).replace("GET", "GET, HEAD"))
        if isinstance(error := _error_in(kwargs), TooManyCalls | Unavailable):
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
        # A client that leaves before its reply is no error of the server.
        if error is None or isinstance(error, CloudoError | web.HTTPError | StreamClosedError):
            return
        self._log_id = uuid.uuid4().hex[:12]
        self.log.error(
            "Unexpected error %s in %s %s", self._log_id, self.request.method, self.request.path,
            exc_info=(kind, error, traceback),
        )  # fmt: skip

    def _note_refusal(self, error: web.HTTPError) -> None:
        """Record the refusal of an unknown caller, or of one with only a cookie."""
        if getattr(self, "_jupyter_current_user", None) is not None:
            self.note_denial(error.log_message or "A cookie alone is not enough for this request.")
            return
        details = {"method": self.request.method, "path": self.request.path[:500]}
        self.backend.note_anonymous(self.request.remote_ip or "", route=type(self).__name__, **details)

    def note_denial(self, reason: str) -> None:
        """Record that a known caller was refused."""
        token, route = self.rights.token, type(self).__name__
        subject = (event_types.TOKEN, token.id) if token else (event_types.USER, self.user_name)
        details = {"method": self.request.method, "path": self.request.path[:500], "reason": reason}
        details |= {"token": token.prefix} if token else {}
        self.backend.note_denial(*subject, route=f"{self.request.method} {route}", user_name=self.user_name, **details)


class UnknownAddress(Handler):
    """Answers 404 at unknown addresses below REST's root, but 403 to anonymous callers."""

    def _check_form(self) -> None:
        raise web.HTTPError(404)


def _etag_of(record: BaseModel, content: bytes) -> str | None:
    """Return the entity tag of a record that is sent as `content`, or None if it cannot be edited.

    A tag has two parts, `"<version>.<representation>"` (RFC 9110, section 13). An edit is refused only if the version
    has changed, so that the next run of a schedule, for example, does not make it fail. A reply is omitted only if both
    parts are unchanged.
    """
    version = version_of(record)
    if (once := ONCE.get(type(record))) is not None:
        content = record.model_dump_json(exclude=once).encode()
    return None if version is None else f'"{version}.{hashlib.sha256(content).hexdigest()[:16]}"'


def _versions_in(header: str | None) -> frozenset[str] | None:
    """Return the versions that `If-Match` names, or None if it was not sent. Raises `MalformedRequest`.

    Weak tags are accepted, because only the version is compared: proxies that compress a reply weaken its tag.
    """
    if header is None:
        return None
    if header.strip() == "*":
        return frozenset({ANY_VERSION})
    if not _TAGS.fullmatch(header):
        raise MalformedRequest('The header If-Match must hold the value of an ETag header, with its quotes, or "*".')
    return frozenset(tag.partition(".")[0] for tag in _TAG.findall(header))


def _error_in(kwargs: dict[str, Any]) -> BaseException | None:
    found: tuple[Any, BaseException | None, Any] = kwargs.get("exc_info") or (None, None, None)
    return found[1]


routes = [(r"cloudo/api", UnknownAddress), (r"cloudo/api/.*", UnknownAddress)]
