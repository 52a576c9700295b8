"""REST for users."""

from __future__ import annotations

from cloudo_extension.base import API, Handler


class Me(Handler):
    """`/user/me`."""

    async def get(self) -> None:
        """Return who is calling."""
        await self.answer(self.api.user)


routes = [(rf"{API}/user/me", Me)]
