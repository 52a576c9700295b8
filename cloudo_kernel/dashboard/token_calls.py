"""What the page may ask about the API tokens of its user."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from cloudo_kernel.api import Api
from cloudo_kernel.dashboard.attempts import parsed, tried
from cloudo_kernel.dashboard.rows import NAME, cut
from cloudo_kernel.models import CreateToken, JsonObject, Token

#: The verbs; see `calls.VERBS`.
VERBS: Final = frozenset({"tokens", "create_token", "revoke_tokens"})


class TokenCalls:
    """Answers the page about tokens with what `api` says. A secret is in the one reply to whoever made it."""

    _api: Api

    def tokens(self) -> list[JsonObject]:
        """List the user's tokens, newest first."""
        return [_row(one) for one in self._api.tokens()]

    def create_token(self, *, request: JsonObject) -> JsonObject:
        """Make a token; its secret is in this reply only."""
        made = self._api.create_token(parsed(CreateToken, request))
        return {"row": _row(made), "secret": made.secret}

    def revoke_tokens(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Revoke tokens; each gives null or its error."""
        return [tried(self._api.revoke_token, one) for one in ids]


def _row(token: Token) -> JsonObject:
    include = {"id", "prefix", "actions", "flows", "created_at", "expires_at", "last_used_at"}
    return token.model_dump(mode="json", include=include) | {
        "name": cut(token.name, NAME),
        "is_expired": token.expires_at is not None and token.expires_at <= datetime.now(UTC),
    }
