"""REST for API tokens; `tokens` has those that the dashboard's kernels get."""

from __future__ import annotations

from cloudo_extension.base import API, Handler
from cloudo_kernel.models import CreateToken, Page, Token


class Tokens(Handler):
    """`/token`."""

    async def get(self) -> None:
        """List one's own tokens."""
        await self.answer(lambda: Page[Token](items=self.api.tokens()))

    async def post(self) -> None:
        """Make a token; this reply alone has its secret."""
        made = await self.engine.call(self.api.create_token, self.parse(CreateToken, self.body()))
        self.set_header("Cache-Control", "no-store")
        self.set_status(201)
        await self.answer(lambda: made)


class OneToken(Handler):
    """`/token/<id>`."""

    async def delete(self, token_id: str) -> None:
        """Revoke the token."""
        await self.engine.call(self.api.revoke_token, token_id)
        await self.finish_empty()


routes = [(rf"{API}/token", Tokens), (rf"{API}/token/([^/]+)", OneToken)]
