"""REST for health probes, such as those of load balancers and container runtimes."""

from __future__ import annotations

from importlib.metadata import version
from typing import ClassVar

from jupyter_server.auth.decorator import allow_unauthenticated

from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import Reply, operation, routes_of
from cloudo_kernel.models import Health


class OneHealth(Handler):
    """`/health`, for everyone."""

    is_public: ClassVar[bool] = True

    @operation(
        "health",
        replies={200: Reply(Health), 503: Reply(Health, "Nothing can be started, or nothing is there to run it.")},
    )
    @allow_unauthenticated  # type: ignore[untyped-decorator]  # jupyter_server
    async def get(self) -> None:
        """Return whether executions can start and run; 503 if not. Only known callers see the background loops."""
        health = await self._health()
        if self.current_user is None:
            health = health.model_copy(update={"loops": ()})
        self.set_status(200 if health.status == "ok" else 503)
        await self.finish(health.model_dump_json())

    def _log(self) -> None:
        """Log no request: probes come every few seconds, and a failure is logged once, with its reason."""

    async def _health(self) -> Health:
        status, reason = "ok", None  # unused: Cloudo opens on first use
        try:
            found = await self.backend.health()
        except Exception as error:  # noqa: BLE001 -- any error means that the service is unavailable
            self.backend.health_failures.note(error)  # its details are not public
            found, status = None, "unavailable"
            reason = getattr(error, "reason", None) or "the store cannot be used"
        else:
            self.backend.health_failures.clear()
        nothing = {"version": version("cloudo"), "workers": 0, "running": 0, "pending": 0}
        return found or Health(status=status, reason=reason, **nothing)


routes = routes_of(OneHealth)
