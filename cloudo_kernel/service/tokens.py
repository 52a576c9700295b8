"""Verbs for API tokens."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.models import CreatedToken, CreateToken, Token
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.security.permissions import OF_FLOWS, TOKEN_PREFIX
from cloudo_kernel.service.base import Base

_RANDOM_BYTES = 32
#: Characters of the random part that are shown. The rest is too long to guess.
_SHOWN_LETTERS = 8


class TokenVerbs(Base):
    """Create, list and revoke tokens."""

    def create_token(self, request: CreateToken) -> CreatedToken:
        """See `Api.create_token`."""
        self._ask("create_token")
        now = self._store.now
        expires_at = _expiry(request, now)
        others = [action.value for action in request.actions if action not in OF_FLOWS]
        if request.flows is not None and others:
            raise MalformedRequest(
                f"A token that is limited to flows cannot have {', '.join(others)}, which covers more than flows.",
                field="actions",
            )
        self._rights.check_grant(request.actions, expires_at)
        maker = self._rights.token
        secret = TOKEN_PREFIX + secrets.token_hex(_RANDOM_BYTES)
        token = CreatedToken(
            id=new_id(),
            name=request.name,
            prefix=secret[: len(TOKEN_PREFIX) + _SHOWN_LETTERS],
            actions=tuple(dict.fromkeys(action.value for action in request.actions)),
            flows=None if request.flows is None else tuple(dict.fromkeys(request.flows)),
            user_name=self._user_name,
            created_at=now,
            expires_at=expires_at,
            secret=secret,
        )
        self._store.tokens.insert(token, secret, made_by=None if maker is None else maker.id)
        return token

    def tokens(self, *, user_name: str | None = None) -> tuple[Token, ...]:
        """See `Api.tokens`."""
        self._ask("tokens")
        whose = self._rights.acting_for(user_name, user_name=self._user_name)
        return self._store.tokens.all(None if whose == "*" else whose)

    def revoke_token(self, token_id: str) -> None:
        """See `Api.revoke_token`."""
        self._ask("revoke_token")
        whose = None if self._rights.is_administrator else self._user_name
        self._store.tokens.revoke(token_id, user_name=self._user_name, whose=whose)


def _expiry(request: CreateToken, now: datetime) -> datetime | None:
    if request.expires_in_seconds is not None:
        if request.expires_at is not None:
            raise MalformedRequest("Give either expires_at or expires_in_seconds.", field="expires_at")
        return now + timedelta(seconds=request.expires_in_seconds)
    if request.expires_at is not None and request.expires_at <= now:
        raise MalformedRequest("expires_at must be in the future.", field="expires_at")
    return request.expires_at
