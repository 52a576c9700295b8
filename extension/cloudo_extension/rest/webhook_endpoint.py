"""The endpoint for webhook calls, `cloudo/webhook/<name>`, which is open to everyone.

It needs no login, cookie or XSRF check: cookies have no effect here, and none is set. Replies are sandboxed, because a
flow may have written them.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import pydantic_core
from jupyter_server.auth.decorator import allow_unauthenticated
from tornado import web

from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import Reply, operation
from cloudo_extension.http.request_body import TOO_LARGE
from cloudo_kernel.errors import (
    BodyTooSlow,
    CloudoError,
    ContentTypeRefused,
    ExecutionNotFound,
    FlowBroken,
    InputsInvalid,
    MalformedRequest,
    MethodNotAllowed,
    PermissionDenied,
    SignatureInvalid,
    TooLarge,
    TooManyCalls,
    Unavailable,
    WebhookNotFound,
)
from cloudo_kernel.models import Execution, JsonObject, Status, WebhookReply, WebhookResponse
from cloudo_kernel.models.webhooks import KEY_HEADER, MAX_BODY, DeliveryReply, Webhook
from cloudo_kernel.security.redaction import PROTECTED
from cloudo_kernel.webhooks.request import DeliveryRequest

if TYPE_CHECKING:
    from cloudo_kernel.service.webhook_calls import Received, WebhookDeliveries
    from cloudo_kernel.store import NewExecution

#: The limit for an unknown webhook, the same as the default of known ones.
_DEFAULT_MAX_BYTES = Webhook.model_fields["max_body_bytes"].default
#: Bodies up to this size are kept without looking up the webhook, which would double the time of a call.
_SMALL_BYTES = 64 * 1024
#: Maximum size that is read. Too much is discarded, so that the sender sees the reply. It is the same for all names,
#: so that it does not reveal whether a webhook exists.
_MAX_READ_BYTES = MAX_BODY + 8 * 1024 * 1024
_METHODS = ("GET", "HEAD", "OPTIONS", "POST")
_CORS, _CLOUD_EVENTS = "Access-Control-Allow-Origin", "WebHook-Allowed-Origin"
#: Request headers with an origin, and the reply headers that allow it.
_ORIGINS: Final = {"Origin": _CORS, "WebHook-Request-Origin": _CLOUD_EVENTS}
_DELETED = "This delivery was answered before. Its execution has been deleted."


#: For both methods. A flow's own reply, with its own status, is unknown in advance.
_DOCUMENTED: Final[dict[str, Any]] = {
    "headers": {KEY_HEADER: "The webhook's key, where it has one and the call is not signed."},
    "replies": {
        200: Reply(DeliveryReply, "The flow has ended, however it did; or what it answers in place of that.", ("*/*",)),
        202: Reply(DeliveryReply, "It has not: the caller did not wait, or the time is over."),
    },
    "raises": (
        BodyTooSlow,
        ContentTypeRefused,
        FlowBroken,
        InputsInvalid,
        MalformedRequest,
        MethodNotAllowed,
        PermissionDenied,
        SignatureInvalid,
        TooLarge,
        TooManyCalls,
        Unavailable,
        WebhookNotFound,
    ),
}


class NoCall(Handler):
    """Answers 404 to everyone at other addresses below `cloudo/webhook`, such as one with a trailing slash."""

    is_public: ClassVar[bool] = True
    body_seconds: ClassVar[float] = 60.0

    def initialize(self) -> None:
        """Prepare for an anonymous caller; tornado calls it first."""
        super().initialize()
        self.current_user = None

    @property
    def content_security_policy(self) -> str:
        """A policy that keeps a flow's reply from running or loading anything."""
        return "sandbox; default-src 'none'"

    def make_default_headers(self) -> None:
        """Set the same headers on every reply, regardless of the server's configuration."""
        self.set_header("Content-Security-Policy", self.content_security_policy)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")

    def check_xsrf_cookie(self) -> None:
        """Check nothing, because cookies are ignored."""

    def check_origin(self, origin_to_satisfy_tornado: str = "") -> bool:
        """Accept calls from any page, because a page can do no more than any other caller."""
        del origin_to_satisfy_tornado
        return True

    async def _admit(self) -> None:
        self._hide_key()
        raise WebhookNotFound(self.request.path.partition("/webhook")[2].removeprefix("/"))

    def _hide_key(self) -> None:
        """Keep the key out of Jupyter's log, which hides `key` but not the equivalent `%6bey`."""
        if "key" in self.request.query_arguments:
            self.request.uri = f"{self.request.path}?key=[secret]"


