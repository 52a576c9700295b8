"""The verbs about API tokens, over HTTP."""

from __future__ import annotations

from cloudo_kernel.client.base import Base, json_body, part
from cloudo_kernel.models import CreatedToken, CreateToken, Page, Token


class TokenVerbs(Base):
    """Create, list and revoke tokens."""

    def create_token(self, request: CreateToken) -> CreatedToken:
        """See `Api.create_token`."""
        body = json_body(request.model_dump(mode="json", exclude_unset=True))
        return self._record(CreatedToken, self._send("POST", "token", **body))

    def tokens(self, *, user_name: str | None = None) -> tuple[Token, ...]:
        """See `Api.tokens`."""
        return self._whole(Page[Token], "token", user_name=user_name)

    def revoke_token(self, token_id: str) -> None:
        """See `Api.revoke_token`."""
        self._send("DELETE", f"token/{part(token_id)}")
