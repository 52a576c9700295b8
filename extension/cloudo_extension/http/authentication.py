"""Authentication of requests, by token or by Jupyter, and the headers of every reply.

Jupyter's own authentication costs more than starting an execution. Requests with a token skip the steps for browsers.
API tokens, which users create, are in the store.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from jupyter_core.utils import ensure_async
from jupyter_server import CallContext
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.base.handlers import APIHandler
from jupyter_server.log import log_request
from jupyter_server.prometheus.metrics import HTTP_REQUEST_DURATION_SECONDS
from tornado import web
from tornado.httputil import HTTPHeaders, format_timestamp

from cloudo_kernel.errors import PermissionDenied
from cloudo_kernel.security.permissions import EVERYTHING, TOKEN_PREFIX, Rights

if TYPE_CHECKING:
    from prometheus_client import Histogram

    from cloudo_extension.backend.backend import Backend

#: Maximum number of remembered host names. A caller can make up a new one with every port.
_MAX_HOSTS = 100
_READS = frozenset({"GET", "HEAD"})


class TokenIdentity(IdentityProvider):
    """Replaces the server's identity provider in a request with a token."""

    def __init__(self, user_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._user = User(username=user_name)

    def get_user(self, handler: Any) -> User:
        """Return the token's user. Unlike a cookie, a token is never sent by accident, so XSRF is not checked."""
        handler._token_authenticated = True
        return self._user


class Extension(Protocol):
    """The extension, as handlers see it: `cloudo_extension.app.Cloudo`."""

    backend: Backend
    serverapp: Any
    user_name: str
    max_body_bytes: int
    local_hosts: set[str]
    default_headers: dict[type[Any], dict[str, str]]

    def identity_of(self, user_name: str) -> TokenIdentity:
        """Return the identity provider for a user authenticated by a token."""

    def name_of(self, user_name: str) -> str:
        """Return Cloudo's name for the user whom the server calls `user_name`."""

    def is_servers_token(self, token: str) -> bool:
        """Return whether `token` is the server's own."""

    def is_administrator(self, name: str) -> bool:
        """Return whether the user `name` is an administrator, who may act for other users."""


class AuthenticatedHandler(APIHandler):
    """Authenticates the caller. Subclasses read and answer the request."""

    auth_resource = "cloudo"

    def initialize(self) -> None:
        """Start without an identity; tornado calls it first."""
        self._identity: TokenIdentity | None = None
        self._secret: str | None = None
        #: The caller's rights: everything, unless an API token limits them.
        self.rights = EVERYTHING

    @property
    def app(self) -> Extension:
        """The extension."""
        return cast("Extension", self.settings["cloudo"])

    @property
    def backend(self) -> Backend:
        """The part of Cloudo that lives in this process."""
        return self.app.backend

    @property
    def user_name(self) -> str:
        """Cloudo's name for the caller."""
        name = str(self.current_user.username)
        return name if self._identity else self.app.name_of(name)

    @property
    def identity_provider(self) -> IdentityProvider:
        """The token's identity provider, or else the server's."""
        return self._identity or super().identity_provider

    # Identity

    async def identify(self) -> None:
        """Identify the caller, and refuse cross-site requests. Raises `HTTPError`, `PermissionDenied`."""
        await self._read_authorization()
        if self._identity is not None and self.request.method != "OPTIONS":
            self._enter(self._identity)
        elif self.check_host():
            await super().prepare()
        else:
            await self._refuse_host()

    async def _read_authorization(self) -> None:
        """Accept `Authorization: X` like `token X`, and tokens of our own like the server's.

        An invalid token is ignored: its sender is anonymous unless Jupyter identifies them in another way.
        """
        scheme, _, token = self.request.headers.get("Authorization", "").strip().partition(" ")
        if scheme and not token:
            scheme, token = "token", scheme
            self.request.headers["Authorization"] = f"token {token}"
        if scheme.lower() not in ("token", "bearer"):
            return
        secret = token.strip()
        if secret.startswith(TOKEN_PREFIX) and (found := await self.backend.token(secret)):
            self._secret, self.rights = secret, Rights.of(found)
            self._identity = self.app.identity_of(found.user_name)
        elif self.app.is_servers_token(secret) and self._shows_nothing_else:
            self._identity = self.app.identity_of(self.app.user_name)

    @property
    def _shows_nothing_else(self) -> bool:
        """Whether the request has neither a cookie nor a token in its query, which Jupyter would evaluate."""
        return "Cookie" not in self.request.headers and "token" not in self.request.query_arguments

    def _enter(self, identity: TokenIdentity) -> None:
        """Replace Jupyter's `prepare`, which takes a third of a start, for callers with a token.

        A token is never sent by accident, so origin, XSRF and cookies are not checked.
        """
        CallContext.set(CallContext.JUPYTER_HANDLER, self)
        self.current_user = self._jupyter_current_user = identity.get_user(self)
        if not self.check_host():
            raise _host_refused(self.request.host)
        self.set_cors_headers()

    async def _refuse_host(self) -> None:
        """Refuse a host name that is not the server's, and tell authenticated callers why.

        Jupyter refuses before it authenticates, and anonymous callers learn no more here. Raises `HTTPError`,
        `PermissionDenied`.
        """
        user = await ensure_async(self.identity_provider.get_user(self))
        if user is None:
            self.current_user = self._jupyter_current_user = None
            raise web.HTTPError(403)
        self.current_user = self._jupyter_current_user = user
        raise _host_refused(self.request.host)

    def check_host(self) -> bool:
        """Return whether Jupyter allows the request's host name. Remembers allowed names."""
        hosts, host = self.app.local_hosts, self.request.host
        if host in hosts:
            return True
        is_allowed = bool(super().check_host())
        if is_allowed and len(hosts) < _MAX_HOSTS:
            hosts.add(host)
        return is_allowed

    async def is_still_known(self) -> bool:
        """Return whether the caller's API token is still valid. For long replies."""
        return self._secret is None or await self.backend.token(self._secret) is not None

    async def authorize(self) -> None:
        """Refuse anonymous callers and callers without permission. Raises `HTTPError`, `PermissionDenied`."""
        if self.current_user is None:
            raise web.HTTPError(403)
        what = (self.action, self.auth_resource)
        if not await ensure_async(self.authorizer.is_authorized(self, self.current_user, *what)):
            raise PermissionDenied(f"This server does not let {self.user_name} {' '.join(what)}.")

    @property
    def action(self) -> str:
        """The action to authorize."""
        return "read" if self.request.method in _READS else "write"

    # Every reply

    def clear(self) -> None:
        """Reset the reply; tornado calls it. The date is formatted once a second, not for each reply as in tornado."""
        self._headers = HTTPHeaders()
        self._headers["Content-Type"] = "text/html; charset=UTF-8"
        self._headers["Date"] = _date(int(time.time()))
        self.set_default_headers()
        self._write_buffer: list[bytes] = []
        self.set_status(200)

    def set_default_headers(self) -> None:
        """Set the headers of every reply; tornado calls it. Cached, because Jupyter computes them for each reply."""
        kept = self.app.default_headers.get(type(self))
        if kept is None:
            before = dict(self._headers)
            self.make_default_headers()
            after = dict(self._headers).items()
            kept = {name: value for name, value in after if before.get(name) != value}
            self.app.default_headers[type(self)] = kept
        else:
            self._headers.update(kept)

    def make_default_headers(self) -> None:
        """Set the default headers of this handler class; called for its first reply only."""
        super().set_default_headers()

    def set_secure_cookie(self, *_: Any, **__: Any) -> None:
        """Set no login cookie: programs send their token each time, and signing a cookie took 7 % of a start.

        Jupyter's identity provider sets one whenever a request has a token and no cookie.
        """

    def compute_etag(self) -> None:
        """Send no ETag: hashing every reply costs more than resending the few unchanged ones."""

    def _log(self) -> None:
        """Log the request; tornado calls this hook at the end.

        Jupyter logs successes at debug level, but formats their lines even if they go nowhere: a tenth of a start.
        """
        write = self.settings.get("log_function")
        is_jupyters = isinstance(write, partial) and write.func is log_request
        if not is_jupyters or self.get_status() >= 300 or _shows_debugging(self.log):
            super()._log()
        elif write.keywords.get("record_prometheus_metrics", True):
            kind = type(self)
            durations = _durations(kind.__module__, kind.__name__, str(self.request.method), self.get_status())
            durations.observe(self.request.request_time())


def _host_refused(host: str) -> PermissionDenied:
    name = re.sub(r":\d+$", "", host)
    return PermissionDenied(
        f"This server does not answer to the host name {name!r}. Add the name to `c.ServerApp.local_hostnames`, "
        "or set `c.ServerApp.allow_remote_access = True` to accept any name."
    )


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return format_timestamp(second)


@cache
def _durations(module: str, handler: str, method: str, status: int) -> Histogram:
    """Return the histogram that Jupyter's `prometheus_log_method` looks up again for each request."""
    labels = {"method": method, "handler": f"{module}.{handler}", "status_code": status}
    return cast("Histogram", HTTP_REQUEST_DURATION_SECONDS.labels(**labels))


def _shows_debugging(log: logging.Logger) -> bool:
    """Return whether debug lines are emitted. Jupyter's loggers accept them, but its handlers drop them."""
    if not log.isEnabledFor(logging.DEBUG):
        return False
    at: logging.Logger | None = log
    while at is not None:
        if any(handler.level <= logging.DEBUG for handler in at.handlers):
            return True
        at = at.parent if at.propagate else None
    return False


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
