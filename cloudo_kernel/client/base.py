"""What every part of the client has: the connection to the server, and what makes records of its replies."""

from __future__ import annotations

import ipaddress
import json
import math
import time
from collections.abc import Callable
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel

from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.errors import CloudoError, InputsInvalid, MalformedRequest, Unavailable, from_code
from cloudo_kernel.models import JsonObject, Page, Trigger

Model = TypeVar("Model", bound=BaseModel)
Item = TypeVar("Item")
T = TypeVar("T")

#: Connecting, and each silence of the server, which is longer than a long poll.
_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 75.0
#: One long poll; the server's limit is 60.
POLL_SECONDS = 50
#: How long a wait outlasts a server that is gone: a restart takes a few seconds.
_ABSENCE_SECONDS = 60.0
_RECONNECT_SECONDS = 0.5
#: A connection that was kept and has gone stale, or a server that went away in the middle.
_DROPPED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, httpx.CloseError)


class Base:
    """The connection to one server. May be used from several threads at once."""

    def __init__(
        self, url: str, *, token: str | None = None, trigger: Trigger = Trigger.API, is_local: bool = False
    ) -> None:
        """Point at the Jupyter server with the base url `url`; nothing is sent yet.

        Requests to a server that `is_local` ignore the proxies of the environment, as those to a loopback address do.
        """
        self.url = url.rstrip("/") + "/"
        address = urlsplit(self.url)
        self.is_direct = is_local or _is_loopback(address.hostname or "")
        headers = {"Accept": "application/json", "X-Cloudo-Trigger": trigger.value}
        if token:
            headers["Authorization"] = f"token {token}"
        try:
            self._http = httpx.Client(
                base_url=f"{self.url}cloudo/api/1/",
                headers=headers,
                # A token needs no login; the cookie that Jupyter answers with would only make the next request
                # ambiguous.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                timeout=httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
                limits=httpx.Limits(max_connections=None),  # each thread that waits keeps one busy
                trust_env=not self.is_direct,
                # Loading the roots takes up to 160 ms, for nothing without TLS. SSL_CERT_FILE counts either way.
                verify=address.scheme != "http" and httpx.create_ssl_context(),
            )
        except (ImportError, ValueError) as error:  # such as a SOCKS proxy without the package for it
            raise Unavailable(f"The proxy that the environment names cannot be used: {error}") from error

    def __enter__(self) -> Self:
        """Return the client; leaving the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def socket(self, path: str) -> tuple[str, dict[str, str]]:
        """Return the address of a WebSocket below REST's root, and the headers that open it."""
        address = str(self._http.base_url.join(path).copy_with(scheme=self._http.base_url.scheme.replace("http", "ws")))
        names = ("Authorization", "X-Cloudo-Trigger")
        return address, {name: self._http.headers[name] for name in names if name in self._http.headers}

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _get(self, model: type[Model], path: str, **query: Any) -> Model:
        return self._record(model, self._send("GET", path, params=given(query)))

    def _whole(self, model: type[Page[Item]], path: str, **query: Any) -> tuple[Item, ...]:
        """Return all items of a list, page by page."""
        items: list[Item] = []
        page = None
        while page is None or page.next is not None:
            page = self._get(model, path, limit=PAGE_LIMIT, cursor=page and page.next, **query)
            items += page.items
        return tuple(items)

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

    def _outlasting(self, ask: Callable[[], T], deadline: Deadline) -> T:
        """Ask until the server answers: one that restarts is gone for a few seconds."""
        patience = Deadline(_ABSENCE_SECONDS)
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
            error = from_code(told["code"], told["message"], told.get("field"), told.get("errors", ()))
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


class Deadline:
    """A moment by the monotonic clock, so many seconds from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @classmethod
    def of(cls, timeout: timedelta | None) -> Deadline:
        """Return the moment when `timeout` is over; None is never."""
        return cls(math.inf if timeout is None else timeout.total_seconds())

    @property
    def left(self) -> float:
        """Seconds until then, 0 when it is over."""
        return max(0.0, self._end - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the moment has come."""
        return self.left == 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def json_body(body: JsonObject, headers: dict[str, str] | None = None, *, what: str = "inputs") -> dict[str, Any]:
    """Return what sends `body`. Raises an error about `what` when that is no JSON."""
    try:
        content = json.dumps(body, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise not_json(error, what) from error
    return {"content": content, "headers": {**(headers or {}), "Content-Type": "application/json"}}


def not_json(error: Exception, what: str = "inputs") -> CloudoError:
    """Return the error for what cannot be sent."""
    if what == "inputs":
        return InputsInvalid(f"The inputs are not JSON: {error}.", field="inputs")
    return MalformedRequest(f"The {what} is not JSON: {error}.", field=what)


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def in_path(name: str) -> str:
    """Return a name for use in a path, in which its `/` stay."""
    return "/".join(map(part, name.split("/")))


def part(text: str) -> str:
    """Return text for use as one part of a path, never mistaken for `.` or `..`, by which a path goes astray."""
    quoted = quote(text, safe="", errors="surrogatepass")
    return quoted.replace(".", "%2E") if set(quoted) == {"."} else quoted
