"""Who sends a request, by a token or by what Jupyter knows, and what every reply says.

Jupyter's own way costs more than a start of an execution. Where a token is shown, what is for browsers is left out.
"""

from __future__ import annotations

import logging
import re
import time
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from jupyter_core.utils import ensure_async
from jupyter_server import CallContext
from jupyter_server.auth.identity import IdentityProvider
from jupyter_server.base.handlers import APIHandler
from jupyter_server.log import log_request
from jupyter_server.prometheus.metrics import HTTP_REQUEST_DURATION_SECONDS
from tornado import web
from tornado.httputil import HTTPHeaders, format_timestamp

from cloudo_extension.http.session_tokens import TokenIdentity
from cloudo_kernel.errors import PermissionDenied
from cloudo_kernel.security.permissions import EVERYTHING, TOKEN_PREFIX, Rights

if TYPE_CHECKING:
    from prometheus_client import Histogram

    from cloudo_extension.backend.backend import Backend
    from cloudo_extension.http.session_tokens import SessionTokens

#: Names of the server that are remembered; there is one for each port that somebody makes up.
_MAX_HOSTS = 100
_READS = frozenset({"GET", "HEAD"})


class Extension(Protocol):
    """The extension, as handlers see it: `cloudo_extension.app.Cloudo`."""

    backend: Backend
    session_tokens: SessionTokens
    serverapp: Any
    user_name: str
    max_body_bytes: int
    local_hosts: set[str]
    default_headers: dict[type[Any], dict[str, str]]

    def identity_of(self, user_name: str) -> TokenIdentity:
        """Return the identity provider that stands for a user who showed a token."""

    def name_of(self, user_name: str) -> str:
        """Return what Cloudo calls a user whom the server calls `user_name`."""

    def is_servers_token(self, token: str) -> bool:
        """Tell whether this is the token of the server itself."""

    def is_administrator(self, name: str) -> bool:
        """Tell whether this user may say for whom something runs."""


class AuthenticatedHandler(APIHandler):
    """Knows who is calling. What is asked, and answered, is for the handlers that derive from it."""

    auth_resource = "cloudo"

    def initialize(self) -> None:
        """Know nothing yet; tornado calls it first."""
        self._identity: TokenIdentity | None = None
        self._secret: str | None = None
        #: What the caller may; all, unless an API token limits it.
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
        """Who is calling."""
        name = str(self.current_user.username)
        return name if self._identity else self.app.name_of(name)

    @property
    def identity_provider(self) -> IdentityProvider:
        """The server's, or the one that stands for a token."""
        return self._identity or super().identity_provider

    # Who it is

    async def identify(self) -> None:
        """Find out who is calling, and refuse what somebody else's page may have sent. Raises `HTTPError`."""
        await self._read_authorization()
        if self._identity is not None and self.request.method != "OPTIONS":
            self._enter(self._identity)
        elif self.check_host():
            await super().prepare()
        else:
            await self._refuse_host()

    async def _read_authorization(self) -> None:
        """Accept `Authorization: X` like `token X`, and tokens of our own like the server's.

        One that is not valid says nothing: whoever sends it is a stranger, unless the server knows them otherwise.
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
        elif name := self.app.session_tokens.user_of(secret):
            self._identity = self.app.identity_of(name)
        elif self.app.is_servers_token(secret) and self._shows_nothing_else:
            self._identity = self.app.identity_of(self.app.user_name)

    @property
    def _shows_nothing_else(self) -> bool:
        """Whether there is neither a cookie nor a token in the address, of which Jupyter would know what to make."""
        return "Cookie" not in self.request.headers and "token" not in self.request.query_arguments

    def _enter(self, identity: TokenIdentity) -> None:
        """Do what Jupyter's `prepare` does for whoever shows a token, which takes it a third of a start.

        A token is never sent by accident: neither origin nor XSRF is looked at, nor a cookie.
        """
        CallContext.set(CallContext.JUPYTER_HANDLER, self)
        self.current_user = self._jupyter_current_user = identity.get_user(self)
        if not self.check_host():
            raise _host_refused(self.request.host)
        self.set_cors_headers()

    async def _refuse_host(self) -> None:
        """Refuse a name that is not the server's, and say so to callers that prove who they are otherwise.

        Jupyter refuses before it looks who is calling, and a stranger learns nothing more here. Raises `HTTPError`,
        `PermissionDenied`.
        """
        user = await ensure_async(self.identity_provider.get_user(self))
        if user is None:
            self.current_user = self._jupyter_current_user = None
            raise web.HTTPError(403)
        self.current_user = self._jupyter_current_user = user
        raise _host_refused(self.request.host)

    def check_host(self) -> bool:
        """Tell whether the server may be called by this name, as Jupyter does; a name that may be is remembered."""
        hosts, host = self.app.local_hosts, self.request.host
        if host in hosts:
            return True
        is_allowed = bool(super().check_host())
        if is_allowed and len(hosts) < _MAX_HOSTS:
            hosts.add(host)
        return is_allowed

    async def is_still_known(self) -> bool:
        """Tell whether the caller's API token is still valid, for replies that go on for long."""
        return self._secret is None or await self.backend.token(self._secret) is not None

    async def authorize(self) -> None:
        """Refuse strangers, and whom the server does not let do this. Raises `HTTPError`, `PermissionDenied`."""
        if self.current_user is None:
            raise web.HTTPError(403)
        what = (self.action, self.auth_resource)
        if not await ensure_async(self.authorizer.is_authorized(self, self.current_user, *what)):
            raise PermissionDenied(f"This server does not let {self.user_name} {' '.join(what)}.")

    @property
    def action(self) -> str:
        """What the authorizer is asked for."""
        return "read" if self.request.method in _READS else "write"

    # What every reply says

    def clear(self) -> None:
        """Begin a reply; tornado calls it, and would write the date out for each, which all of a second have."""
        self._headers = HTTPHeaders()
        self._headers["Content-Type"] = "text/html; charset=UTF-8"
        self._headers["Date"] = _date(int(time.time()))
        self.set_default_headers()
        self._write_buffer: list[bytes] = []
        self.set_status(200)

    def set_default_headers(self) -> None:
        """Set the headers that every reply has; tornado calls it. Jupyter makes them anew for each."""
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
        """Set the headers that every reply of this kind of handler has; called for the first one."""
        super().set_default_headers()

    def set_secure_cookie(self, *_: Any, **__: Any) -> None:
        """Hand out no login: a program shows its token each time, and signing a cookie took 7 % of a start.

        Jupyter's identity provider asks for one whenever a request comes with a token and without a cookie.
        """

    def compute_etag(self) -> None:
        """Send no ETag: hashing every reply costs more than the few that would not have changed."""

    def _log(self) -> None:
        """Log the request; tornado calls it at the end, and has it here for handlers that log otherwise.

        Jupyter logs successes for those who debug, but writes their lines for everybody: a tenth of a start.
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
    """Return what Jupyter's `prometheus_log_method` looks up for each request anew."""
    labels = {"method": method, "handler": f"{module}.{handler}", "status_code": status}
    return cast("Histogram", HTTP_REQUEST_DURATION_SECONDS.labels(**labels))


def _shows_debugging(log: logging.Logger) -> bool:
    """Tell whether lines for those who debug go anywhere; Jupyter's loggers take them, and their handlers do not."""
    if not log.isEnabledFor(logging.DEBUG):
        return False
    at: logging.Logger | None = log
    while at is not None:
        if any(handler.level <= logging.DEBUG for handler in at.handlers):
            return True
        at = at.parent if at.propagate else None
    return False
