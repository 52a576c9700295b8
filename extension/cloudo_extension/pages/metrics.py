"""Adds Cloudo's metrics to those of the Jupyter server, at its own address `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import PrometheusMetricsHandler

from cloudo_kernel.errors import CloudoError

if TYPE_CHECKING:
    from cloudo_extension.http.authentication import Extension


class ServerMetrics(PrometheusMetricsHandler):
    """`/metrics` of the server. Its setting `authenticate_prometheus` says who may read it."""

    @allow_unauthenticated  # type: ignore[untyped-decorator]  # jupyter_server
    async def get(self) -> None:
        """Return the server's metrics, then Cloudo's. Raises `HTTPError`."""
        super().get()
        backend = cast("Extension", self.settings["cloudo"]).backend
        try:
            self.write(await backend.metrics())
        except CloudoError:
            # The server's own metrics do not depend on the store.
            self.write(b"# TYPE cloudo_up gauge\ncloudo_up 0.0\n")


#: Served instead of Jupyter's own handler.
routes = [(r"/metrics", ServerMetrics)]
