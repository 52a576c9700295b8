"""REST for users."""

from __future__ import annotations

from cloudo_extension.http.handler import API, Handler
from cloudo_extension.http.operation import operation
from cloudo_kernel.models import User


class Me(Handler):
    """`/user/me`."""

    @operation("user", reply=User)
    async def get(self) -> None:
        """Return who is calling."""
        await self.answer(self.api.user)


routes = [(rf"{API}/user/me", Me)]
