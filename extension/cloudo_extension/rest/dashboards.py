"""REST for people's own dashboards."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import PageQuery, operation, routes_of
from cloudo_kernel.models import OwnDashboard, Page


class Dashboards(Handler):
    """`/dashboard`."""

    @operation("dashboards", reply=Page[OwnDashboard], query=(PageQuery,))
    async def get(self) -> None:
        """List the notebooks in `dashboards/` by path."""
        await self.answer_page(self._found, "path")

    def _found(self) -> list[OwnDashboard]:
        return [one.model_copy(update={"url": self._url(one.path)}) for one in self.api.dashboards()]

    def _url(self, path: str) -> str | None:
        """Return the address of a notebook's page, or None if Voila is off or the server's root does not hold it."""
        root = Path(self.app.serverapp.root_dir).resolve()
        place = self.backend.workspace.root / path
        if "voila_jinja2_env" not in self.settings or not place.is_relative_to(root):  # Voila sets it at its start
            return None
        return f"voila/render/{quote(place.relative_to(root).as_posix())}"


routes = routes_of(Dashboards)
