"""The connection of the client to its server: requests, and records and errors from the replies."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel

from cloudo_kernel.api import API_ROOT, PAGE_LIMIT
from cloudo_kernel.errors import InputsInvalid, MalformedRequest, Unavailable, from_code
from cloudo_kernel.models import JsonObject, Origin, Page

Model = TypeVar("Model", bound=BaseModel)
Item = TypeVar("Item")

#: Timeouts for connecting, and for each silence of the server, which is longer than a long poll.
_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 75.0
#: Errors of a stale connection of the pool, or of a server that stopped during a request.
_DROPPED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, httpx.CloseError)


class Connection:
    """The connection to one server. Thread-safe."""

    def __init__(
        self, url: str, *, token: str | None = None, trigger: Origin = Origin.API, is_local: bool = False
    ) -> None:
        """Prepare for the Jupyter server with the base URL `url`; nothing is sent yet.

        With `is_local`, requests ignore the proxies of the environment, as they do for a loopback address.
        """
        self.url = url.rstrip("/") + "/"
        address = urlsplit(self.url)
        self.is_direct = is_local or _is_loopback(address.hostname or "")
        headers = {"Accept": "application/json", "X-Cloudo-Trigger": trigger.value}
        if token:
            headers["Authorization"] = f"token {token}"
        try:
            self._http = httpx.Client(
                base_url=f"{self.url}{API_ROOT}/",
                headers=headers,
                # A token needs no login, and the cookie in Jupyter's reply would make the next request ambiguous.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                timeout=httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
                limits=httpx.Limits(max_connections=None),  # each waiting thread occupies one
                trust_env=not self.is_direct,
                # Loading the root certificates takes up to 160 ms; only TLS needs it. SSL_CERT_FILE counts either way.
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
        """Return the address of a WebSocket below the REST root, and the headers to open it."""
        address = str(self._http.base_url.join(path).copy_with(scheme=self._http.base_url.scheme.replace("http", "ws")))
        names = ("Authorization", "X-Cloudo-Trigger")
        return address, {name: self._http.headers[name] for name in names if name in self._http.headers}

    def exchange(self, method: str, path: str, content: str | None, headers: Mapping[str, str]) -> httpx.Response:
        """Send a request to a path below the REST root, and return the reply, whatever its status.

        `path` is already quoted. Raises `Unavailable`, and `MalformedRequest` for a path with a host.
        """
        if urlsplit(path).scheme or urlsplit(path).netloc:
            raise MalformedRequest(f"{path[:200]!r} is not a path.", field="path")
        return self._request(method, path, content=content, headers=dict(headers))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _get(self, model: type[Model], path: str, **query: Any) -> Model:
        wanted = {name: value for name, value in query.items() if value is not None}
        return self._record(model, self._send("GET", path, params=wanted))

    def _whole(self, model: type[Page[Item]], path: str, **query: Any) -> tuple[Item, ...]:
        """Return all items of a list, fetched page by page."""
        items: list[Item] = []
        page = None
        while page is None or page.next is not None:
            page = self._get(model, path, limit=PAGE_LIMIT, cursor=page and page.next, **query)
            items += page.items
        return tuple(items)

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        return self._checked(self._request(method, path, **content))

    def _request(self, method: str, path: str, *, is_repeatable: bool = False, **content: Any) -> httpx.Response:
        """Send a request; retry it once if the connection broke and a repetition is harmless."""
        is_repeatable = is_repeatable or method in ("GET", "PUT")
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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def json_body(body: BaseModel | JsonObject, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the arguments of a request with `body` as JSON. Raises `InputsInvalid` if it is not JSON.

    The error is a `MalformedRequest` where the body holds a `value` instead of inputs.
    """
    try:
        if isinstance(body, BaseModel):
            body = body.model_dump(mode="json", exclude_unset=True)
        content = json.dumps(body, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:  # pydantic's PydanticSerializationError is a ValueError
        if isinstance(body, dict) and "value" in body:
            raise MalformedRequest(f"The value is not JSON: {error}.", field="value") from error
        raise InputsInvalid(f"The inputs are not JSON: {error}.", field="inputs") from error
    return {"content": content, "headers": {**(headers or {}), "Content-Type": "application/json"}}


def in_path(name: str) -> str:
    """Return a name quoted for a path, keeping its `/`."""
    return "/".join(map(part, name.split("/")))


def part(text: str) -> str:
    """Return text quoted as one part of a path. Quotes `.` and `..` too, which would lead to another path."""
    quoted = quote(text, safe="", errors="surrogatepass")
    return quoted.replace(".", "%2E") if set(quoted) == {"."} else quoted
