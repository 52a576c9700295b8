"""`Client`: the verbs over HTTP, of a Jupyter server with the extension."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel

from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.errors import CloudoError, InputsInvalid, MalformedRequest, Unavailable, from_code
from cloudo_kernel.events import EXECUTION_DELETED, EXECUTION_ENDED
from cloudo_kernel.models import (
    Event,
    Execution,
    ExecutionFilter,
    File,
    Flow,
    Health,
    JsonObject,
    LogLine,
    Page,
    Setting,
    StartExecution,
    Trigger,
    User,
)
from cloudo_kernel.workspace_files import encoded

Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")

#: Connecting, and each silence of the server, which is longer than a long poll.
_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 75.0
#: One long poll; the server's limit is 60.
_POLL_SECONDS = 50
#: How long a wait outlasts a server that is gone: a restart takes a few seconds.
_ABSENCE_SECONDS = 60.0
_RECONNECT_SECONDS = 0.5
#: A connection that was kept and has gone stale, or a server that went away in the middle.
_DROPPED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, httpx.CloseError)


class Client:
    """`Api` over HTTP. May be used from several threads at once."""

    def __init__(self, url: str, *, token: str | None = None, trigger: Trigger = Trigger.API) -> None:
        """Point at the Jupyter server with the base url `url`; nothing is sent yet."""
        self.url = url.rstrip("/") + "/"
        address = urlsplit(self.url)
        headers = {"Accept": "application/json", "X-Cloudo-Trigger": trigger.value}
        if token:
            headers["Authorization"] = f"token {token}"
        self._http = httpx.Client(
            base_url=f"{self.url}cloudo/api/1/",
            headers=headers,
            # A token needs no login; the cookie that Jupyter answers with would only make the next request ambiguous.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None),  # each thread that waits keeps one busy
            trust_env=address.hostname not in ("localhost", "127.0.0.1", "::1"),  # no proxy to oneself
            verify=address.scheme != "http",  # loading the roots takes up to 160 ms; without TLS for nothing
        )

    def __enter__(self) -> Client:
        """Return the client; leaving the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def socket(self, path: str) -> tuple[str, dict[str, str]]:
        """Return the address of a WebSocket below REST's root, and the headers that open it."""
        address = str(self._http.base_url.join(path).copy_with(scheme=self._http.base_url.scheme.replace("http", "ws")))
        names = ("Authorization", "X-Cloudo-Trigger")
        return address, {name: self._http.headers[name] for name in names if name in self._http.headers}

    # Flows

    def flows(self, *, q: str | None = None) -> tuple[Flow, ...]:
        """See `Api.flows`."""
        return self._get(Page[Flow], "flow", q=q).items

    def flow(self, name: str) -> Flow:
        """See `Api.flow`."""
        return self._get(Flow, f"flow/{_in_path(name)}")

    def create_flow(self, name: str, *, source: str | None = None, copy_of: str | None = None) -> Flow:
        """See `Api.create_flow`."""
        wanted = {"name": name, "source": source, "copy_of": copy_of}
        return self._record(Flow, self._send("POST", "flow", json=_given(wanted)))

    def change_flow(self, name: str, *, source: str | None = None, new_name: str | None = None) -> Flow:
        """See `Api.change_flow`."""
        wanted = _given({"source": source, "name": new_name})
        return self._record(Flow, self._send("PATCH", f"flow/{_in_path(name)}", json=wanted))

    def delete_flow(self, name: str) -> None:
        """See `Api.delete_flow`."""
        self._send("DELETE", f"flow/{_in_path(name)}")

    # Executions

    def start_execution(self, request: StartExecution, *, idempotency_key: str | None = None) -> Execution:
        """See `Api.start_execution`. A key is always sent, so that a lost reply can be asked for again."""
        try:
            body = request.model_dump(mode="json", exclude_unset=True)
        except ValueError as error:  # pydantic's PydanticSerializationError is one too
            raise _not_json(error) from error
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        reply = self._send("POST", "execution", **_json_body(body, headers), is_repeatable=True)
        return self._record(Execution, reply)

    def executions(
        self, where: ExecutionFilter | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Execution]:
        """See `Api.executions`."""
        wanted = (where or ExecutionFilter()).model_dump(mode="json", exclude_none=True)
        return self._get(Page[Execution], "execution", **wanted, limit=limit, cursor=cursor)

    def execution(self, execution_id: str) -> Execution:
        """See `Api.execution`."""
        return self._get(Execution, _path(execution_id))

    def execution_log(self, execution_id: str, *, limit: int = 500, cursor: str | None = None) -> Page[LogLine]:
        """See `Api.execution_log`."""
        return self._get(Page[LogLine], _path(execution_id, "log"), limit=limit, cursor=cursor)

    def execution_notebook(self, execution_id: str) -> str:
        """See `Api.execution_notebook`."""
        return self._send("GET", _path(execution_id, "notebook")).content.decode()

    def execution_source(self, execution_id: str) -> str:
        """See `Api.execution_source`."""
        return self._send("GET", _path(execution_id, "source")).content.decode()

    def wait(self, execution_id: str, *, timeout: timedelta | None = None) -> Execution:
        """See `Api.wait`. A restart of the server does not end the wait."""
        deadline = _Deadline(timeout)
        read = partial(self.execution, execution_id)
        # The position before the record, so that the end cannot fall in between.
        position = int(self._outlasting(self.events, deadline).next or 0)
        execution = self._outlasting(read, deadline)
        while not execution.is_ended and not deadline.is_over:
            silence = timedelta(seconds=min(deadline.left, _POLL_SECONDS))
            poll = partial(self.events, after=position, timeout=silence, subject_id=execution_id, limit=PAGE_LIMIT)
            page = self._outlasting(poll, deadline)
            position = int(page.next or position)
            if not page.items or any(event.type in (EXECUTION_ENDED, EXECUTION_DELETED) for event in page.items):
                execution = self._outlasting(read, deadline)
        return execution

    def cancel_execution(self, execution_id: str) -> Execution:
        """See `Api.cancel_execution`."""
        return self._record(Execution, self._send("POST", _path(execution_id, "cancel")))

    def pause_execution(self, execution_id: str) -> Execution:
        """See `Api.pause_execution`."""
        return self._record(Execution, self._send("POST", _path(execution_id, "pause")))

    def resume_execution(self, execution_id: str) -> Execution:
        """See `Api.resume_execution`."""
        return self._record(Execution, self._send("POST", _path(execution_id, "resume")))

    def retry_execution(self, execution_id: str, inputs: JsonObject | None = None) -> Execution:
        """See `Api.retry_execution`."""
        return self._record(
            Execution, self._send("POST", _path(execution_id, "retry"), **_json_body(_given({"inputs": inputs})))
        )

    def delete_execution(self, execution_id: str) -> None:
        """See `Api.delete_execution`."""
        self._send("DELETE", _path(execution_id))

    # Events

    def events(
        self,
        *,
        after: int | None = None,
        limit: int = 100,
        timeout: timedelta = timedelta(0),
        subject_id: str | None = None,
    ) -> Page[Event]:
        """See `Api.events`."""
        deadline = _Deadline(timeout)
        while True:
            poll = {"timeout_seconds": min(_POLL_SECONDS, deadline.left), "limit": limit}
            page = self._get(Page[Event], "event", after=after, subject_id=subject_id, **poll)
            if page.items or deadline.is_over:
                return page
            after = int(page.next or 0)

    # Settings

    def settings(self) -> tuple[Setting, ...]:
        """See `Api.settings`."""
        return self._get(Page[Setting], "setting").items

    def setting(self, name: str) -> Setting:
        """See `Api.setting`."""
        return self._get(Setting, f"setting/{_in_path(name)}")

    def save_setting(self, name: str, value: Any) -> Setting:
        """See `Api.save_setting`."""
        body = _json_body({"value": value}, what="value")
        return self._record(Setting, self._send("PUT", f"setting/{_in_path(name)}", **body, is_repeatable=True))

    def create_setting(self, name: str, value: Any) -> Setting:
        """See `Api.create_setting`."""
        body = _json_body({"name": name, "value": value}, what="value")
        return self._record(Setting, self._send("POST", "setting", **body))

    def delete_setting(self, name: str) -> None:
        """See `Api.delete_setting`."""
        self._send("DELETE", f"setting/{_in_path(name)}")

    # Files

    def files(self, folder: str = ".", *, glob: str = "*") -> tuple[File, ...]:
        """See `Api.files`."""
        return self._get(Page[File], "file", dir=folder, glob=glob).items

    def file(self, path: str, *, with_content: bool = True) -> File:
        """See `Api.file`."""
        return self._get(File, f"file/{_in_path(path)}", content=None if with_content else 0)

    def save_file(self, path: str, content: bytes) -> File:
        """See `Api.save_file`."""
        text, encoding = encoded(content)
        body = _json_body({"content": text, "encoding": encoding}, what="content")
        return self._record(File, self._send("PUT", f"file/{_in_path(path)}", **body, is_repeatable=True))

    def delete_file(self, path: str) -> None:
        """See `Api.delete_file`."""
        self._send("DELETE", f"file/{_in_path(path)}")

    # Oneself

    def user(self) -> User:
        """See `Api.user`."""
        return self._get(User, "user/me")

    def health(self) -> Health:
        """See `Api.health`."""
        reply = self._request("GET", "health")
        return self._record(Health, reply if reply.status_code == 503 else self._checked(reply))

    # What the above share

    def _get(self, model: type[Model], path: str, **query: Any) -> Model:
        return self._record(model, self._send("GET", path, params=_given(query)))

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        return self._checked(self._request(method, path, **content))

    def _request(self, method: str, path: str, *, is_repeatable: bool = False, **content: Any) -> httpx.Response:
        """Send a request; once more when its connection broke and doing it twice does no harm."""
        is_repeatable = is_repeatable or method == "GET"
        try:
            return self._http.request(method, path, **content)
        except _DROPPED as error:
            if not is_repeatable:
                raise Unavailable(
                    f"The connection to {self.url} broke before it answered. See whether it did what you asked for."
                ) from error
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        try:
            return self._http.request(method, path, **content)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _outlasting(self, ask: Callable[[], T], deadline: _Deadline) -> T:
        """Ask until the server answers: one that restarts is gone for a few seconds."""
        patience = _Deadline(timedelta(seconds=_ABSENCE_SECONDS))
        while True:
            try:
                return ask()
            except Unavailable:
                if patience.is_over or deadline.is_over:
                    raise
                time.sleep(_RECONNECT_SECONDS)

    def _unreachable(self, error: httpx.TransportError) -> Unavailable:
        reason = str(error) or type(error).__name__
        return Unavailable(
            f"No server answers at {self.url} ({reason}). Start one with `cloudo up`, or set CLOUDO_URL to another."
        )

    def _checked(self, reply: httpx.Response) -> httpx.Response:
        if reply.is_success:
            return reply
        try:
            told = reply.json()["error"]
            error = from_code(told["code"], told["message"], told.get("field"))
        except (ValueError, KeyError, TypeError):
            raise self._stranger(reply) from None
        raise error

    def _record(self, model: type[Model], reply: httpx.Response) -> Model:
        try:
            return model.model_validate_json(reply.content)
        except ValueError:
            raise self._stranger(reply) from None

    def _stranger(self, reply: httpx.Response) -> Unavailable:
        return Unavailable(
            f"{self.url} answered {reply.status_code}, and not like Cloudo. Is that a Jupyter server's base url, "
            "is the package cloudo installed there, and is the token right?"
        )


