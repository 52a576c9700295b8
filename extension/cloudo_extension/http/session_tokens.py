"""Short-lived tokens for the dashboard's kernels, kept in this process only, and the identity of callers with a token.

API tokens, which users create, are in the store; `rest.tokens` is their REST.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any

from jupyter_server.auth.identity import IdentityProvider, User

#: Lifetime of a token for `cloudo/`: a working day. A dashboard that stays open longer has to be reloaded.
LIFETIME_SECONDS = 12 * 3600


class SessionTokens:
    """Creates tokens and finds their users. A restart of the server invalidates all of them."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: Digest of the token → (user name, time at which it expires).
        self._sessions: dict[bytes, tuple[str, float]] = {}

    def mint(self, user_name: str) -> str:
        """Return a new token that acts as `user_name`."""
        now = self._clock()
        self._sessions = {digest: kept for digest, kept in self._sessions.items() if kept[1] > now}
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = (user_name, now + LIFETIME_SECONDS)
        return token

    def user_of(self, token: str) -> str | None:
        """Return the user of a token, or None if it was not created here or has expired.

        Digests are compared, each in constant time, so that timing reveals nothing about a token.
        """
        wanted, found = _digest(token), None
        for digest, (user_name, ends_at) in self._sessions.items():
            if hmac.compare_digest(digest, wanted) and ends_at > self._clock():
                found = user_name
        return found


class TokenIdentity(IdentityProvider):
    """Replaces the server's identity provider in a request with a token."""

    def __init__(self, user_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._user = User(username=user_name)

    def get_user(self, handler: Any) -> User:
        """Return the token's user. Unlike a cookie, a token is never sent by accident, so XSRF is not checked."""
        handler._token_authenticated = True
        return self._user


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
