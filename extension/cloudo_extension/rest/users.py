"""REST for users."""

from __future__ import annotations

from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import operation, routes_of
from cloudo_kernel.models import User


class Me(Handler):
    """`/user/me`."""

    @operation("user", reply=User)
    async def get(self) -> None:
        """Return who is calling."""
        if not self.token_authenticated:
            _ = self.xsrf_token  # sets the cookie that write requests of the same page need
        await self.answer(self.api.user)


routes = routes_of(Me)