class _Deadline:
    """A moment by the monotonic clock; None is never."""

    def __init__(self, timeout: timedelta | None) -> None:
        self._end = math.inf if timeout is None else time.monotonic() + timeout.total_seconds()

    @property
    def left(self) -> float:
        """Seconds until then, 0 when it is over."""
        return max(0.0, self._end - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the moment has come."""
        return self.left == 0


def _json_body(body: JsonObject, headers: dict[str, str] | None = None, *, what: str = "inputs") -> dict[str, Any]:
    """Return what sends `body`. Raises an error about `what` when that is no JSON."""
    try:
        content = json.dumps(body, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise _not_json(error, what) from error
    return {"content": content, "headers": {**(headers or {}), "Content-Type": "application/json"}}


def _not_json(error: Exception, what: str = "inputs") -> CloudoError:
    if what == "inputs":
        return InputsInvalid(f"The inputs are not JSON: {error}.", field="inputs")
    return MalformedRequest(f"The {what} is not JSON: {error}.", field=what)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _in_path(name: str) -> str:
    """Return a name for use in a path, in which its `/` stay."""
    return "/".join(map(_part, name.split("/")))


def _path(execution_id: str, *parts: str) -> str:
    return "/".join(("execution", _part(execution_id), *parts))


def _part(text: str) -> str:
    """Return text for use as one part of a path, never mistaken for `.` or `..`, by which a path goes astray."""
    part = quote(text, safe="", errors="surrogatepass")
    return part.replace(".", "%2E") if set(part) == {"."} else part
