"""REST for API tokens; `http.authentication` has those of the dashboard's kernels."""

from __future__ import annotations

from pydantic import Field

from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import PageQuery, Query, operation, routes_of
from cloudo_kernel.models import CreatedToken, CreateToken, Page, Token


class TokenQuery(Query):
    """Filters of the list of tokens."""

    user_name: str | None = Field(
        default=None, description="User whose tokens to list, for administrators; `*` for all users."
    )


class Tokens(Handler):
    """`/token`."""

    @operation("tokens", reply=Page[Token], query=(TokenQuery, PageQuery))
    async def get(self) -> None:
        """List your own tokens."""
        wanted = self.asked(TokenQuery)
        await self.answer_page(lambda: self.api.tokens(user_name=wanted.user_name), "id", is_newest_first=True)

    @operation(
        "create_token",
        reply=CreatedToken,
        status=201,
        body=CreateToken,
        example={
            "name": "ci",
            "actions": ["execution:start", "read"],
            "flows": ["etl/*"],
            "expires_in_seconds": 2592000,
        },
    )
    async def post(self) -> None:
        """Create a token. Only this reply contains its secret."""
        made = await self.backend.call(self.api.create_token, await self.sent(CreateToken))
        self.set_header("Cache-Control", "no-store")
        self.set_status(201)
        await self.answer(lambda: made)


class OneToken(Handler):
    """`/token/<id>`."""

    @operation("revoke_token", status=204)
    async def delete(self, token_id: str) -> None:
        """Revoke the token."""
        await self.backend.call(self.api.revoke_token, token_id)
        await self.finish_empty()


routes = routes_of(Tokens, OneToken)