class Call(NoCall):
    """`cloudo/webhook/<name>`, for everyone."""

    _call: DeliveryRequest | None = None
    _is_too_large = False

    def initialize(self) -> None:
        """Prepare for a caller of unknown origin; tornado calls it first."""
        super().initialize()
        self._origin_headers: dict[str, str] = {}

    # Receiving

    async def _admit(self) -> None:
        self._hide_key()
        if self.request.method not in _METHODS:
            raise web.HTTPError(405)
        self._calls = await self._open()
        self._limit = await self._body_limit()
        self.request.connection.set_max_body_size(_MAX_READ_BYTES)

    async def _body_limit(self) -> int:
        """Return how much of a body to keep. A small one is kept whole, and its size is checked later."""
        announced = self.announced_bytes
        if announced is not None and announced <= _SMALL_BYTES:
            return _SMALL_BYTES
        kept = await self.backend.call(self._calls.find, self.path_args[0])
        return int(_DEFAULT_MAX_BYTES if kept is None else kept.webhook.max_body_bytes)

    async def _open(self) -> WebhookDeliveries:
        """Return the receiver of calls. Raises `WebhookNotFound` and leaves no trace if Cloudo is unused."""
        if not self.backend.is_used:
            raise WebhookNotFound(self.path_args[0])
        return await self.backend.webhook_calls()

    def data_received(self, chunk: bytes) -> None:
        """Keep a chunk of the body unless it is too large; tornado calls it."""
        self._size += len(chunk)
        if self._refusal is not None:
            return
        if self._size > self._limit:
            self._is_too_large = True
            self._chunks.clear()
        else:
            self._chunks.append(chunk)

    def invalid_body(self) -> Exception:
        """Return the error for a body that is not valid HTTP, or is larger than any webhook accepts.

        The limit of this webhook must make no difference, because the caller is not authenticated yet.
        """
        return web.HTTPError(413, TOO_LARGE) if self._size > MAX_BODY else super().invalid_body()

    @operation(id="call_webhook_by_get", **_DOCUMENTED)
    @allow_unauthenticated  # type: ignore[untyped-decorator]  # jupyter_server
    async def get(self, name: str) -> None:
        """Start the webhook's flow, and wait for its end unless the caller does not want to."""
        await self._receive(name)

    @operation(id="call_webhook", has_any_body=True, **_DOCUMENTED)
    @allow_unauthenticated  # type: ignore[untyped-decorator]  # jupyter_server
    async def post(self, name: str) -> None:
        """Start the webhook's flow, and wait for its end unless the caller does not want to."""
        await self._receive(name)

    @allow_unauthenticated  # type: ignore[untyped-decorator]  # jupyter_server
    async def head(self, name: str) -> None:
        """Answer 200 to a sender that checks the address, such as Trello. Starts nothing."""
        await self._receive(name)

    @allow_unauthenticated  # type: ignore[untyped-decorator]  # jupyter_server
    async def options(self, name: str) -> None:
        """Tell browsers and senders of CloudEvents which origins may call. Starts nothing."""
        await self._allow_origin(name)
        self.set_status(204)
        self.set_header("Allow", ", ".join(_METHODS))
        self.clear_header("Content-Type")
        await web.RequestHandler.finish(self)

    async def _allow_origin(self, name: str) -> None:
        """Set the headers for callers from an allowed origin. Others get the same headers as for an unknown name.

        See https://fetch.spec.whatwg.org/#http-cors-protocol, and for CloudEvents
        https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md#4-abuse-protection.
        """
        asked = {header: self.request.headers.get(header) for header in _ORIGINS}
        kept = await self.backend.call(self._calls.find, name) if any(asked.values()) else None
        if kept is None or not kept.webhook.enabled or not self._parsed(name).is_from(kept.webhook.allowed_networks):
            return
        allowed = kept.webhook.allowed_origins
        for header, origin in asked.items():
            if origin and ("*" in allowed or origin.lower() in allowed):
                self._origin_headers |= {_ORIGINS[header]: origin, "Vary": "Origin"}
        if self.request.method == "OPTIONS" and _CORS in self._origin_headers:
            wanted = self.request.headers.get("Access-Control-Request-Headers", "Content-Type")
            methods = ", ".join(kept.webhook.allowed_methods)
            self._origin_headers |= {"Access-Control-Allow-Methods": methods, "Access-Control-Allow-Headers": wanted}
        if _CLOUD_EVENTS in self._origin_headers:
            self._origin_headers["WebHook-Allowed-Rate"] = str(kept.webhook.rate_limit or "*")
        self._set_origin_headers()

    def _set_origin_headers(self) -> None:
        for header, value in self._origin_headers.items():
            self.set_header(header, value)

    async def _receive(self, name: str) -> None:
        if "Origin" in self.request.headers:
            await self._allow_origin(name)
        self._call = self._parsed(name)
        received = await self.backend.receive(self._call)
        from cloudo_kernel.service.webhook_calls import Answered  # imported already, with the backend

        if isinstance(received, Answered):
            self.backend.refusals.note(self._call, received.reason, self._send_response(received.response))
            return
        if received.is_async:
            self._send(202, await self._current_state(received))
            return
        status = await self.while_connected(self._answer(received))
        self.backend.spawn(self.backend.call(self._calls.note_reply, received, status))

    def _parsed(self, name: str) -> DeliveryRequest:
        query = self.request.query
        try:
            fields = [
                (field, value.decode()) for field, values in self.request.query_arguments.items() for value in values
            ]
        except UnicodeDecodeError as error:
            raise MalformedRequest("The query is not UTF-8.") from error
        return DeliveryRequest(
            webhook_name=name,
            method=cast("str", self.request.method),
            path=self.request.path,
            query=fields,
            headers=self.request.headers,
            source_ip=self.request.remote_ip or "",
            url=f"{self.request.protocol}://{self.request.host}{self.request.path}{query and '?'}{query}",
            body=b"" if self._is_too_large else b"".join(self._chunks),
            is_too_large=self._is_too_large,
        )

    # Answering

    async def _answer(self, received: Received) -> int:
        """Send the outcome of the execution, or its state if it does not end in time. Return the HTTP status."""
        seconds = received.webhook.sync_timeout_seconds
        try:
            execution = await self.backend.until_ended(self._calls.execution, received.execution_id, seconds)
        except ExecutionNotFound:
            return self._send(200, {"id": received.execution_id, "message": _DELETED})
        if not execution.is_ended:
            return self._send(202, _brief(execution, execution.status))
        response = await self.backend.call(self._calls.response, execution.id)
        if response is not None:
            return self._send_response(response)
        if received.webhook.reply is WebhookReply.RECORD:
            return self._send(200, _without_traceback(execution))
        return self._send(200, _brief(execution, execution.status))

    async def _current_state(self, received: Received) -> JsonObject:
        """Return the current state of the execution that this call, or an earlier delivery, started."""
        if received.new is not None:
            return _brief(received.new, Status.PENDING)
        try:
            execution = await self.backend.call(self._calls.execution, received.execution_id)
            return _brief(execution, execution.status)
        except ExecutionNotFound:
            return {"id": received.execution_id, "message": _DELETED}

    def _send(self, status: int, content: JsonObject) -> int:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        web.RequestHandler.finish(self, pydantic_core.to_json(content))
        return status

    def _send_response(self, response: WebhookResponse) -> int:
        self.set_status(response.status)
        if response.status == 204:
            self.clear_header("Content-Type")
            web.RequestHandler.finish(self)
        else:
            self.set_header("Content-Type", response.content_type)
            web.RequestHandler.finish(self, response.content)
        return response.status

    # Errors

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """Write the error as JSON, and add it to the webhook's deliveries."""
        found = cast("tuple[object, BaseException | None, object]", kwargs.get("exc_info") or (None, None, None))
        error = found[1]
        self._set_origin_headers()
        if isinstance(error, MethodNotAllowed):
            self.set_header("Allow", ", ".join(error.allowed))
        elif status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(_METHODS))
        if isinstance(error, WebhookNotFound | SignatureInvalid):
            status_code = self._status_of_failure(status_code)
        super().write_error(status_code, **kwargs)
        # After the reply, so that its duration does not reveal whether the webhook exists.
        if isinstance(error, CloudoError) and self._call is not None:
            self.backend.refusals.note(self._call, error, status_code)

    def _status_of_failure(self, status_code: int) -> int:
        """Count a failure. After too many of one caller at one name, only the status changes, to 429."""
        seconds = self.backend.refusals.count(self.path_args[0], self.request.remote_ip or "")
        if seconds is not None:
            status_code = HTTPStatus.TOO_MANY_REQUESTS
            self.set_status(status_code)
            self.set_header("Retry-After", str(seconds))
        return status_code


def _brief(execution: Execution | NewExecution, status: Status) -> JsonObject:
    """Return the fields of an execution for a caller, without protected outputs."""
    return {
        "id": execution.id,
        "name": execution.name,
        "status": status,
        "message": execution.message,
        "output_value": {name: value for name, value in execution.output_value.items() if value != PROTECTED},
    }


def _without_traceback(execution: Execution) -> JsonObject:
    error = execution.error and execution.error.model_copy(update={"traceback": ()})
    return execution.model_copy(update={"error": error}).model_dump(mode="json")


routes = [(r"cloudo/webhook/([^/]+)", Call), (r"cloudo/webhook", NoCall), (r"cloudo/webhook/.*", NoCall)]
